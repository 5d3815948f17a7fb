"""What is in a layer, found once and kept beside its blob under the layer's diff id.

The file is a line with the sha256 of the rest, then JSON. A damaged one is made again.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Final

from coopery import digest as _digest
from coopery import sharing
from coopery.blobs import BlobStore
from coopery.layer import Layer
from coopery.oci.layer_blob import name_of, opened
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.tar import Member, TarReader

_FORM: Final = "coopery.entries.v1"


def members_of(layer: Layer, blobs: BlobStore, limits: Limits = DEFAULT) -> list[Member]:
    """All entries of *layer*, in the tar's order; offsets count in the uncompressed tar.

    Raises:
        IntegrityError: the blob is missing or damaged, no tar that we read, or beyond *limits*.
    """
    path = blobs.beside(layer.diff_id, "entries")
    members = _load(path)
    if members is None:
        with opened(layer, blobs, limits) as stream:
            members = list(TarReader(stream, limits, name_of(layer)))
        _save(path, members, blobs.staging)
    return members


def _load(path: Path) -> list[Member] | None:
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:  # none yet, or none that can be read: it is made again
        return None
    if head.decode("ascii", "replace") != _digest.of_bytes(body):
        return None
    document = json.loads(body)
    return [Member(*values) for values in document["members"]] if document["form"] == _FORM else None


def _save(path: Path, members: list[Member], staging: Path) -> None:
    body = json.dumps({"form": _FORM, "members": members}, separators=(",", ":")).encode("ascii")
    temporary = ""
    try:
        sharing.make_folders(path.parent)
        sharing.make_folders(staging)
        handle, temporary = tempfile.mkstemp(prefix="entries-", dir=staging)
        with os.fdopen(handle, "wb") as file:
            file.write(_digest.of_bytes(body).encode("ascii") + b"\n" + body)
            os.fchmod(handle, sharing.file_mode(staging, 0o600))
        os.replace(temporary, path)
    except OSError:  # a full or read-only disk: the index is found again next time, nothing is lost
        if temporary:
            Path(temporary).unlink(missing_ok=True)
