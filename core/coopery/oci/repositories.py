"""Which repositories of which registries have a blob, as far as we were told: where another may mount it from.

A hint beside the blob, nothing more: a registry that has it no longer, or not for us, is sent the bytes.
Source: OCI distribution spec v1.1, "Mounting a blob from another repository".
"""

from __future__ import annotations

import re
from typing import Final

from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.whole import write_whole

FOLDER: Final = "repositories"
_KEPT: Final = 8
_LINE: Final = re.compile(r"[A-Za-z0-9.:\[\]-]+/[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")


def repositories(digest: Digest, host: str, blobs: BlobStore) -> tuple[str, ...]:
    """Repositories on *host* that had the blob, the latest first."""
    prefix = f"{host}/"
    return tuple(line.removeprefix(prefix) for line in _read(digest, blobs) if line.startswith(prefix))


def remember(digest: Digest, host: str, repository: str, blobs: BlobStore) -> None:
    """*repository* on *host* has the blob.

    Raises:
        CacheError: the disk refused.
    """
    line = f"{host}/{repository}"
    lines = _read(digest, blobs)
    if line in lines:
        return
    data = "\n".join([line, *lines][:_KEPT]).encode("ascii")
    write_whole(blobs.beside(digest, FOLDER), data, blobs.staging, synced=False)


def _read(digest: Digest, blobs: BlobStore) -> list[str]:
    try:
        lines = blobs.beside(digest, FOLDER).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):  # none yet, or damaged: a hint less
        return []
    return [line for line in lines if _LINE.fullmatch(line)]
