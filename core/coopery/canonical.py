"""One form for definitions that mean the same: package lists trimmed, each entry once, sorted. Pure.

The key is computed from this form and everything after sealing sees it, so that whoever builds a key first, and
however they wrote its lists, the solver is asked the same question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import evolve

from coopery.definition import Base, DebianBase, Environment, RunStep, Step

_SPACE: Final = " \t\n\v\f\r"


def in_order(texts: Iterable[str]) -> tuple[str, ...]:
    """Trimmed of ASCII white space, in the order written."""
    return tuple(text.strip(_SPACE) for text in texts)


def as_set(texts: Iterable[str]) -> tuple[str, ...]:
    """Trimmed, each once, in the order of their UTF-8 bytes, which is that of their code points."""
    return tuple(sorted(set(in_order(texts))))


def canonical(environment: Environment) -> Environment:
    """*environment* with its lists in the one form that its key is computed from."""
    conda, pip, spark, build = environment.conda, environment.pip, environment.spark, environment.build
    return evolve(
        environment,
        base=_base(environment.base),
        steps=tuple(map(_step, environment.steps)),
        conda=conda and evolve(conda, channels=in_order(conda.channels), dependencies=as_set(conda.dependencies)),
        pip=pip
        and evolve(
            pip,
            requirements=as_set(pip.requirements),
            constraints=as_set(pip.constraints),
            extra_index_urls=in_order(pip.extra_index_urls),
            find_links=in_order(pip.find_links),
            no_binary=in_order(pip.no_binary),
            only_binary=in_order(pip.only_binary),
        ),
        spark=spark and evolve(spark, packages=as_set(spark.packages), repositories=in_order(spark.repositories)),
        build=evolve(build, secrets=as_set(build.secrets)),
    )


def _base(base: Base) -> Base:
    if isinstance(base, DebianBase):
        return evolve(base, packages=as_set(base.packages), components=in_order(base.components))
    return base


def _step(step: Step) -> Step:
    return evolve(step, secrets=as_set(step.secrets)) if isinstance(step, RunStep) else step
