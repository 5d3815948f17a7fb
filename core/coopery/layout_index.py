"""Which manifest an OCI layout means by a tag: a glance at its ``index.json`` alone, enough for a key.

Source: OCI image spec v1.1, image-layout.md, "index.json file". Everything else of a layout is verified when it is
fetched, by the digest that this returns.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from coopery import digest as _digest
from coopery.digest import Digest

REF_NAME: Final = "org.opencontainers.image.ref.name"
_LIMIT: Final = 4 << 20


def manifest_digest(folder: Path, tag: str, platform: str) -> Digest:
    """Digest of the manifest, or of the index of manifests, that *tag* names; without a tag, of the only one.

    Where several remain, the one for *platform* is meant.

    Raises:
        ValueError: no layout, or none or several fit; the message lists the tags that are there.
        OSError: it cannot be read.
    """
    with (folder / "index.json").open("rb") as stream:
        data = stream.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError(f"expected an index.json of at most {_LIMIT} bytes, got more")
    found = [entry for entry in _entries(data) if not tag or _tag(entry) == tag]
    if len(found) > 1:
        found = [entry for entry in found if _platform(entry) == platform]
    if len(found) != 1:
        there = ", ".join(sorted({_tag(entry) or "(no tag)" for entry in _entries(data)})) or "nothing"
        wanted = f"tag {tag!r}" if tag else "one image"
        raise ValueError(f"expected {wanted} for {platform}, and {len(found) or 'none'} fit; there are: {there}")
    return _digest.parse(str(found[0].get("digest")))


def _entries(data: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(data)
        manifests = document["manifests"]
    except (ValueError, RecursionError, TypeError, KeyError) as exc:
        raise ValueError("its index.json is no OCI index: expected an object with a list of manifests") from exc
    if not isinstance(manifests, list) or not all(isinstance(entry, dict) for entry in manifests):
        raise ValueError("its index.json is no OCI index: expected a list of descriptors under manifests")
    return manifests


def _tag(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(REF_NAME, "")) if isinstance(annotations, dict) else ""


def _platform(entry: dict[str, Any]) -> str:
    platform = entry.get("platform")
    return f"{platform.get('os')}/{platform.get('architecture')}" if isinstance(platform, dict) else ""
