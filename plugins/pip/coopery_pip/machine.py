"""The machine that will run the image, as Python packaging sees it: its tags, its markers, its name in uv's words.

Nothing is detected: everything comes from the target. Source: "platform compatibility tags" of the Python Packaging
User Guide (PEP 425, PEP 600, PEP 656) and PEP 508 for markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen
from packaging.tags import Tag, compatible_tags, cpython_tags

from coopery import platform as _platform
from coopery.errors import ResolveError
from coopery.target import Provided, Resolved

_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Image architecture → that of wheels, for those that uv resolves for."""

_CEILINGS: Final = (17, 28, *range(31, 41))
"""Minor versions of glibc that uv has a name for. One between two counts as the lower, which is safe."""

_OLDEST: Final = {"x86_64": 5, "aarch64": 17}
"""The oldest glibc that wheels were tagged for. PEP 513, PEP 599."""

_ALIASES: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MUSL: Final = 2
"""Wheels for musl are tagged 1.1 and 1.2; distributions have had 1.2 since 2020."""

_NONE: Final = "none"
"""A platform of no wheel: told of no platform at all, `packaging` would ask the machine that it runs on."""

_VERSION: Final = re.compile(r"3\.\d{1,3}(?:\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?)?")
_LIBRARY: Final = re.compile(r"2\.(\d{1,3})")
_REMEDY: Final = "add python to conda.dependencies, or start from a base that has Python 3"


@frozen
class Machine:
    """What decides which wheels run.

    Attributes:
        python: ``3.12.4``, or ``3.12`` where a base says no more.
        architecture: ``x86_64``.
        glibc: minor version of glibc 2, or None.
        musl: whether the C library is musl.
    """

    python: str
    architecture: str
    glibc: int | None = None
    musl: bool = False
    _tags: dict[Tag, int] = field(factory=dict, init=False, eq=False, repr=False)

    @property
    def minor(self) -> tuple[int, int]:
        """``(3, 12)``."""
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def words(self) -> str:
        """For messages: ``Python 3.12.4, x86_64, glibc 2.36``."""
        library = "musl" if self.musl else f"glibc 2.{self.glibc}" if self.glibc is not None else "no C library"
        return f"Python {self.python}, {self.architecture}, {library}"

    @property
    def uv_platform(self) -> str:
        """What uv calls it, or the nearest that it can run wheels of."""
        if self.musl:
            return f"{self.architecture}-unknown-linux-musl"
        known = [minor for minor in _CEILINGS if self.glibc is not None and minor <= self.glibc]
        return f"{self.architecture}-manylinux_2_{max(known, default=_CEILINGS[0])}"

    @property
    def markers(self) -> dict[str, str]:
        """The values that markers are compared with. What only a running kernel could say is empty, as in uv."""
        major, minor = self.minor
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_python,
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_python,
            "python_version": f"{major}.{minor}",
            "sys_platform": "linux",
        }

    @property
    def full_python(self) -> str:
        """``3.12.4``; ``3.12.0`` where only ``3.12`` is known."""
        return self.python if self.python.count(".") > 1 else f"{self.python}.0"

    def rank(self, tags: frozenset[Tag]) -> int | None:
        """How well a wheel with *tags* fits: 0 is best; None: it does not run here."""
        if not self._tags:
            self._tags.update({tag: place for place, tag in reversed(list(enumerate(self._all_tags())))})
        return min((self._tags[tag] for tag in tags if tag in self._tags), default=None)

    def _all_tags(self) -> Iterator[Tag]:
        name = f"cp{self.minor[0]}{self.minor[1]}"
        platforms = list(self._platforms()) or [_NONE]
        yield from cpython_tags(self.minor, [name], platforms)
        yield from compatible_tags(self.minor, name, platforms)

    def _platforms(self) -> Iterator[str]:
        if self.musl:
            yield from (f"musllinux_1_{minor}_{self.architecture}" for minor in range(_MUSL, -1, -1))
        if self.glibc is not None:
            for minor in range(self.glibc, _OLDEST[self.architecture] - 1, -1):
                yield f"manylinux_2_{minor}_{self.architecture}"
                if minor in _ALIASES:
                    yield f"{_ALIASES[minor]}_{self.architecture}"
        if self.musl or self.glibc is not None:
            yield f"linux_{self.architecture}"


def machine(target: Resolved, provided: Provided) -> Machine:
    """The machine of *target*, with the Python that *provided* brings, else the base's own.

    Raises:
        ResolveError: there is no Python, or wheels for it cannot be resolved.
    """
    architecture = _ARCHITECTURES.get(_platform.architecture(target.platform))
    if architecture is None:
        known = ", ".join(f"linux/{name}" for name in sorted(_ARCHITECTURES))
        message = f"$.target.platform: wheels for {target.platform} cannot be resolved"
        raise ResolveError(message, remedy=f"known are {known}; elsewhere take the packages from conda")
    library = _LIBRARY.fullmatch(target.glibc or "")
    musl = target.glibc is None and "musl" in (target.facts.loader or "")
    return Machine(_python(target, provided), architecture, int(library[1]) if library else None, musl)


def _python(target: Resolved, provided: Provided) -> str:
    facts = target.facts
    version = provided.python or getattr(facts, "python_release", None) or facts.python_version
    if version is None:
        raise ResolveError("$.pip: there is no Python in the base, and none comes from conda", remedy=_REMEDY)
    if not _VERSION.fullmatch(version):
        raise ResolveError(f"$.pip: wheels for Python {version} cannot be resolved", remedy=_REMEDY)
    if re.search(r"/python3\.\d+t/", provided.site_packages or ""):
        message = f"$.pip: wheels for the free-threaded Python {version} cannot be resolved yet"
        raise ResolveError(message, remedy="take python=*=*_cp* from conda, or the packages themselves from conda")
    return version
