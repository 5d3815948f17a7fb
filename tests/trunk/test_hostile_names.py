"""Hostile text in every field that takes text: it is refused, or carried as it is, and nobody acts on it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment
from coopery.errors import DefinitionError
from coopery.home import Home
from coopery.oci.extract import extract
from coopery.oci.layout import Layout
from coopery.read import to_dict

pytestmark = pytest.mark.processes

Path_ = tuple[str | int, ...]

MARK = "sentinel"
"""A file of this name appears where somebody acts on a payload."""

PAYLOADS = (
    *(f"a{sign}b" for sign in "\n\r\t\0\x1b\x07\x08\x7f\x85\u2028\u2029\u202e\u200b\ufeff\ud800\U000e0041"),
    *(f"{text}touch {MARK}" for text in ("; ", "&& ", "| ", "|| ", "\n", "\r\n", "a'; ", 'a"; ', "a\\\n")),
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    f"${{IFS}}touch {MARK}",
    f"a\nRUN touch {MARK}",
    f"a\n# syntax=x\nRUN touch {MARK}",
    f"EOF\nRUN touch {MARK}\n",
    f"{{% import os %}}{{{{ os.system('touch {MARK}') }}}}",
    f"__import__('os').system('touch {MARK}')",
    f"!!python/object/apply:os.system ['touch {MARK}']",
    "-x",
    "--privileged",
    "--home=/",
    "--",
    "-",
    "@file",
    "%s%n%x",
    "{0.__class__}",
    "../../../etc/passwd",
    f"../{MARK}",
    "/../../etc",
    "/..",
    "/.",
    ".",
    "..",
    "~",
    "~root/x",
    "//x/y",
    "a//b",
    "C:\\x",
    "file:///etc/passwd",
    f"file://$(touch {MARK})/x",
    "http://user:secret@host/",
    "http://[::1",
    "oci:/etc:x",
    "docker://x",
    "a b",
    "",
    " ",
    "'",
    '"',
    "\\",
    "a" * 70_000,
    "\u0301" * 300,
    "ａ",
    "İı",
    "null",
    "&a *a",
    "<<: x",
    "%TAG ! x",
    "[a, b]",
    "{a: b}",
)

PIP = {
    "requirements": ["six"],
    "constraints": ["six<2"],
    "index_url": "https://host/x",
    "extra_index_urls": ["https://host/y"],
    "find_links": ["https://host/z"],
    "no_binary": ["six"],
    "only_binary": ["numpy"],
}
SECTIONS: tuple[dict[str, Any], ...] = (
    {"steps": [{"run": "true", "secrets": ["id"]}, {"run": ["a", "b"]}]},
    {"steps": [{"copy": "data", "to": "/srv/data", "mode": "0755", "owner": "1:2"}]},
    {"steps": [{"env": {"NAME": "value"}}, {"workdir": "/srv"}, {"user": "1:2"}]},
    {"conda": {"channels": ["conda-forge"], "dependencies": ["numpy", {"pip": ["six"]}]}},
    {"conda": "environment.yml"},
    {"pip": PIP},
    {"pip": {"file": "data"}},
    {"spark": {"packages": ["g:a:1"], "repositories": ["https://host/x"]}},
    {"python": {"user_managed": True, "interpreter": "/usr/bin/python3"}},
    {"target": {"platform": "linux/amd64", "cuda": "12.4", "glibc": "2.36", "archspec": "x86_64"}},
    {"prefix": "/opt/env"},
    {"build": {"arguments": {"NAME": "value"}, "secrets": ["id"]}},
    {"runtime": {"env": {"NAME": "value"}, "shm_size": "2g", "workdir": "/srv"}},
    {"name": "name", "version": "1", "description": "text", "tags": {"tag": "value"}},
)
BASES: tuple[Any, ...] = (
    "debian:12",
    {"image": "debian:12"},
    {"debian": {"suite": "bookworm", "packages": ["bash"], "components": ["main"]}},
    {"layout": "layout", "tag": "v1"},
    {"archive": "data", "tag": "v1"},
    {"rootfs": "data"},
    {"sif": "data"},
    {"dockerfile": "data"},
    {"context": "context", "dockerfile": "Dockerfile"},
)
DOCUMENTS = (*({"base": base} for base in BASES), *({"base": {"scratch": True}, **section} for section in SECTIONS))


def fields(node: Any, here: Path_ = ()) -> Iterator[tuple[Path_, bool]]:
    """Every string in *node*: where it is, and whether it is a key."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        if isinstance(name, str):
            yield (*here, name), True
        if isinstance(value, str):
            yield (*here, name), False
        yield from fields(value, (*here, name))


