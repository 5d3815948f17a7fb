"""containers-storage, looked at without starting a program: which images it has, and where a container's changes are.

``images.json``, ``layers.json`` and ``containers.json`` below the graph root are replaced by rename, so that a reader
sees one whole state of each. Nothing here ever writes, and nothing is answered from a state that is not understood:
that is a `LookError`, and the engine is asked instead. Source: containers/storage, docs/containers-storage.md, and the
files that podman 4.3 to 5 write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from coopery_podman.memo import remembered

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery_podman.buildah import Buildah


class LookError(Exception):
    """The files are not what we understand; the engine must be asked."""


@frozen
class Located:
    """Where the engine keeps things, as it said itself.

    Attributes:
        graph_root: images and containers.
        run_root: what does not survive a boot.
        driver: ``overlay``, ``vfs``, ``btrfs``, …
        details: lines for people.
    """

    graph_root: Path
    run_root: Path
    driver: str
    details: tuple[str, ...] = ()

    def image(self, image_id: str) -> dict[str, Any] | None:
        """The record of the image with that id (64 digits), if it is here with all its layers.

        Raises:
            LookError: the files are not what we understand.
        """
        path = self.graph_root / f"{self.driver}-images" / "images.json"
        data = self._bytes(path)
        if image_id.encode() not in data:  # most of an empty answer's time would be parsing
            return None
        record = next((entry for entry in _records(data, path) if entry.get("id") == image_id), None)
        return record if record is not None and self._has_layers(str(record.get("layer") or "")) else None

    def images(self) -> tuple[dict[str, Any], ...]:
        """The records of all images.

        Raises:
            LookError: as `image`.
        """
        path = self.graph_root / f"{self.driver}-images" / "images.json"
        return tuple(_records(self._bytes(path), path))

    def containers(self) -> tuple[dict[str, Any], ...]:
        """The records of all containers, those that do not survive a boot among them.

        Raises:
            LookError: as `image`.
        """
        folder = f"{self.driver}-containers"
        paths = [self.graph_root / folder / name for name in ("containers.json", "volatile-containers.json")]
        paths.append(self.run_root / folder / "volatile-containers.json")
        return tuple(entry for path in paths for entry in _records(self._bytes(path), path))

    def upper(self, container: str) -> Path | None:
        """The folder with what the working container *container* changed, where its driver has such a folder.

        Raises:
            LookError: as `image`; or there is no such container.
        """
        if self.driver != "overlay":
            return None
        record = next((entry for entry in self.containers() if container in (entry.get("names") or ())), None)
        if record is None:
            raise LookError(f"no container {container!r} below {self.graph_root}")
        upper = self.graph_root / "overlay" / str(record["layer"]) / "diff"
        return upper if upper.is_dir() else None

    def chain(self, top: str) -> tuple[str, ...] | None:
        """Ids of the layer *top* and all below it, none for an image without layers; None where one is not whole.

        Raises:
            LookError: as `image`.
        """
        path = self.graph_root / f"{self.driver}-layers" / "layers.json"
        layers = {str(entry.get("id")): entry for entry in _records(self._bytes(path), path)} if top else {}
        found: list[str] = []
        while top:
            layer = layers.pop(top, None)
            if layer is None or (layer.get("flags") or {}).get("incomplete"):
                return None
            found.append(top)
            top = str(layer.get("parent") or "")
        return tuple(found)

    def _has_layers(self, top: str) -> bool:
        """Whether the layer *top* and all below it are recorded as whole, and have their folders."""
        layers = self.chain(top)
        if layers is None or self.driver != "overlay":
            return layers is not None
        return all(os.path.isdir(self.graph_root / "overlay" / layer / "diff") for layer in layers)

    @staticmethod
    def _bytes(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b"[]"
        except OSError as exc:
            raise LookError(f"{path}: {exc.strerror}") from exc


def manifests(record: dict[str, Any]) -> frozenset[str]:
    """Digests of the manifests that an image has there: more than one where it came from several places."""
    return frozenset((str(record.get("digest")), *map(str, (record.get("big-data-digests") or {}).values())))


def locate(workshop: Workshop, tool: Buildah | None = None) -> Located:
    """Where the storage is: remembered, or as buildah says.

    Args:
        workshop: remembers it.
        tool: whom to ask where nothing is remembered.

    Raises:
        BackendError: buildah is not installed or does not work.
    """

    def ask() -> dict[str, Any]:
        from coopery_podman.buildah import Buildah  # a hit does without it

        info = (tool or Buildah()).info()
        store, host = dict(info.get("store") or {}), dict(info.get("host") or {})
        details = [f"storage: {store.get('GraphDriverName')} in {store.get('GraphRoot')}"]
        details.append("as an ordinary user" if host.get("rootless") else "as root")
        return {
            "graph_root": str(store["GraphRoot"]),
            "run_root": str(store["RunRoot"]),
            "driver": str(store["GraphDriverName"]),
            "details": details,
        }

    found = remembered(workshop, "storage", ask)
    return Located(
        Path(found["graph_root"]), Path(found["run_root"]), str(found["driver"]), tuple(map(str, found["details"]))
    )


def _records(data: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(data or b"[]")
    except ValueError as exc:
        raise LookError(f"{path}: no JSON") from exc
    if not isinstance(parsed, list) or not all(isinstance(entry, dict) for entry in parsed):
        raise LookError(f"{path}: no list of records")
    return parsed
