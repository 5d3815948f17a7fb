"""Copy a blob out of the store and see that it is still what its digest says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci.compression import CHUNK, Hashed


def check(where: str, what: str, expected: Digest, found: Digest, remedy: str = "") -> None:
    """Compare two digests.

    Raises:
        IntegrityError: they differ.
    """
    if expected != found:
        raise IntegrityError(f"{where}: expected {what} {expected}, got {found}", remedy=remedy)


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
