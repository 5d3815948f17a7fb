"""Built again from nothing but its lock, an image is the same; and where it is not, the file is named (PROMISES 28)."""

# ruff: noqa: ARG002 - a protocol's method has all its arguments

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from conda.maker import Channel
from coopery import Builder, Environment
from coopery.cli.root import root as command
from coopery.errors import BaseError, DriftError
from coopery.hookspecs import hookimpl
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration, Resolution, Section
from coopery.plugins import Plugins
from coopery.target import Provided, Resolved
from trunk import small


class Drifting:
    """A materializer whose packages hold the time at which they were laid out, or not, as ``content`` says."""

    name: ClassVar[str] = "spark"
    after: ClassVar[tuple[str, ...]] = ()
    content: ClassVar[Callable[[str], bytes]] = lambda _name: b""
    mode: ClassVar[Callable[[], int]] = lambda: 0o644

    def __init__(self, workshop: object) -> None: ...

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        found = [
            Artifact("spark", name, "1", "", "", f"{name}.jar", "x", hashlib.sha256(name.encode()).hexdigest(), 1)
            for name in section.content.packages
        ]
        return Resolution(tuple(found), provided)

    def unmet(self, section: Section, artifacts: Sequence[Artifact], *_: object) -> tuple[str, ...]:
        return ()

    def provides(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Provided:
        return provided

    def trees(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> Sequence[Tree]:
        return [self._tree(artifact) for artifact in artifacts]

    def _tree(self, artifact: Artifact) -> Tree:
        names = ("a-same.txt", "made-at.txt")

        def entries() -> Iterator[Entry]:
            for name in names:
                data = b"same" if name.startswith("a") else type(self).content(artifact.name)
                path = f"opt/env/{artifact.name.replace(':', '/')}/{name}"
                yield Entry(path, source=data, size=len(data), mode=type(self).mode())

        paths = [f"opt/env/{artifact.name.replace(':', '/')}/{name}" for name in names]
        return Tree(str(artifact), artifact.name, (("sha256", artifact.sha256),), lambda: paths, entries)

    def environment(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Configuration:
        return Configuration()

    def close(self) -> None: ...


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    module: Any = ModuleType("drifting")
    module.coopery_register_materializer = hookimpl(coopery_register_materializer)
    with Builder(home=tmp_path / "home", plugins=Plugins([("drifting", module)], discover=True)) as made:
        yield made


def coopery_register_materializer() -> type[Drifting]:
    return Drifting


def environment(**changes: Any) -> Environment:
    packages = ["g:one:1", "g:two:1"]
    document = {"base": "scratch", "spark": {"packages": packages}, "target": {"glibc": "2.36"}, **changes}
    return Environment.from_dict(document)


def test_what_is_a_function_of_its_lock_is_the_same(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(Drifting, "content", lambda name: made.append(name) or name.encode())
    image = builder.build(environment())
    built = len(made)
    found = builder.check(environment())
    assert (found.image.id, found.layers, found.packages) == (image.id, 2, 2)
    assert len(made) >= 2 * built, "its layers were cut anew"
    assert found.moved_base == ()
    assert list(builder.home.staging.iterdir()) == []


def test_a_time_in_a_file_is_drift(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Drifting, "content", lambda name: f"{name} {time.time_ns():020}".encode())
    with pytest.raises(DriftError) as caught:
        builder.check(environment())
    assert caught.value.paths == ("/opt/env/g/one/1/made-at.txt", "/opt/env/g/two/1/made-at.txt")
    assert "first: /opt/env/g/one/1/made-at.txt: content, from byte" in caught.value.message
    assert "layer 1, coopery: g:one:1 1" in caught.value.message
    assert caught.value.exit_code == 5
    assert list(builder.home.staging.iterdir()) == []


def test_a_mode_and_a_length_are_drift(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    builder.build(environment())
    monkeypatch.setattr(Drifting, "mode", lambda: 0o600)
    with pytest.raises(DriftError, match=r"a-same\.txt: mode 0644, now 0600"):
        builder.check(environment())
    monkeypatch.setattr(Drifting, "mode", lambda: 0o644)
    monkeypatch.setattr(Drifting, "content", lambda _name: b"longer")
    with pytest.raises(DriftError, match=r"made-at\.txt: size 0, now 6"):
        builder.check(environment())


def test_the_record_stays_what_it_was(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    image = builder.build(environment())
    monkeypatch.setattr(Drifting, "content", lambda _name: b"other")
    with pytest.raises(DriftError):
        builder.check(environment())
    assert builder.build(environment()).hit
    assert builder.build(environment()) == image
    assert builder.details(image.key).generation == 1


def test_paths_are_bounded(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    from coopery.compare import check

    monkeypatch.setattr(check, "MOST", 1)
    monkeypatch.setattr(Drifting, "content", lambda _name: str(time.time_ns()).encode())
    with pytest.raises(DriftError) as caught:
        builder.check(environment())
    assert len(caught.value.paths) == 1


def test_steps_are_run_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("data\n")
    definition = {"base": "scratch", "steps": [{"copy": "data", "to": "/data"}, {"env": {"A": "b"}}]}
    with Builder(home=tmp_path / "home") as builder:
        found = builder.check(Environment.from_dict(definition, tmp_path))
    assert (found.layers, found.packages) == (1, None)


def test_a_base_that_has_moved_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be compared but packages' layers: here there are none."""
    from coopery.snapshots import base as bases

    (tmp_path / "data").write_text("data\n")
    definition = {"base": "scratch", "steps": [{"copy": "data", "to": "/data"}]}
    with Builder(home=tmp_path / "home") as builder:
        builder.build(Environment.from_dict(definition, tmp_path))
        rest = {"config": {"Env": ["A=b"]}, "rootfs": {"type": "layers", "diff_ids": []}}
        other = json.dumps({"architecture": "amd64", "os": "linux", **rest})
        monkeypatch.setattr(bases._config, "empty", lambda _platform: other.encode())
        with pytest.raises(BaseError, match="can no longer be had as it was"):
            builder.check(Environment.from_dict(definition, tmp_path))


@pytest.mark.processes
def test_conda_packages_are_linked_and_cut_anew(tmp_path: Path) -> None:
    small.fill(Channel(tmp_path / "channel"))
    file = small.write(tmp_path, "tool", "pure", "old", build={"bytecode": False})
    done = CliRunner().invoke(
        command, ["build", str(file), "--check", "--output", "json", "--home", str(tmp_path / "home"), "-q"]
    )
    assert done.exit_code == 0, done.output
    (image,) = json.loads(done.stdout)["images"]
    assert image["checked"]["layers"] == image["layers"]
    assert image["checked"]["packages"] == 5
    assert image["checked"]["moved_base"] == []
