"""Where the parts of a wheel go below a prefix.

Source: the installation schemes of `sysconfig` (``posix_prefix``, ``venv``) and, for headers, those of pip.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from coopery.bytecode import Python
from coopery.target import Provided, Resolved

VENV_PYTHON: Final = "bin/python"


@frozen
class Layout:
    """One prefix with one Python.

    Attributes:
        prefix: absolute path in the image.
        interpreter: absolute path in the image of what runs scripts.
        python: the Python; its *version* is the exact one, or ``major.minor`` where no more is known.
        headers: folder for headers, relative to *prefix*; each distribution has one in it.
    """

    prefix: str
    interpreter: str
    python: Python
    headers: str

    @property
    def compiles(self) -> bool:
        """Whether the exact version is known, without which no ``.pyc`` can be made."""
        return self.python.version.count(".") > 1

    def place(self, scheme: str, distribution: str, path: str) -> str:
        """Where a wheel's *path* in *scheme* belongs, relative to the prefix."""
        folders = {
            "purelib": self.python.site_packages,
            "platlib": self.python.site_packages,
            "scripts": "bin",
            "headers": f"{self.headers}/{distribution}",
            "data": "",
        }
        return f"{folders[scheme]}/{path}".lstrip("/")


def layout(target: Resolved, provided: Provided) -> Layout:
    """Where wheels go: beside the Python that came before pip, else into a venv of the base's own.

    Args:
        target: with the facts of the base.
        provided: by those who came before pip.
    """
    if provided.interpreter and provided.site_packages and provided.python:
        site_packages = provided.site_packages.removeprefix(target.prefix).strip("/")
        python = Python(provided.python, site_packages)
        headers = f"include/{python.library.rpartition('/')[2]}"
        return Layout(target.prefix, provided.interpreter, python, headers)
    minor = target.facts.python_version
    python = Python(target.facts.python_release or minor or "", f"lib/python{minor}/site-packages")
    return Layout(target.prefix, f"{target.prefix}/{VENV_PYTHON}", python, f"include/site/python{minor}")
