"""docs/hooks.md: each hook has a section headed by its exact signature, and an example that is a whole plugin."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doc_pages import PAGES, ROOT, Block, blocks, headings

from coopery import Builder, Environment, hookspecs
from coopery.plugins import Plugins

PAGE = ROOT / "docs" / "hooks.md"
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("coopery_")}
REGISTERED = {
    "coopery_register_backend": ("backend", "oci"),
    "coopery_register_materializer": ("materializer", "spark"),
    "coopery_register_base_source": ("base source", "debian"),
    "coopery_register_cache": ("cache", "memory"),
}


def signature(hook: Callable[..., Any]) -> str:
    return f"{hook.__name__}{str(inspect.signature(hook)).replace(chr(39), '')}"


def example(name: str) -> Block:
    (found,) = [block for block in blocks(PAGE, "python") if f"def {name}(" in block.text]
    return found


def plugin(block: Block) -> ModuleType:
    """The module that *block* is."""
    spec = spec_from_loader("plugin", loader=None)
    assert spec is not None
    module = module_from_spec(spec)
    exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), vars(module))  # noqa: S102 - our own page
    return module


def test_the_page_knows_all_hooks() -> None:
    assert len(HOOKS) == 5
    assert {f"`{signature(hook)}`" for hook in HOOKS.values()} == {h for h in headings(PAGE) if "coopery_" in h}


@pytest.mark.parametrize("name", HOOKS)
def test_an_example_is_shorter_than_ten_lines(name: str) -> None:
    lines = [line for line in example(name).text.splitlines() if line.strip()]
    assert len(lines) < 10
    assert lines[0] == "from coopery import hookimpl"


@pytest.mark.parametrize("name", REGISTERED)
def test_an_example_registers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples" / "materializer")
    plugins = Plugins([("example", plugin(example(name)))], discover=False)
    assert [(info.kind, info.name, info.distribution) for info in plugins.infos()] == [(*REGISTERED[name], "example")]


def test_the_example_of_a_backend_builds(desk: Path) -> None:
    plugins = Plugins([("example", plugin(example("coopery_register_backend")))], discover=False)
    with Builder(plugins=plugins) as builder:
        assert builder.build(Environment.load("environment.yaml")).layers == 1


def test_the_example_of_a_store_keeps_records(desk: Path) -> None:
    plugins = Plugins([("example", plugin(example("coopery_register_cache")))])
    with Builder(cache="memory:", plugins=plugins) as builder:
        first = builder.build(Environment.load("environment.yaml"))
        assert builder.build(Environment.load("environment.yaml")).hit
        assert builder.details(first.key).exists
        assert not list(builder.settings.home.glob("*.sqlite"))


def test_the_example_of_an_observer_sees_a_build(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = Plugins([("example", plugin(example("coopery_observe_event")))])
    with Builder(plugins=plugins) as builder:
        builder.build(Environment.load("environment.yaml"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["base", "steps", "image"]


def test_an_observer_that_fails_is_logged_and_harms_nobody(desk: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen = []
    broken, other = ModuleType("broken"), ModuleType("other")

    @hookspecs.hookimpl
    def fail(event: object) -> None:
        raise ValueError("broken on purpose")

    @hookspecs.hookimpl
    def see(event: object) -> None:
        seen.append(event)

    for module, hook in ((broken, fail), (other, see)):
        module.coopery_observe_event = hook  # type: ignore[attr-defined]  # a module made here
    with (
        caplog.at_level(logging.ERROR, "coopery.plugins"),
        Builder(plugins=Plugins([("broken", broken), ("other", other)])) as builder,
    ):
        assert builder.build(Environment.load("environment.yaml")).layers == 1
    assert seen
    assert len(caplog.records) == len(seen)
    assert caplog.records[0].getMessage() == "broken: its observer of events failed"


def test_pages_name_only_hooks_that_there_are() -> None:
    words = {word for page in PAGES for word in page.read_text(encoding="utf-8").split() if "coopery_register" in word}
    assert {name for name in REGISTERED if any(name in word for word in words)} == set(REGISTERED)
