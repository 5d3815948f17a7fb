"""A storage of our own for real engines, a small image of this machine's own shell and tools, and fake engines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from attrs import evolve

from coopery import platform
from coopery.backend import Snapshot, Workshop
from coopery.definition import RunStep
from coopery.errors import PluginError
from coopery.events import Event
from coopery.home import Home
from coopery.image import Assembled, encode
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.sealed import SealedStep
from coopery.settings import Settings
from coopery_podman import tidy
from coopery_podman.backend import PodmanBackend
from real_podman import storage as own_storage

TOOLS = ("sh", "cat", "id", "env", "sleep", "ls", "mkdir", "rm", "stat", "chmod", "chown", "ln", "head", "yes")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napps:x:1001:\n"


def shop(home: Path, events: list[Event]) -> Workshop:
    """A workshop below *home* that notes its events."""

    def no_source(name: str) -> Any:
        raise PluginError(f"no base source called {name!r} is installed")

    kept = Home(home)
    kept.make()
    return Workshop(home, kept.staging, kept.blobs, Settings(home=home), no_source, events.append)


def text(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, mode=mode, source=content, size=len(content))


@cache
def tools() -> tuple[Entry, ...]:
    """A usr-merged root with this machine's shell, tools and the libraries that they name."""
    links = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
    entries = [Entry(name, "symlink", 0o777, target) for name, target in links.items()]
    entries += [text("etc/passwd", PASSWD), text("etc/group", GROUP)]
    entries += [Entry("tmp", "directory", 0o1777), Entry("home/app", "directory", 0o755, uid=1000, gid=1001)]
    files: dict[str, Path] = {}
    for tool in TOOLS:
        found = Path(shutil.which(tool) or f"/bin/{tool}")
        files[f"usr/bin/{tool}"] = found.resolve()
        for library in re.findall(r"(/\S+) \(0x", subprocess.check_output(["ldd", found], text=True)):
            files[re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)[1:]] = Path(library).resolve()
    entries += [Entry(path, mode=0o755, source=real, size=real.stat().st_size) for path, real in files.items()]
    return tuple(entries)


def layer_of(workshop: Workshop, entries: Iterable[Entry]) -> Layer:
    """One layer with *entries*."""
    kept = tuple(entries)
    tree = Tree("test", "test", (), lambda: [entry.path for entry in kept], lambda: kept)
    return cut_into(workshop.blobs, [tree])[0]


def image_of(layers: Iterable[Layer], **settings: Any) -> Assembled:
    """An image with *layers* and the ``config`` section *settings*."""
    kept = tuple(layers)
    system, _, architecture = platform.of_host().partition("/")
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in kept]}
    document = {"architecture": architecture, "os": system, "config": settings, "rootfs": rootfs}
    return Assembled(encode({**document, "history": [{"created_by": "test"} for _ in kept]}), kept)


def snapshot_of(image: Assembled) -> Snapshot:
    return Snapshot("podman", image.image_id, image.image_id, image.config, image.layers)


def run_step(words: str | tuple[str, ...], **options: Any) -> SealedStep:
    return SealedStep(RunStep(words, **options), field_path="$.steps[0]")


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests."""
    return SimpleNamespace(
        shop=shop, text=text, tools=tools, layer=layer_of, image=image_of, snapshot=snapshot_of, step=run_step
    )


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workshop(tmp_path: Path, events: list[Event]) -> Workshop:
    return shop(tmp_path / "home", events)


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A storage of the tests' own, so that nothing of the machine's is touched; seen to be empty of leftovers."""
    with own_storage(tmp_path_factory.mktemp("storage")) as folder:
        yield folder
        assert subprocess.check_output(["buildah", "containers", "--quiet"], text=True) == ""
        assert not tidy.has_mounts(folder / "graphroot" / "overlay")


@pytest.fixture(scope="session")
def session_shop(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One home for all tests with real engines: what was tried is tried once."""
    return shop(tmp_path_factory.mktemp("podman") / "home", [])


@pytest.fixture(scope="session")
def small(session_shop: Workshop) -> Assembled:
    """Runs a shell; PATH, a variable, and a command of its own."""
    settings = {"Env": ["PATH=/usr/bin:/bin", "COLOR=green"], "Cmd": ["sh", "-c", "echo own"]}
    return image_of([layer_of(session_shop, tools())], **settings)


@pytest.fixture
def backend(session_shop: Workshop, events: list[Event]) -> PodmanBackend:
    return PodmanBackend(evolve(session_shop, emit=events.append))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts an executable on PATH whose body is Python: ``fake("buildah", "sys.exit(3)")``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!{sys.executable} -IS\nimport json, os, sys, time\n{body}\n")
        path.chmod(0o755)
        return path

    return make
