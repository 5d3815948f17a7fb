"""What the tests of building from source share: a base with Python as one tar, a cache folder, any backend."""

from __future__ import annotations

import gc
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "backend"))

import coopery_unshare.plugin

from coopery import Builder, Environment, Image
from coopery.events import Event, Output, Warned, ignore
from coopery.lock import Artifact
from coopery.oci.flatten import flatten
from coopery.place import RunRequest
from coopery.plugins import Plugins
from coopery.seal import seal
from pip_build.yard import Yard
from pip_resolve.shelf import Shelf
from trunk.shared_home import shared_home

PYTHON = ("base-files", "bash", "coreutils", "libpython3.11-stdlib", "python3-minimal", "python3.11-minimal")
COMPILER = ("tcc", "libpython3.11-dev")
"""The smallest compiler that Debian has, and what an extension is compiled against."""


_UNWANTED = re.compile(
    r"(usr/share|var/lib/dpkg|usr/lib/(apt|dpkg|[^/]+/(gconv|perl.*))|usr/sbin|etc/perl|"
    r"usr/lib/python3.11/(lib2to3|pydoc_data|asyncio|wsgiref|config-3[^/]*|__phello__))/"
)


@define
class House:
    """A user with a cache folder, on one backend."""

    root: Path
    base: Path
    backend: str = "unshare"
    events: list[Event] = field(factory=list)
    _builders: list[Builder] = field(factory=list)

    @property
    def builder(self) -> Builder:
        if not self._builders:
            plugins = Plugins([("coopery-unshare", coopery_unshare.plugin)])
            self._builders.append(
                Builder(home=self.root / "home", backend=self.backend, plugins=plugins, on_event=self.events.append)
            )
        return self._builders[0]

    def define(self, pip: Any, **more: Any) -> Environment:
        plain = {"base": {"rootfs": str(self.base)}, "build": {"bytecode": False}}
        return Environment.from_dict({**plain, "pip": pip, **more}, self.root)

    def build(self, pip: Any, **more: Any) -> Image:
        return self.builder.build(self.define(pip, **more))

    def again(self, name: str) -> House:
        """Another machine of the same user."""
        return House(self.root / name, self.base, self.backend)

    def lock(self, pip: Any, **more: Any) -> dict[str, Artifact]:
        """What it resolves to, by name; whatever must be built for that is, and no image is made."""
        environment = self.define(pip, **more)
        found = self.builder.relock(environment).after_for(environment.target.platform)
        return {one.name: one for one in found.lock.artifacts}

    def run(self, pip: Any, code: str, **more: Any) -> int:
        return self.builder.run(self.define(pip, **more), RunRequest(("/opt/env/bin/python", "-c", code)))

    @property
    def printed(self) -> str:
        return "\n".join(event.line for event in self.events if isinstance(event, Output))

    @property
    def warned(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))

    def close(self) -> None:
        for builder in self._builders:
            builder.close()


def _is_wanted(path: str) -> bool:
    """Whether a Python that builds needs the file: the example backend copies all of them for every step."""
    return not _UNWANTED.match(path)


@pytest.fixture(scope="session")
def base_tars(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Debian packages as one tar, made once: engines take one layer much faster than fifty."""
    folder = shared_home().parent / "bases"
    scratch = tmp_path_factory.mktemp("bases")

    def make(*packages: str) -> Path:
        path = folder / f"{len(packages)}.tar"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            whole, made = scratch / "whole.tar", folder / f"{len(packages)}.{os.getpid()}"
            listed = {"suite": "bookworm", "packages": list(packages)}
            environment = Environment.from_dict({"base": {"debian": listed}, "steps": [{"env": {"A": "b"}}]})
            with Builder(home=shared_home(), backend="oci") as builder:
                builder.home.make()
                snapshot = builder.backend(ignore).fetch_base(seal(environment).base, environment.target.platform)
                with whole.open("wb") as out:
                    flatten(snapshot.layers, builder.home.blobs, out)
            with tarfile.open(whole) as archive, tarfile.open(made, "w") as less:
                for member in archive:
                    if _is_wanted(member.name):
                        less.addfile(member, archive.extractfile(member) if member.isreg() else None)
            made.rename(path)
        return path

    return make


@pytest.fixture
def house(
    tmp_path: Path, base_tars: Callable[..., Path], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """On the example backend, which runs steps in namespaces and needs no engine; the index is `shelf`."""
    monkeypatch.setenv("COOPERY_INDEX_URL", shelf.url)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = House(tmp_path, base_tars(*PYTHON))
    yield made
    made.close()
    gc.collect()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as one:
        yield one


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path / "yard") as one:
        yield one
