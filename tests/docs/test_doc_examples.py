"""Every example in the documentation runs, loads or parses."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from doc_pages import PAGES, ROOT, Block, blocks, name_of

from coopery import Environment
from coopery.cli.root import main, root
from coopery.settings import load as load_settings
from coopery.testing import MemoryCache

QUOTED = {
    "docs/embedding.md": "examples/embedding",
    "docs/podman.md": "examples/buildah",
    "docs/writing-a-backend.md": "examples/backend",
    "docs/writing-a-cache-store.md": "examples/cache_store",
    "docs/writing-a-materializer.md": "examples/materializer",
}
"""Pages whose Python is quoted from files that have tests of their own."""

PYTHON = [page for page in PAGES if list(blocks(page, "python"))]
RUN = [page for page in PYTHON if page.parent in (ROOT, ROOT / "docs") and name_of(page) not in QUOTED]
SKETCHED = [page for page in PYTHON if page not in RUN and name_of(page) not in QUOTED]
YAML = [block for page in PAGES for block in blocks(page, "yaml")]
SHELL = [block for page in PAGES for block in blocks(page, "sh")]
NEEDS_MORE = {"run"}
"""Commands that need a program in the image: parsed only."""


class MyStore(MemoryCache):
    """What docs/records.md calls the store of somebody else."""


@pytest.mark.parametrize("page", SKETCHED, ids=name_of)
def test_python_of_other_pages_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block.text, block.page, "exec")


@pytest.mark.parametrize("page", RUN, ids=name_of)
@pytest.mark.processes
def test_python_runs_in_the_order_of_the_page(page: Path, desk: Path) -> None:
    names: dict[str, Any] = {"__name__": "page", "MyStore": MyStore}
    for block in blocks(page, "python"):
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, block.page, "exec"), names)  # noqa: S102 - our own pages


@pytest.mark.parametrize("page", QUOTED)
def test_quoted_code_is_what_the_files_say(page: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / QUOTED[page]).rglob("*.py"))]
    quotes = list(blocks(ROOT / page, "python"))
    assert quotes
    assert [str(quote) for quote in quotes if not any(quote.text in source for source in sources)] == []


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_is_a_definition(block: Block, desk: Path) -> None:
    text = block.text if "\nbase:" in f"\n{block.text}" else f"base: scratch\n{block.text}"
    (desk / "block.yaml").write_text(text, encoding="utf-8")
    environment = Environment.load("block.yaml")
    assert environment.root == desk


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_exist_and_take_these_arguments(block: Block, desk: Path) -> None:
    for argv in commands(block):
        context = root.make_context("coopery", list(argv))
        name, command, rest = root.resolve_command(context, argv)
        assert command is not None, argv
        command.make_context(name, rest, parent=context)


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in SHELL if "\ncoopery " in f"\n{block.text}"], ids=str)
def test_commands_run(block: Block, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in commands(block):
        if argv[0] not in NEEDS_MORE:
            assert main(argv) == 0, capsys.readouterr().err


@pytest.mark.parametrize("block", [b for b in SHELL if "make " in b.text], ids=str)
def test_make_has_these_targets(block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in block.text.splitlines():
        if line.startswith("make "):
            assert f"\n{line.split()[1]}:" in makefile, line


def test_settings_are_read(desk: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "settings.md", "toml")
    path = desk / ".config" / "coopery" / "settings.toml"
    path.parent.mkdir(parents=True)
    path.write_text(block.text, encoding="utf-8")
    settings = load_settings({"HOME": str(desk)}, desk, system=desk / "none")
    for name, stated in tomllib.loads(block.text).items():
        value = getattr(settings, name)
        expected = tuple(stated) if isinstance(stated, list) else stated
        if name == "channels":
            expected = {**stated, "ours": str(path.parent / "channel")}
        assert value == expected, name


def test_every_setting_is_documented() -> None:
    from coopery.settings.known import LISTS, TABLES, VARIABLES

    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip(" `") for cell in line.split("|")[1:3]) for line in text.splitlines() if "|" in line}
    assert {*VARIABLES.items(), *((name, "") for name in (*TABLES, *LISTS))} <= rows


def commands(block: Block) -> list[list[str]]:
    """Arguments of the lines that call ``coopery``."""
    lines = [line.partition("  #")[0] for line in block.text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("coopery ")]


def test_blocks_say_what_they_are() -> None:
    known = {"python", "yaml", "sh", "toml", "json", "text", ""}
    found = {
        line[3:].strip()
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("```")
    }
    assert found <= known, "a block in another language is run by no test"


def test_examples_of_definitions_load() -> None:
    found = sorted((ROOT / "examples" / "definitions").glob("*.yaml"))
    assert len(found) >= 3
    for path in found:
        Environment.load(path)


def test_the_help_names_pages_that_there_are() -> None:
    for name in root.list_commands(click.Context(root)):
        text = root.get_command(click.Context(root), name).get_help(click.Context(root, info_name=name))  # type: ignore[union-attr]  # it lists what it has
        for word in text.replace(",", " ").split():
            if word.startswith("docs/"):
                assert (ROOT / word.partition("#")[0]).is_file(), word
