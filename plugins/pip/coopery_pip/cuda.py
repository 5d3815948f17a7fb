"""Wheels that are built for a newer CUDA than the target's driver supports: an index knows nothing of drivers.

Wheels bring CUDA's libraries along and say so in their names (``nvidia-cublas-cu12``) or versions (``nvidia-cublas``
13.1); which one is chosen depends on the requirement alone. A driver runs what is built for its own major version and
older ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from coopery.lock import Artifact

_SUFFIX: Final = re.compile(r"nvidia-.+-cu(\d{2})")
_BY_VERSION: Final = ("cuda-toolkit", "nvidia-cuda-runtime")
"""Packages whose own major version is CUDA's."""


def newer(artifacts: Sequence[Artifact], cuda: str | None) -> Iterator[str]:
    """At most one line for people: which of *artifacts* are for a CUDA newer than *cuda*, ``12.4``."""
    if cuda is None:
        return
    limit = int(cuda.partition(".")[0])
    found = [artifact for artifact in artifacts if (_major(artifact) or 0) > limit]
    if found:
        names = ", ".join(f"{artifact.name} {artifact.version}" for artifact in found[:3])
        yield (
            f"$.target.cuda is {cuda}, and pip chose wheels for CUDA {max(_major(one) or 0 for one in found)} "
            f"({names}): name a version, or an index, for CUDA {limit}"
        )


def _major(artifact: Artifact) -> int | None:
    match = _SUFFIX.fullmatch(artifact.name)
    if match:
        return int(match[1])
    return int(artifact.version.partition(".")[0]) if artifact.name in _BY_VERSION else None
