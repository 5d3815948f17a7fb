"""Whether a layout has an image, whole: the one existence check of a hit. Imports nothing that a hit can do without."""

from __future__ import annotations

import json
import os
from pathlib import Path

from coopery import digest as _digest
from coopery.digest import Digest


def complete(root: Path, image: Digest, manifest: Digest) -> bool:
    """Whether the image with config digest *image* is in the layout at *root*, whole and listed, as *manifest*.

    Manifest and config are hashed, layers looked at by size. Any damage is a False. Well under a millisecond.

    Raises:
        OSError: the disk could not be asked.
    """
    folder = os.path.join(root, "blobs", "sha256", "")
    try:
        data = _read(folder + _digest.hex_of(manifest))
        if _digest.of_bytes(data) != manifest or manifest.encode("ascii") not in _read(root / "index.json"):
            return False
        found = json.loads(data)  # its digest says that these are bytes which `Layout.add` has written
        if not found["config"]["digest"] == image == _digest.of_bytes(_read(folder + _digest.hex_of(image))):
            return False
        return all(os.stat(folder + layer["digest"][7:]).st_size == layer["size"] for layer in found["layers"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # the last three: no manifest at all
        return False


def _read(path: str | Path) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
