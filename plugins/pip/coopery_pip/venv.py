"""Pip without conda: a venv at the prefix on the base's own Python, as one small tree. The base is never written.

What ``python -m venv --without-pip`` makes, less what names the machine that made it. Source: PEP 405 and CPython's
``Lib/venv/__init__.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from coopery.errors import BaseError
from coopery.layer import Entry, Tree
from coopery.materializer import Configuration
from coopery.target import Provided, Resolved
from coopery_pip.layout import VENV_PYTHON, layout

_RANK: Final = 1
"""Above every wheel: a wheel with a script called ``python`` must not take the interpreter's place."""


def is_needed(provided: Provided) -> bool:
    """Whether nobody before pip brought a Python."""
    return provided.interpreter is None


def provides(target: Resolved) -> Provided:
    """The venv's Python. Its version is the base's, ``major.minor`` where the base does not say more.

    Raises:
        BaseError: the base has no Python.
    """
    _check(target)
    made = layout(target, Provided())
    site_packages = f"{target.prefix}/{made.python.site_packages}"
    return Provided(python=made.python.version, interpreter=made.interpreter, site_packages=site_packages)


def tree(target: Resolved, recipe: str) -> Tree:
    """``pyvenv.cfg``, links to the base's interpreter, and an empty ``site-packages``.

    Raises:
        BaseError: the base has no Python.
    """
    base = _check(target)
    version = layout(target, Provided()).python.version
    prefix = target.prefix.strip("/")

    def entries() -> Iterator[Entry]:
        text = _configuration(base.rpartition("/")[0], version)
        yield Entry(f"{prefix}/pyvenv.cfg", source=text, size=len(text))
        yield Entry(f"{prefix}/{VENV_PYTHON}", "symlink", 0o777, target=base)
        for name in ("python3", f"python{target.facts.python_version}"):
            yield Entry(f"{prefix}/bin/{name}", "symlink", 0o777, target="python")
        yield Entry(f"{prefix}/lib64", "symlink", 0o777, target="lib")
        yield Entry(f"{prefix}/{layout(target, Provided()).python.site_packages}", "directory", 0o755)

    return Tree(
        name=f"venv of Python {version}",
        package="venv",
        identity=(("base python", base), ("prefix", target.prefix), ("python", version), ("recipe", f"{recipe}.venv")),
        paths=lambda: (entry.path + ("/" if entry.kind == "directory" else "") for entry in entries()),
        entries=entries,
        rank=_RANK,
        floor=1,
    )


def configuration(target: Resolved) -> Configuration:
    """What ``activate`` sets. Source: CPython's ``Lib/venv/scripts/common/activate``."""
    return Configuration(
        path=(f"{target.prefix}/bin",),
        env=(("PYTHONNOUSERSITE", "1"), ("VIRTUAL_ENV", target.prefix)),
        unset=("PYTHONHOME", "PYTHONPATH"),
    )


def _check(target: Resolved) -> str:
    """The base's interpreter."""
    if target.facts.python is None or target.facts.python_version is None:
        raise BaseError(
            "the base has no Python that pip's packages could run on, and conda brings none",
            remedy="add python to $.conda.dependencies, or choose a base with Python",
        )
    return target.facts.python


def _configuration(home: str, version: str) -> bytes:
    return f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n".encode()
