"""What can be refused before anything is fetched: abilities that a backend lacks, plugins that are not installed."""

from __future__ import annotations

from coopery.backend import Abilities
from coopery.definition import (
    CopyStep,
    DebianBase,
    Environment,
    RunStep,
    ScratchBase,
    WorkdirStep,
)
from coopery.engines.needs import FROM_SOURCE, builds_packages, from_source, needs
from coopery.errors import DefinitionError, PluginError, Problem, UnsupportedError
from coopery.plugins import Plugins

SECTIONS = ("conda", "pip", "spark")
"""Sections of a definition that a materializer of the same name answers for."""

_REMEDIES = {
    "run": "use copy, env, workdir and user steps, or install a backend that runs steps in an engine",
}
"""What to do where no installed backend has an ability."""

_WHEEL = "build a wheel of it into a folder, and name that folder under pip.find_links"


def check(environment: Environment, backend: str, plugins: Plugins) -> None:
    """Refuse what *backend* or the installed plugins cannot do.

    Raises:
        DefinitionError: it would make an image of nothing.
        UnsupportedError: the backend lacks an ability; names the field, the ability and who has it.
        PluginError: no materializer or base source is installed for a section.
    """
    if isinstance(environment.base, ScratchBase) and not _has_files(environment):
        remedy = "add packages or a copy step, or start from another base"
        raise DefinitionError(
            [Problem("$.base", "scratch, with no files and no packages: nothing to make", remedy=remedy)]
        )
    classes = plugins.backends()
    abilities = plugins.backend(backend).abilities
    if not builds_packages(abilities):
        able = [name for name, other in classes.items() if builds_packages(other.abilities)]
        for place in from_source(environment):
            raise UnsupportedError(backend, FROM_SOURCE, place, able, remedy=_WHEEL)
    for ability, field_path in needs(environment):
        if not getattr(abilities, ability):
            others = [name for name, other in classes.items() if getattr(other.abilities, ability)]
            raise UnsupportedError(backend, ability, field_path, others, remedy=_REMEDIES.get(ability, ""))
    _check_platform(environment, backend, abilities)
    if isinstance(environment.base, DebianBase):
        plugins.base_source("debian")
    wanted = sections(environment)
    installed = plugins.materializers(wanted)
    for section in wanted:
        if section not in installed:
            raise PluginError(
                f"$.{section}: no plugin that materializes {section} packages is installed",
                remedy=f"pip install coopery-{section}, or take the section out",
            )


def sections(environment: Environment) -> tuple[str, ...]:
    """Names of the package sections that *environment* has."""
    return tuple(name for name in SECTIONS if getattr(environment, name) is not None)


def _has_files(environment: Environment) -> bool:
    makers = (RunStep, CopyStep, WorkdirStep)
    return bool(sections(environment)) or any(isinstance(step, makers) for step in environment.steps)


def _check_platform(environment: Environment, backend: str, abilities: Abilities) -> None:
    platform = environment.target.platform
    if "*" not in abilities.platforms and platform not in abilities.platforms:
        raise UnsupportedError(backend, f"platform {platform}", "$.target.platform")
