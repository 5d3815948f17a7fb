"""What a definition needs of a backend beyond what every backend has. Pure, and on the way to every hit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from coopery.definition import ContextBase, DockerfileBase, Environment, ImageBase, RunStep

if TYPE_CHECKING:
    from coopery.backend import Abilities

Need = tuple[str, str]
"""The name of an ability (`coopery.backend.Abilities`), and the field path of what asks for it."""

FROM_SOURCE: Final = "build packages from source"
"""What a backend lacks that does not satisfy `builds_packages`, in the words of `UnsupportedError`."""

_CODE: Final = re.compile(r"(?:^|@\s*)(?:(?:git|hg|svn|bzr)\+|https?://(?![^\s#?]*\.whl(?:[\s;#?]|$)))")
"""What a requirement is that names code, not a wheel: a repository, or the URL of any other file."""


def needs(environment: Environment) -> Iterator[Need]:
    """Each ability that *environment* needs, once for each field that asks."""
    if isinstance(environment.base, ImageBase):
        yield "registry", "$.base.image"
    yield from engine_needs(environment)


def engine_needs(environment: Environment) -> Iterator[Need]:
    """Those of `needs` that only an engine has; nothing for a definition that core can build by itself."""
    if isinstance(environment.base, DockerfileBase):
        yield "dockerfile", "$.base.dockerfile"
    if isinstance(environment.base, ContextBase):
        yield "dockerfile", "$.base.context"
    for index, step in enumerate(environment.steps):
        if isinstance(step, RunStep):
            yield "run", f"$.steps[{index}].run"
            if step.secrets:
                yield "secrets", f"$.steps[{index}].secrets"
            if not step.network:
                yield "network", f"$.steps[{index}].network"
    if environment.build.secrets:
        yield "secrets", "$.build.secrets"
    for place in from_source(environment):
        yield "run", place
        yield "network", place


def builds_packages(abilities: Abilities) -> bool:
    """Whether packages can be built from source with *abilities*: as a step, with the network taken away from it."""
    return abilities.run and abilities.network


def from_source(environment: Environment) -> Iterator[str]:
    """Where packages are asked for that only building could give: ``FILE:LINE:COLUMN: $.pip…``."""
    pip = environment.pip
    if pip is None:
        return
    for name in ("requirements", "constraints"):
        for text in getattr(pip, name):
            if _CODE.search(text):
                yield f"{environment.places(text) or f'$.pip.{name}'}: {text}"
    for name in pip.no_binary:
        if name != ":none:":
            yield f"$.pip.no_binary: {name}"


def secret_ids(environment: Environment) -> dict[str, str]:
    """Ids of the build secrets that *environment* uses → the first field that names each."""
    found: dict[str, str] = {}
    for index, step in enumerate(environment.steps):
        if isinstance(step, RunStep):
            for name in step.secrets:
                found.setdefault(name, f"$.steps[{index}].secrets")
    for name in environment.build.secrets:
        found.setdefault(name, "$.build.secrets")
    return found
