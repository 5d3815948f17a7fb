"""Copy a blob out of the store and see that it is still what its digest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from coopery.blobs import BlobStore
from coopery.digest import Digest, of_file
from coopery.errors import IntegrityError
from coopery.oci.compression import CHUNK, Hashed


def check(where: str, what: str, expected: Digest, found: Digest, remedy: str = "") -> None:
    """Compare two digests.

    Raises:
        IntegrityError: they differ.
    """
    if expected != found:
        raise IntegrityError(f"{where}: expected {what} {expected}, got {found}", remedy=remedy)


def damaged(manifest: Digest, blobs: BlobStore, sound: set[Digest]) -> tuple[Digest, ...]:
    """The layers of *manifest*, a whole image of ours, that hold other bytes than their digests say.

    Args:
        manifest: its digest; its own bytes are known to be right.
        blobs: where it is.
        sound: layers that need not be read again; those that are found to be right are added.

    Raises:
        OSError: the disk could not be asked.
    """
    wrong = []
    for layer in json.loads(blobs.path(manifest).read_bytes())["layers"]:
        digest = Digest(layer["digest"])
        if digest in sound:
            continue
        with blobs.path(digest).open("rb") as file:
            right = of_file(file) == digest
        if right:
            sound.add(digest)
        else:
            wrong.append(digest)
    return tuple(wrong)


def copy(path: Path, digest: Digest, write: Callable[[bytes], object]) -> None:
    """Hand the file's bytes to *write*.

    Raises:
        IntegrityError: absent, or other bytes; known only at the end.
    """
    try:
        with path.open("rb", buffering=0) as file:
            hashed = Hashed(file)
            while piece := hashed.read(CHUNK):
                write(piece)
    except FileNotFoundError as exc:
        raise IntegrityError(f"layer {digest}: its blob is missing") from exc
    check(str(path), "digest", digest, hashed.digest)
