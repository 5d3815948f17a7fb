"""Image platforms by the names that conda's tools give them.

Source: conda's ``KNOWN_SUBDIRS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUBDIRS: Final[Mapping[str, str]] = {
    "linux/amd64": "linux-64",
    "linux/arm64": "linux-aarch64",
    "linux/ppc64le": "linux-ppc64le",
    "linux/s390x": "linux-s390x",
    "linux/riscv64": "linux-riscv64",
}

NOARCH: Final = "noarch"


def fits(subdir: str, platform: str) -> bool:
    """Whether packages of *subdir* may be in an image for *platform*."""
    return subdir in (NOARCH, SUBDIRS.get(platform))
