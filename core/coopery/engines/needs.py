"""What a definition needs of a backend beyond what every backend has. Pure, and on the way to every hit."""

from __future__ import annotations

from collections.abc import Iterator

from coopery.definition import ContextBase, DockerfileBase, Environment, ImageBase, RunStep

Need = tuple[str, str]
"""The name of an ability (`coopery.backend.Abilities`), and the field path of what asks for it."""


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
