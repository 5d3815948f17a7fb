"""The Python of an environment, as far as packages' paths and bytes depend on it."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

_RELEASE: Final = re.compile(r"(\d+)\.(\d+)(\.|\Z)")


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
