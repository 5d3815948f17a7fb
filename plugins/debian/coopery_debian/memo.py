"""Small facts kept between builds, each in a file with a checksum of its own. A damaged one was never there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coopery import digest as _digest
from coopery.image import encode
from coopery.whole import write_whole


class Memo:
    """JSON values by name, in a folder. Safe for many processes: the last writer of equal facts wins."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging

    def get(self, *name: str) -> Any:
        """The value kept under *name*, or None."""
        try:
            head, _, body = self._path(name).read_bytes().partition(b"\n")
            return json.loads(body) if head.decode("ascii") == _digest.of_bytes(body) else None
        except (FileNotFoundError, ValueError):
            return None

    def put(self, value: Any, *name: str) -> None:
        """Keep *value* under *name*.

        Raises:
            CacheError: the disk refused.
        """
        body = encode(value)
        sealed = _digest.of_bytes(body).encode() + b"\n" + body
        write_whole(self._path(name), sealed, self._staging, synced=False)

    def _path(self, name: tuple[str, ...]) -> Path:
        return self._root / f"{_digest.hex_of(_digest.of_bytes(encode({'name': name})))}.json"
