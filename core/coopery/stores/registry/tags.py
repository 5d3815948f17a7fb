"""Under which tags records are kept. A key is its own tag, so that one request finds it.

    KEY                                  resolution of a key: 64 hexadecimal digits
    KEY u UNDER                          resolution under a part of a lock file: 32 more
    p IMAGE h HASH                       placement of an image; HASH is of the whole name, 40 digits
    x KIND START h HASH                  any other name; START is its first 30 bytes in hexadecimal
    h HASH g GENERATION w WRITTEN d DIGEST     a claim to one generation of one name (`coopery.stores.registry.records`)

Blanks are not written. All is lower-case letters and digits: however a registry sorts tags, those that begin with
something follow it directly, so that a page of a list can begin there. Source of the grammar: OCI distribution spec
v1.1, "Pulling manifests" (a tag has at most 128 characters); of the order: "Listing Tags".
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from coopery.cache import Kind, Record
from coopery.digest import Digest, hex_of
from coopery.errors import CacheError

HIGHEST: Final = 9_999_999_999
"""The last generation: ten digits sort as numbers do."""

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_UNDER: Final = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})")
_PLACED: Final = re.compile(r"sha256:([0-9a-f]{64})@.*", re.DOTALL)
_BEGUN_UNDER: Final = re.compile(r"([0-9a-f]{64})-([0-9a-f]{0,32})")
_BEGUN_PLACED: Final = re.compile(r"sha256:([0-9a-f]{0,64})(?:@.*)?", re.DOTALL)
_START: Final = 60
_CLAIM: Final = re.compile(r"h[0-9a-f]{64}g([0-9]{10})w[0-9a-f]{16}d([0-9a-f]{32})")
_POINTERS: Final = {
    "resolution": re.compile(r"[0-9a-f]{64}(?:u[0-9a-f]{32})?|xr[0-9a-f]{0,60}h[0-9a-f]{40}"),
    "placement": re.compile(r"p[0-9a-f]{64}h[0-9a-f]{40}|xp[0-9a-f]{0,60}h[0-9a-f]{40}"),
}


def pointer(kind: Kind, name: str) -> str:
    """The tag that names the newest record of *name*.

    Raises:
        CacheError: no registry could hold it: a lone surrogate.
    """
    if kind == "resolution" and _KEY.fullmatch(name):
        return name
    under = _UNDER.fullmatch(name) if kind == "resolution" else None
    if under is not None:
        return f"{under[1]}u{under[2]}"
    short = _hash(kind, name)[:40]
    placed = _PLACED.fullmatch(name) if kind == "placement" else None
    if placed is not None:
        return f"p{placed[1]}h{short}"
    return f"x{kind[0]}{_bytes(name).hex()[:_START]}h{short}"


def is_pointer(kind: Kind, tag: str) -> bool:
    """Whether *tag* is one that `pointer` makes for that *kind*."""
    return _POINTERS[kind].fullmatch(tag) is not None


def beginnings(kind: Kind, prefix: str) -> tuple[str, ...]:
    """What the tag of every name that begins with *prefix* begins with: one of these; an empty one is any tag.

    None of them is a whole tag: a registry lists what follows a tag, without that tag.
    """
    if not prefix:
        return ("",)
    other = f"x{kind[0]}{_bytes(prefix).hex()[:_START]}"
    if kind == "placement":
        placed = _BEGUN_PLACED.fullmatch(prefix)
        if placed is not None:
            return (f"p{placed[1]}", other)
        return ("p", other) if "sha256:".startswith(prefix) else (other,)
    under = _BEGUN_UNDER.fullmatch(prefix)
    if under is not None:
        return (f"{under[1]}u{under[2][:31]}", other)
    return (prefix[:63], other) if re.fullmatch(r"[0-9a-f]{1,64}", prefix) else (other,)


def claim(record: Record, manifest: Digest) -> str:
    """The tag under which one writer's *record*, kept in *manifest*, stands for its generation.

    Of one generation the first in the order of tags is the one that was written first, by its writer's clock.
    """
    written = int(max(0.0, min(record.written, 1e12)) * 1e6)
    return f"{claims(record.kind, record.name)}{record.generation:010d}w{written:016x}d{hex_of(manifest)[:32]}"


def claims(kind: Kind, name: str) -> str:
    """What the tags of all candidates for *name* begin with; ten digits of a generation follow."""
    return f"h{_hash(kind, name)}g"


def claimed(tag: str) -> tuple[int, str] | None:
    """Generation and beginning of the manifest's digest of a candidate's *tag*; None for another tag."""
    match = _CLAIM.fullmatch(tag)
    return (int(match[1]), match[2]) if match else None


def _hash(kind: Kind, name: str) -> str:
    return hashlib.sha256(kind.encode() + b"\0" + _bytes(name)).hexdigest()


def _bytes(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as exc:
        raise CacheError(f"{name[:80]!r}: no name of a record: {exc.reason}") from exc
