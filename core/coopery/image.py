"""Image configs and images. A config's digest is the image id.

Source: OCI image spec v1.1, config.md. Fields that we do not know are kept as they came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.layer import Layer

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of an image that states none: what Docker and runc give to a process then."""


def variables(document: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the image with the config *document*: those that it states, and PATH where it does not."""
    stated = (str(entry).partition("=") for entry in (document.get("config") or {}).get("Env") or ())
    return {"PATH": DEFAULT_PATH, **{name: value for name, equals, value in stated if name and equals}}


def encode(document: Mapping[str, Any]) -> bytes:
    """The one form in which we write JSON that has a digest: sorted keys, no spaces, UTF-8, no trailing newline."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@frozen
class Assembled:
    """A complete image before any place has it: config bytes, and layers from the bottom up."""

    config: bytes = field(repr=False)
    layers: tuple[Layer, ...]

    @property
    def image_id(self) -> Digest:
        """OCI config digest: the same on every engine."""
        return _digest.of_bytes(self.config)

    @property
    def document(self) -> dict[str, Any]:
        """The config, parsed. A new copy each time."""
        parsed: dict[str, Any] = json.loads(self.config)
        return parsed


@frozen
class Made:
    """What a build did, for people: layers cut and reused, seconds by stage."""

    layers_made: int = 0
    layers_reused: int = 0
    seconds: tuple[tuple[str, float], ...] = ()


@frozen
class Image:
    """What a build returns: where the image is and what is inside. Equal for all callers of one key and place.

    Attributes:
        key: what was asked for; empty for an image that was pulled.
        id: OCI config digest.
        reference: what to give to an engine: ``oci:/path/to/layout:tag``.
        place: where it is, in words of the place.
        digest: manifest digest at that place.
        generation: 1, or more after rebuilds; 0 for an image that was pulled.
        lock: digest of the lock; None when the user manages Python.
        platform: ``linux/amd64``.
        size: bytes of all blobs.
        layers: how many.
        interpreter: path of Python in the image, or None.
        prefix: where packages live, or None.
        hit: True when nothing was built for this call. No part of equality.
        made: what this call did; empty on a hit. No part of equality.
        cached: False when the records could not be written, or it is kept beside a cache folder that cannot be.
        under: names the part of the lock file that it was built under; empty: none. No part of equality.
        instead_of: id of the image that is recorded for everybody, where that could not be had here and was made again
            under its lock, with other bytes (what ``run:`` steps give may differ); None: it is the recorded one.
    """

    key: str
    id: Digest
    reference: str
    place: str
    digest: Digest
    generation: int
    platform: str
    size: int
    layers: int
    lock: Digest | None = None
    interpreter: str | None = None
    prefix: str | None = None
    hit: bool = field(default=False, eq=False)
    made: Made = field(default=Made(), eq=False)
    cached: bool = field(default=True, eq=False)
    under: str = field(default="", eq=False)
    instead_of: Digest | None = None
