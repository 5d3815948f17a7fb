"""What reading one file gives, and what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from coopery.exchange import Listed

_RUN: Final = re.compile(r"[-_.]+")


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalized, names))


def _in_order(packages: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple(sorted(packages, key=lambda package: (package.kind, package.name, package.place)))


@frozen
class Wanted:
    """Which of a file's packages are wanted: lock files hold several platforms and environments.

    Attributes:
        platform: image platform, ``linux/amd64``.
        environment: the file's name for an environment, category or dependency group; empty: its default.
        without: names of packages to leave out, whatever they are: a project's own, which no lock can name.
    """

    platform: str
    environment: str = ""
    without: frozenset[str] = field(default=frozenset(), converter=_names)

    def leaves_out(self, name: str) -> bool:
        """Whether the package *name* is not wanted, however it is spelt."""
        return normalized(name) in self.without


@frozen
class Imported:
    """The packages of one file, for one platform.

    Attributes:
        form: name of the format, ``pixi``.
        file: as the user named it.
        kinds: materializers that the format speaks to: an explicit list says nothing of pip.
        packages: by kind and name.
        left_out: names that were left out because they were asked to be.
    """

    form: str
    file: str
    kinds: tuple[str, ...]
    packages: tuple[Listed, ...] = field(converter=_in_order)
    left_out: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[Listed, ...]:
        """The packages of one materializer."""
        return tuple(package for package in self.packages if package.kind == kind)


def normalized(name: str) -> str:
    """A package's name in its one spelling. Source: PyPA, "Names and normalization"; conda's have no other."""
    return _RUN.sub("-", name).lower()
