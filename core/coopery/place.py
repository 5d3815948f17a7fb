"""The place protocol: where images are kept. A layout, an archive, a registry, a daemon, a folder of SIFs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from attrs import frozen

from coopery.digest import Digest


class Presence(Enum):
    """Whether a place has an image. UNKNOWN (it could not be asked) is an error for callers, never a yes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@frozen
class RunRequest:
    """One process to run in an image.

    Attributes:
        argv: what to run; empty for the image's own command.
        env: run-time variables, over the image's.
        mounts: pairs of host path and absolute path in the image; writable, but for those in *read_only*.
        workdir: absolute path in the image, or empty for the image's.
        user: user to run as, or empty for the image's.
        gpu: pass the host's GPUs in.
        read_only: paths in the image of those mounts that are not to be written.
    """

    argv: Sequence[str] = ()
    env: Mapping[str, str] = {}
    mounts: Sequence[tuple[Path, str]] = ()
    workdir: str = ""
    user: str = ""
    gpu: bool = False
    read_only: Sequence[str] = ()


class Place(Protocol):
    """One keeper of images."""

    name: str
    """In words that parse back: ``oci:/path``, ``docker:``, ``registry://host/repository``."""

    def exists(self, image: Digest, digest: Digest) -> Presence:
        """Whether the image with config digest *image* is here, whole, as *digest*. One check, milliseconds.

        A place that answers UNKNOWN may say why in attributes ``reason`` and ``remedy``, which callers pass on.
        """
        ...

    def remove(self, image: Digest, digest: Digest) -> bool:
        """Forget the image; False when it was not here. Blobs that others share stay."""
        ...

    def run(self, digest: Digest, request: RunRequest) -> int:
        """Run a process in the image with this terminal's streams; signals are passed on.

        Returns:
            Its exit status; 128 + n when signal n ended it.

        Raises:
            UnsupportedError: this place cannot run anything.
        """
        ...
