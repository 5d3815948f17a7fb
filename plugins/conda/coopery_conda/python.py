"""The Python among the packages of a lock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from coopery.bytecode import Python
from coopery.lock import Artifact

NAME: Final = "python"
_FREE_THREADED: Final = re.compile(r"_cp\d+t\Z")  # conda-forge's build strings: h92d6c8b_2_cp313t


def python_of(artifacts: Iterable[Artifact]) -> Python | None:
    """The Python among *artifacts*. Where it keeps its packages follows from version and build string."""
    found = next((artifact for artifact in artifacts if artifact.name == NAME), None)
    if found is None:
        return None
    minor = Python(found.version, "").minor
    threads = "t" if _FREE_THREADED.search(found.build) else ""
    return Python(found.version, f"lib/python{minor}{threads}/site-packages")
