"""The Python of an environment, as far as packages' paths and bytes depend on it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from coopery.lock import Artifact

NAME: Final = "python"
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)(\.|\Z)")
_FREE_THREADED: Final = re.compile(r"_cp\d+t\Z")  # conda-forge's build strings: h92d6c8b_2_cp313t


@frozen
class Python:
    """One Python.

    Attributes:
        version: all of it, ``3.12.4``.
        site_packages: relative to the prefix, ``lib/python3.12/site-packages``.
    """

    version: str
    site_packages: str

    @property
    def minor(self) -> str:
        """``3.12``."""
        match = _RELEASE.match(self.version)
        return f"{match[1]}.{match[2]}" if match else self.version

    @property
    def library(self) -> str:
        """Where its modules live, relative to the prefix: ``lib/python3.12``."""
        return self.site_packages.rpartition("/")[0]

    @property
    def executable(self) -> str:
        """Relative to the prefix: ``bin/python3.12``."""
        return f"bin/python{self.minor}"

    @property
    def cache_tag(self) -> str:
        """What stands in the names of ``.pyc`` files: ``cpython-312``. PEP 3147."""
        return f"cpython-{self.minor.replace('.', '')}"

    def compiled(self, path: str) -> str:
        """Where the ``.pyc`` of the module at *path* belongs. PEP 3147."""
        folder, _, name = path.rpartition("/")
        return f"{folder}/__pycache__/{name.removesuffix('.py')}.{self.cache_tag}.pyc".lstrip("/")


def python_of(artifacts: Iterable[Artifact]) -> Python | None:
    """The Python among *artifacts*. Where it keeps its packages follows from version and build string."""
    found = next((artifact for artifact in artifacts if artifact.name == NAME), None)
    if found is None:
        return None
    minor = Python(found.version, "").minor
    threads = "t" if _FREE_THREADED.search(found.build) else ""
    return Python(found.version, f"lib/python{minor}{threads}/site-packages")
