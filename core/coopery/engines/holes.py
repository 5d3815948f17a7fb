"""Versions of engines with known holes: a short dated table, for ``coopery doctor``.

Numbers are upstream's. A distribution may have mended its own package without raising the number, so that what is
found here is a reason to look, never a verdict.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

DATED: Final = "2026-11"
"""The month that the table was last gone through."""


@frozen
class Hole:
    """One known hole of *program*: fixed in ``fixed``, or in a later patch of an older series in ``also``."""

    program: str
    fixed: str
    id: str
    what: str
    also: tuple[str, ...] = ()


HOLES: Final = (
    Hole("runc", "1.1.12", "CVE-2024-21626", "a container can reach the host's files through a leaked folder"),
    Hole("runc", "1.3.3", "CVE-2025-31133", "a container can write to host files that are to be masked", ("1.2.8",)),
    Hole("crun", "1.4.4", "CVE-2022-27650", "processes start with more capabilities than they should"),
    Hole("docker", "25.0.2", "CVE-2024-24557", "the classic builder's cache can be poisoned", ("24.0.9",)),
    Hole("docker", "27.1.1", "CVE-2024-41110", "authorization plugins can be passed by", ("26.1.5", "25.0.6")),
    Hole("buildkit", "0.12.5", "CVE-2024-23652", "a step can delete files of the host"),
    Hole("buildx", "0.21.3", "CVE-2025-0495", "credentials of a cache can end up in traces"),
    Hole("buildah", "1.35.1", "CVE-2024-1753", "a mount of a build can reach the host's files", ("1.34.3", "1.33.7")),
    Hole("podman", "5.0.1", "CVE-2024-1753", "a mount of a build can reach the host's files", ("4.9.4",)),
    Hole("apptainer", "1.1.8", "CVE-2023-30549", "a prepared ext3 image can attack the kernel in setuid mode"),
    Hole("apptainer", "1.4.5", "CVE-2025-65105", "what --security asks for may not be applied"),
)


def known(program: str, version: str) -> tuple[Hole, ...]:
    """The holes of *program* in *version*; none where the version says nothing, or the program is not in the table."""
    found = numbers(version)
    return tuple(hole for hole in HOLES if found and hole.program == program and _open(hole, found))


def numbers(version: str) -> tuple[int, ...]:
    """The first dotted number in *version*: ``(1, 1, 5)`` for ``runc version 1.1.5+ds1``."""
    matched = re.search(r"\d{1,9}(?:\.\d{1,9}){1,3}", version)
    return tuple(map(int, matched[0].split("."))) if matched else ()


def _open(hole: Hole, found: tuple[int, ...]) -> bool:
    if found >= numbers(hole.fixed):
        return False
    patched = (numbers(text) for text in hole.also)
    return not any(found[:2] == least[:2] and found >= least for least in patched)