def changed(document: dict[str, Any], path: Path_, text: str, *, key: bool) -> dict[str, Any]:
    made = copy.deepcopy(document)
    node: Any = made
    for name in path[:-1]:
        node = node[name]
    if key:
        node[text] = node.pop(path[-1])
    else:
        node[path[-1]] = text
    return made


FIELDS = [
    pytest.param(document, path, key, id=f"{number}.{'.'.join(map(str, path))}{' (key)' if key else ''}")
    for number, document in enumerate(DOCUMENTS)
    for path, key in fields(document)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The definition's folder, which is the working directory too, with all that the documents name."""
    work = tmp_path / "work"
    (work / "context").mkdir(parents=True)
    (work / "context" / "Dockerfile").write_text("FROM scratch\n")
    (work / "data").write_text("six\n")
    (work / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [numpy]\n")
    (work / "layout").mkdir()
    descriptor = {"digest": "sha256:" + "0" * 64, "annotations": {"org.opencontainers.image.ref.name": "v1"}}
    (work / "layout" / "index.json").write_text(json.dumps({"manifests": [descriptor]}))
    monkeypatch.chdir(work)
    return work


def accepted(document: dict[str, Any], folder: Path) -> Environment | None:
    """The definition; None where it is refused, as the user's mistake and nothing else."""
    try:
        return Environment.from_dict(document, folder)
    except DefinitionError:
        return None


def variable(name: str, text: str) -> dict[str, Any]:
    return {"base": "scratch", "steps": [{"env": {name: text}}]}


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_the_documents_are_sound(folder: Path, builder: Builder) -> None:
    for document in DOCUMENTS:
        builder.key(Environment.from_dict(document, folder))


@pytest.mark.parametrize(("document", "path", "key"), FIELDS)
def test_every_field(
    folder: Path, builder: Builder, home: Path, document: dict[str, Any], path: Path_, key: bool
) -> None:
    before = snapshot(folder.parent)
    for payload in PAYLOADS:
        environment = accepted(changed(document, path, payload, key=key), folder)
        if environment is None:
            continue
        again = Environment.from_dict(to_dict(environment), folder)
        assert again == environment
        with suppress(DefinitionError):  # what it names on disk is not there
            assert builder.key(environment) == builder.key(again)
    assert snapshot(folder.parent) == before
    assert not home.exists()


def test_values_of_variables_reach_the_image_as_they_are(
    folder: Path, builder: Builder, define: Callable[..., Environment], home: Path
) -> None:
    named = {f"NAME_{number}": payload for number, payload in enumerate(PAYLOADS)}
    carried = {name: text for name, text in named.items() if accepted(variable(name, text), folder)}
    assert len(carried) > 30
    before = snapshot(folder)
    image = builder.build(define(steps=[{"copy": "data", "to": "/data"}, {"env": carried}]))
    assembled = Layout(Home(home).images, Home(home).staging).open(image.digest, image.platform)[1]
    entries = assembled.document["config"]["Env"]
    unset = {name: value.replace("${IFS}", "") for name, value in carried.items()}  # as in a Dockerfile's ENV
    assert set(entries) >= {f"{name}={value}" for name, value in unset.items()}
    assert len(entries) <= len(carried) + 1, "no payload made a variable of its own, PATH aside"
    assert snapshot(folder) == before


@pytest.mark.parametrize("field", ["name", "version", "description", "prefix"])
def test_a_refusal_does_not_itself_carry_what_terminals_obey(folder: Path, field: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Environment.from_dict({"base": "scratch", field: "\x1b]0;owned\x07"}, folder)
    assert not {"\x1b", "\x07"} & set(str(caught.value))


def test_file_names_are_carried_as_they_are(
    folder: Path, builder: Builder, define: Callable[..., Environment], tmp_path: Path, home: Path
) -> None:
    names = {payload for payload in PAYLOADS if "/" not in payload and "\0" not in payload}
    names = {name for name in names - {"", ".", ".."} if name.isprintable() and len(os.fsencode(name)) < 255}
    assert len(names) > 20
    environment = define(steps=[{"copy": "data", "to": "/srv"}])
    for name in names:
        (environment.root / "data" / name).write_text(name)
    image = builder.build(environment)
    assembled = Layout(Home(home).images, Home(home).staging).open(image.digest, image.platform)[1]
    extract(assembled.layers, Home(home).blobs, tmp_path / "out")
    found = {path.name: path.read_text() for path in (tmp_path / "out" / "srv").iterdir()}
    assert found == {**{name: name for name in names}, "one.txt": "one\n", "run.sh": "#!/bin/sh\necho hello\n"}
    assert not list(tmp_path.rglob(MARK))
