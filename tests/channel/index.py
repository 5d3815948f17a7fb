"""Write the channel's indexes: ``repodata.json`` in each subdir, plain and as zstd. Source: conda's CEP 15 and 16."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zstandard


def write(channel: Path, subdirs: Iterable[str], records: Iterable[dict[str, Any]]) -> None:
    """Index *records*; a subdir without packages has an index too."""
    everything = sorted(records, key=lambda record: record["fn"])
    for subdir in subdirs:
        packages = {
            record["fn"]: {name: value for name, value in record.items() if name != "fn"}
            for record in everything
            if record["subdir"] == subdir
        }
        document = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": packages,
            "removed": [],
            "repodata_version": 1,
        }
        data = json.dumps(document, sort_keys=True, indent=1).encode()
        folder = channel / subdir
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "repodata.json").write_bytes(data)
        (folder / "repodata.json.zst").write_bytes(zstandard.ZstdCompressor(level=3).compress(data))
