"""Digests, as OCI writes them: ``sha256:`` and 64 lower-case hexadecimal digits.

Source: OCI image spec v1.1, descriptor.md, "Digests".
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, NewType

Digest = NewType("Digest", str)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20


def of_bytes(data: bytes) -> Digest:
    """Digest of *data*."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def of_file(stream: BinaryIO) -> Digest:
    """Digest of what is left in *stream*, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return Digest("sha256:" + digest.hexdigest())


def parse(text: str) -> Digest:
    """Check *text* and return it typed.

    Raises:
        ValueError: *text* is not a sha256 digest in its one spelling (upper case is refused, as the spec says).
    """
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"expected sha256: and 64 lower-case hexadecimal digits, got {text!r}")
    return Digest(text)


def hex_of(digest: Digest) -> str:
    """The 64 hexadecimal digits of *digest*."""
    return digest.partition(":")[2]


def short(digest: str) -> str:
    """The first 12 hexadecimal digits, for people."""
    return digest.rpartition(":")[2][:12]
