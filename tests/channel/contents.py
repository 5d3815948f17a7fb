"""What is in ``packages.toml``, as values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

FOLDER = Path(__file__).parent
PYTHON = "3.11"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"


@frozen
class Subdir:
    """One folder of the channel: Debian's words for its machine, and the tags of the wheels that run on it."""

    name: str
    architecture: str
    triplet: str
    wheels: tuple[str, ...]


@frozen
class Contents:
    """All that goes into the channel."""

    suite: str
    python: tuple[str, ...]
    subdirs: tuple[Subdir, ...]
    libraries: dict[str, tuple[str, ...]]
    wheels: dict[str, tuple[str, ...]]
    names: dict[str, str]

    def conda_name(self, project: str) -> str:
        """The conda package of a project on the Python package index."""
        if project not in self.wheels:
            raise KeyError(f"{project} is needed and stands not in packages.toml")
        return self.names.get(project, project)


def read(path: Path = FOLDER / "packages.toml") -> Contents:
    """Read the file."""
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return Contents(
        suite=document["suite"],
        python=tuple(document["python"]),
        subdirs=tuple(
            Subdir(name, one["architecture"], one["triplet"], tuple(one["wheels"]))
            for name, one in document["subdirs"].items()
        ),
        libraries={name: tuple(packages) for name, packages in document["libraries"].items()},
        wheels={name: tuple(versions) for name, versions in document["wheels"].items()},
        names=document["names"],
    )
