"""One side of a comparison: what is known of a definition, a lock file, a key, or an image. Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from coopery.digest import Digest
from coopery.image import Assembled
from coopery.lock import Artifact, Lock

SideKind = Literal["definition", "lock file", "key", "image"]

_PREFIX: Final = "coopery: "
_PACKAGE: Final = re.compile(r"(\S+) (\d\S*|v\d\S*)(?: (\S+))?")
_STEPS: Final = frozenset({"copy", "env", "workdir", "user", "run"})


@frozen(order=True)
class Package:
    """One package of one side. ``kind``, ``sha256`` and ``size`` are unknown where an image alone tells of it."""

    kind: str
    name: str
    version: str
    build: str = ""
    sha256: str = ""
    size: int = 0

    def __str__(self) -> str:
        return f"{self.version}{f' {self.build}' if self.build else ''}"

    @classmethod
    def of(cls, artifact: Artifact) -> Package:
        """A locked package."""
        return cls(artifact.kind, artifact.name, artifact.version, artifact.build, artifact.sha256, artifact.size)


@frozen
class LayerSeen:
    """One layer: what it is known by everywhere, its stored bytes, and its line of history."""

    diff_id: Digest
    size: int
    created_by: str


@frozen
class ImageSeen:
    """One image, without its files.

    Attributes:
        id: config digest.
        platform: ``linux/amd64``.
        config: the config's ``config`` object: environment, user, command and so on.
        layers: from the bottom up.
    """

    id: Digest
    platform: str
    config: Mapping[str, Any] = field(hash=False)
    layers: tuple[LayerSeen, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers as they are stored."""
        return sum(layer.size for layer in self.layers)

    @classmethod
    def of(cls, image: Assembled, platform: str) -> ImageSeen:
        """What *image* says of itself."""
        document = image.document
        lines = _history(document, len(image.layers))
        layers = zip(image.layers, lines, strict=True)
        config = document.get("config")
        return cls(
            image.image_id,
            platform,
            config if isinstance(config, dict) else {},
            tuple(LayerSeen(layer.diff_id, layer.size, line or layer.created_by) for layer, line in layers),
        )


@frozen
class Side:
    """What is known of one side; None: nothing is.

    Attributes:
        what: as the caller named it.
        kind: what that is.
        key: where it has one.
        identity: what the key is computed from.
        base: digest of the base.
        packages: exact packages.
        image: the image.
    """

    what: str
    kind: SideKind
    key: str = ""
    identity: Mapping[str, Any] | None = field(default=None, hash=False)
    base: str | None = None
    packages: tuple[Package, ...] | None = None
    image: ImageSeen | None = None


def locked(lock: Lock) -> tuple[Package, ...]:
    """The packages of *lock*."""
    return tuple(Package.of(artifact) for artifact in lock.artifacts)


def told(layers: Iterable[LayerSeen]) -> tuple[Package, ...] | None:
    """The packages that the history of an image names, as Coopery writes it; None where it names none."""
    found = [
        Package("", matched[1], matched[2], matched[3] or "")
        for layer in layers
        if layer.created_by.startswith(_PREFIX)
        for text in layer.created_by.removeprefix(_PREFIX).split(", ")
        if (matched := _PACKAGE.fullmatch(text)) is not None and matched[1] not in _STEPS
    ]
    return tuple(sorted(found)) or None


def _history(document: Mapping[str, Any], layers: int) -> list[str]:
    """The line of history of each layer; empty ones where it tells of another number of them."""
    history = document.get("history")
    lines = [
        str(line.get("created_by") or "")
        for line in (history if isinstance(history, list) else [])
        if isinstance(line, dict) and not line.get("empty_layer")
    ]
    return lines if len(lines) == layers else [""] * layers
