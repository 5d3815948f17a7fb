"""What every test of the kit works with: a cache folder, a small base, and the verbs of the backend in few words."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from coopery import platform
from coopery.backend import Backend, Placed, Snapshot, Workshop
from coopery.base_source import BaseSource
from coopery.definition import Base, Environment, RootfsBase, RunStep, Step, Target
from coopery.errors import PluginError
from coopery.events import Event, Output
from coopery.facts import find
from coopery.home import Home
from coopery.image import Assembled
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.oci.layers_view import LayersFiles
from coopery.seal import seal
from coopery.sealed import Sealed, SealedStep
from coopery.settings import Settings
from coopery.snapshots import config as _config
from coopery.stages.first import step_keys

OpenBackend = Callable[[Workshop], Backend]


def no_source(name: str) -> BaseSource:
    """A workshop's way to say that it has no base source."""
    raise PluginError(f"no base source called {name!r} is installed")


@frozen
class Desk:
    """One backend in one cache folder.

    Attributes:
        open_backend: the author's: makes a backend for a workshop, as core does.
        workshop: what it is lent.
        folder: the definition's folder; the small base is ``root.tar`` in it.
        events: what was reported so far.
        opened: every backend that was made here.
    """

    open_backend: OpenBackend
    workshop: Workshop
    folder: Path
    events: list[Event]
    opened: list[Backend] = field(factory=list)

    @property
    def backend(self) -> Backend:
        """A new one each time: nothing may be kept in the object alone."""
        self.opened.append(self.open_backend(self.workshop))
        return self.opened[-1]

    def close(self) -> None:
        """Close the backends that can be closed; those that hold nothing need not."""
        for backend in self.opened:
            getattr(backend, "close", lambda: None)()

    @property
    def platform(self) -> str:
        """This machine's."""
        return platform.of_host()

    def lent(self, **changes: Any) -> Desk:
        """The same with another workshop: secrets, settings, time for a step."""
        return evolve(self, workshop=evolve(self.workshop, **changes))

    def seal(self, *steps: Step, base: Base | None = None) -> Sealed:
        """A definition of *base* (the small one unless given) and *steps*."""
        target = Target(platform=self.platform)
        return seal(Environment(base or RootfsBase("root.tar"), steps, target=target, root=self.folder))

    def base(self) -> Snapshot:
        """The small base, fetched."""
        return self.backend.fetch_base(self.seal().base, self.platform)

    def step(self, step: Step | SealedStep, on: Snapshot | None = None) -> Snapshot:
        """The snapshot after *step*, kept under its own key, as core does it."""
        backend, base = self.backend, on or self.base()
        sealed = step if isinstance(step, SealedStep) else self.seal(step).steps[0]
        return backend.run_step(base, sealed, self.name(base, sealed))

    def name(self, base: Snapshot, step: SealedStep) -> str:
        """The key of *step* on *base*."""
        return step_keys(self.backend, self.platform, base, (step,))[-1]

    def run(self, run: str | Sequence[str], on: Snapshot | None = None, **fields: Any) -> Snapshot:
        """The snapshot after a ``run:`` step."""
        return self.step(RunStep(run if isinstance(run, str) else tuple(run), **fields), on)

    def text(self, snapshot: Snapshot, path: str) -> str:
        """The text of the file at *path* in *snapshot*, symlinks followed, as the backend shows it."""
        files = self.backend.files(snapshot)
        found = find(files, path)
        assert found is not None, f"{path} is not in the snapshot"
        return files.read(found.path, 1 << 20).decode()

    def changed(self, before: Snapshot, after: Snapshot) -> dict[str, str]:
        """What the layers of *after* above *before* hold: path → kind. Read from the blobs, not from the engine."""
        count = len(before.layers)
        assert after.layers[:count] == before.layers, "a step changed the layers below it"
        return paths(LayersFiles(after.layers[count:], self.workshop.blobs))

    def image(self, snapshot: Snapshot, content: str = "of the kit") -> tuple[Assembled, tuple[Layer, ...]]:
        """An image: *snapshot* and one layer more, and that layer."""
        data = content.encode()
        entry = Entry("opt/kit/note", source=data, size=len(data))
        layer, _ = cut_into(self.workshop.blobs, [Tree("kit", "kit", (), lambda: (entry.path,), lambda: (entry,))])
        return Assembled(_config.changed(snapshot.config, "kit", layer), (*snapshot.layers, layer)), (layer,)

    def put(self, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:
        """*image* in the backend's place."""
        self.workshop.blobs.put(image.config)
        count = len(image.layers) - len(new)
        config = image.config
        snapshot = Snapshot(self.backend.name, image.image_id, image.image_id, config, image.layers[:count])
        return self.backend.materialize(snapshot, image, new, tag)

    @property
    def printed(self) -> str:
        """What steps have printed so far, as it was reported."""
        return "\n".join(event.line for event in self.events if isinstance(event, Output))


def desk(folder: Path, open_backend: OpenBackend, root: bytes) -> Desk:
    """A desk below *folder*."""
    home = Home(folder / "home")
    home.make()
    events: list[Event] = []
    workshop = Workshop(home.root, home.staging, home.blobs, Settings(home=home.root), no_source, events.append)
    place = folder / "definition"
    place.mkdir()
    (place / "root.tar").write_bytes(root)
    return Desk(open_backend, workshop, place, events)


def paths(files: LayersFiles, top: str = "/") -> dict[str, str]:
    """Everything below *top*, without a leading slash: path → kind."""
    found: dict[str, str] = {}
    for name in files.listdir(top):
        path = f"{top.rstrip('/')}/{name}"
        stat = files.lstat(path)
        if stat is not None:
            found[path[1:]] = stat.kind
            found |= paths(files, path) if stat.kind == "directory" else {}
    return found


def processes(words: str) -> list[str]:
    """Processes of this machine whose argument vector has *words* in it: their ids and arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            if words in line:
                found.append(f"{folder.name}: {line}")
    return found


def awaited(asked: Callable[[], bool], seconds: float) -> bool:
    """Whether *asked* becomes true within *seconds*."""
    end = time.monotonic() + seconds
    while not (found := asked()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def settings(snapshot: Snapshot | Assembled) -> Mapping[str, Any]:
    """The ``config`` section of its image config."""
    found: dict[str, Any] = Assembled(snapshot.config, ()).document.get("config") or {}
    return found
