"""A backend of another name with a place of its own, by the door that strangers use. Nothing is executed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from coopery import hookimpl
from coopery.backend import Abilities, Examination, Placed, Snapshot
from coopery.definition import RunStep
from coopery.digest import Digest
from coopery.errors import StepFailed
from coopery.events import Output
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.place import Presence, RunRequest
from coopery.sealed import SealedStep
from coopery.snapshots import running
from coopery_oci.backend import OciBackend


class FolderPlace:
    """A folder with one JSON file for each image."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = f"{name}:{folder}"

    def path(self, image: Digest) -> Path:
        return self.folder / image.partition(":")[2]

    def exists(self, image: Digest, digest: Digest) -> Presence:  # noqa: ARG002 - the protocol's
        if (self.folder / "down").exists():
            return Presence.UNKNOWN
        return Presence.YES if self.path(image).exists() else Presence.NO

    def remove(self, image: Digest, digest: Digest) -> bool:  # noqa: ARG002 - the protocol's
        there = self.path(image).exists()
        self.path(image).unlink(missing_ok=True)
        return there

    def run(self, digest: Digest, request: RunRequest) -> int:
        (self.folder / "ran").write_text(json.dumps([digest, list(request.argv), request.gpu]))
        return 7


class HouseBackend(OciBackend):
    """Runs ``true``, ``say WORDS`` and ``fail WORDS``; all else is as without an engine."""

    name: ClassVar[str] = "house"
    abilities: ClassVar[Abilities] = Abilities(run=True, registry=True, secrets=True, gpu=True)

    @property
    def place(self) -> FolderPlace:  # type: ignore[override] # another place than the layout
        folder = self._workshop.home.parent / f"{self.name}-images"
        folder.mkdir(exist_ok=True)
        return FolderPlace(folder, self.name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        return running.identity(step) if isinstance(step.step, RunStep) else super().identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        if not isinstance(step.step, RunStep):
            return super().run_step(base, step, name)
        with running.prepared(self._workshop, base, step) as prepared:
            word, *words = step.step.run if not isinstance(step.step.run, str) else step.step.run.split()
            folder = next((host for host, inside in prepared.mounts if inside == running.SECRETS), None)
            values = [path.read_text() for path in sorted(folder.iterdir())] if folder else []
            self._workshop.emit(Output(line=" ".join((*words, *values))))
            if word == "fail":
                raise StepFailed(self.name, step.field_path, prepared.argv, 3, " ".join((*words, *values)))
            upper = self._workshop.staging / f"upper-{name[:8]}"
            upper.mkdir(parents=True, exist_ok=True)
            (upper / "made").write_text(word)
            os.utime(upper / "made", (0, 0))
            layer = running.take(self._workshop, upper)
            return self._host.keep(running.after(base, step, layer), name)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the protocol's
        for layer in image.layers:
            assert self._workshop.blobs.size(layer.digest) == layer.size
        self.place.path(image.image_id).write_text(tag)
        return Placed(self.place.name, image.image_id, len(image.config), f"{self.name}/{tag}")

    def examine(self) -> Examination:
        examined.append(self.name)
        return Examination(found=True, works=True, version="runc version 1.0.0")

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        (self.place.folder / "debugged").write_text(json.dumps([snapshot.digest, list(request.argv)]))
        return 9


class BrokenBackend(HouseBackend):
    """Would be asked before the other, and does not work."""

    name: ClassVar[str] = "docker"

    def examine(self) -> Examination:
        examined.append(self.name)
        return Examination(found=True, works=False, problem="the daemon does not answer", remedy="start it")


examined: list[str] = []


class Registers:
    def __init__(self, backend: type[OciBackend]) -> None:
        self._backend = backend

    @hookimpl
    def coopery_register_backend(self) -> type[OciBackend]:
        return self._backend
