"""What works on this machine and what does not, found out by trying: ``coopery doctor``.

Each finding says what is there, whether it works, why not, and what to do. Nothing is built, fetched or changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from attrs import evolve, frozen

from coopery.backend import Abilities, Examination
from coopery.engines import choose
from coopery.engines.holes import DATED, known
from coopery.engines.machine import machine
from coopery.engines.probe import first_line
from coopery.engines.stores import stores
from coopery.errors import CooperyError, PluginError

if TYPE_CHECKING:
    from coopery.build import Builder

Kind = Literal["backend", "engine", "machine", "store"]

WITHOUT_PLUGIN: Final = {
    "docker": ("docker", "coopery-docker"),
    "podman": ("podman", "coopery-podman"),
    "apptainer": ("singularity", "coopery-singularity"),
    "singularity": ("singularity", "coopery-singularity"),
}
"""Program of an engine → the backend that drives it, and the distribution to install."""

TOOLS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "docker": (("docker", "buildx", "version"), ("runc", "--version")),
    "podman": (("podman", "--version"), ("buildah", "--version"), ("runc", "--version"), ("crun", "--version")),
}
"""Programs that an engine works through, whose versions count too; the name is the last word that is no option."""


@frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        kind: a backend, an engine that no installed plugin drives, a part of the machine, or a store.
        name: ``docker``, ``cache folder``.
        found: whether it is there at all.
        works: whether it does what was tried. A part of the machine that is there and limits something still works.
        version: as the thing itself states it, or empty.
        details: lines for people.
        problem: why it does not work, or what is missing.
        remedy: what to do about that.
        holes: known holes of the versions that were found.
        abilities: of a backend.
    """

    kind: Kind
    name: str
    found: bool
    works: bool
    version: str = ""
    details: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""
    holes: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()


@frozen
class Diagnosis:
    """All that was found.

    Attributes:
        chosen: the backend that builds where nothing else is said.
        reason: who chose it.
        findings: backends in the order in which they are asked, engines without a plugin, the machine, the stores.
        dated: month of the table of known holes.
    """

    chosen: str
    reason: str
    findings: tuple[Finding, ...]
    dated: str = DATED

    @property
    def healthy(self) -> bool:
        """Whether the chosen backend works."""
        return any(one.kind == "backend" and one.name == self.chosen and one.works for one in self.findings)


def diagnose(builder: Builder) -> Diagnosis:
    """Look at every backend, at engines without a plugin, at the machine, and at the stores that are named."""
    backends = tuple(_backends(builder))
    chosen, reason = _chosen(builder)
    missing = () if any(one.name == chosen for one in backends) else (_not_installed(builder, chosen),)
    here = (*machine(builder, Finding), *stores(builder, Finding))
    return Diagnosis(chosen, reason, (*backends, *missing, *_engines(builder), *here))


def _chosen(builder: Builder) -> tuple[str, str]:
    if not builder.named:
        return builder.backend_name, "it needs no engine; a definition that does gets the first that works"
    origin = builder.settings.origins.get("backend", "")
    given = builder.backend_name != builder.settings.backend
    return builder.backend_name, "named by the caller" if given else f"set by {origin or 'the settings'}"


def _backends(builder: Builder) -> Iterator[Finding]:
    classes = builder.plugins_loaded.backends()
    for name in choose.in_order(classes):
        found = _examined(builder, name)
        seen = _finding("backend", name, found)
        yield evolve(seen, holes=tuple(_holes(name, found)), abilities=_abilities(classes[name].abilities))


def _abilities(found: Abilities) -> tuple[str, ...]:
    names = ("run", "dockerfile", "registry", "secrets", "network", "gpu")
    return tuple(name for name in names if getattr(found, name))


def _examined(builder: Builder, name: str) -> Examination:
    """A backend must not raise here; one that does is broken, and the others are still to be looked at."""
    try:
        return choose.examine(builder, name)
    except CooperyError as exc:
        return Examination(found=True, works=False, problem=exc.message, remedy=exc.remedy)
    except Exception as exc:  # a stranger's code: whatever it raises is what is wrong with it
        problem = f"its plugin failed: {type(exc).__name__}: {exc}"
        return Examination(found=True, works=False, problem=problem, remedy="update or uninstall the plugin")


def _not_installed(builder: Builder, name: str) -> Finding:
    try:
        builder.plugins_loaded.backend(name)
    except PluginError as exc:
        return Finding("backend", name, found=False, works=False, problem=exc.message, remedy=exc.remedy)
    raise AssertionError(f"{name} is installed and was not looked at")


def _engines(builder: Builder) -> Iterator[Finding]:
    installed = builder.plugins_loaded.backends()
    for program, (backend, distribution) in WITHOUT_PLUGIN.items():
        path = shutil.which(program)
        if path is None or backend in installed:
            continue
        version = first_line((path, "--version"))
        problem = f"no plugin drives it, so that backend {backend!r} is not there"
        remedy = f"pip install {distribution}"
        yield Finding("engine", program, found=True, works=False, version=version, problem=problem, remedy=remedy)


def _finding(kind: Kind, name: str, found: Examination) -> Finding:
    return Finding(
        kind, name, found.found, found.works, found.version, tuple(found.details), found.problem, found.remedy
    )


def _holes(name: str, found: Examination) -> Iterator[str]:
    versions = {{"singularity": "apptainer"}.get(name, name): found.version}
    for argv in TOOLS.get(name, ()) if found.found else ():
        tool = next(word for word in reversed(argv) if word not in ("version", "--version"))
        versions[tool] = first_line(argv)
    for tool, version in versions.items():
        for hole in known(tool, version):
            number = ".".join(map(str, _numbers(version)))
            yield f"{tool} {number}: {hole.id}, fixed in {hole.fixed}: {hole.what}{_packaged(version)}"


def _numbers(version: str) -> tuple[int, ...]:
    from coopery.engines.holes import numbers

    return numbers(version)


def _packaged(version: str) -> str:
    """Debian and Ubuntu mend without raising upstream's number; their versions show it."""
    marks = ("+ds", "+dfsg", "ubuntu", "deb")
    return " (a distribution's package, which may have been mended)" if any(mark in version for mark in marks) else ""
