"""Keys: what was asked for, as 64 hexadecimal digits. Pure, offline, the same everywhere.

`identity` says exactly what counts and `compute` hashes it; ``docs/key.md`` specifies both for other languages, and
``tests/vectors`` pins them. A field at its default is left out, so that a new optional field changes no old key. What
changes a meaning raises the tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from coopery import encoding
from coopery.canonical import canonical
from coopery.definition import (
    ArchiveBase,
    BuildOptions,
    Conda,
    ContextBase,
    CopyStep,
    DebianBase,
    DockerfileBase,
    EnvStep,
    ImageBase,
    LayoutBase,
    Pip,
    RootfsBase,
    RunStep,
    ScratchBase,
    SifBase,
    Spark,
    Target,
    UserStep,
    WorkdirStep,
)
from coopery.errors import DefinitionError, PluginError, Problem
from coopery.reference import normalize
from coopery.sealed import Sealed, SealedBase, SealedLinks, SealedStep

KEY_TAG: Final = "coopery.key.v1"
STEP_TAG: Final = "coopery.step.v1"
LAYER_TAG: Final = "coopery.layer.v1"


Identity = dict[str, Any]
"""Plain data: strings, integers, booleans, lists, and maps by name."""


def compute(sealed: Sealed) -> str:
    """The key of a sealed definition.

    Raises:
        DefinitionError: a value that has no canonical form, such as text with a lone surrogate.
    """
    try:
        return encoding.digest(KEY_TAG, identity(sealed))
    except encoding.EncodingError as exc:
        raise DefinitionError([Problem(exc.path, exc.message)]) from exc


def step_key(backend: str, platform: str, identity: Mapping[str, Any], parent: str) -> str:
    """Name of the snapshot that a step makes.

    Args:
        backend: whose snapshot it is; it means nothing to another.
        platform: ``linux/amd64``.
        identity: what the backend says the result depends on.
        parent: step key of the step below, or the base's digest.

    Raises:
        PluginError: the backend's identity holds something that has no canonical form.
    """
    try:
        return encoding.digest(STEP_TAG, backend, platform, identity, parent)
    except encoding.EncodingError as exc:
        raise PluginError(f"backend {backend!r}: its step identity cannot be encoded: {exc}") from exc


def layer_key(pairs: Iterable[tuple[str, str]]) -> str:
    """Identity of a layer, from everything that its bytes depend on. The order of *pairs* does not count."""
    return encoding.digest(LAYER_TAG, sorted(pairs))


def identity(sealed: Sealed) -> Identity:
    """Exactly what is in the key of *sealed*, and nothing else."""
    environment = canonical(sealed.environment)
    steps = [_step(evolve(old, step=new)) for old, new in zip(sealed.steps, environment.steps, strict=True)]
    return _with(
        {"base": _base(evolve(sealed.base, base=environment.base))},
        steps=(steps, []),
        conda=(environment.conda and _conda(environment.conda), None),
        pip=(environment.pip and _pip(environment.pip, sealed.links), None),
        spark=(environment.spark and _spark(environment.spark), None),
        target=(_target(environment.target), {}),
        prefix=(environment.prefix, "/opt/env"),
        build=(_build(environment.build), {}),
        interpreter=(environment.interpreter, None),
    )


def _with(always: Identity, **optional: tuple[Any, Any]) -> Identity:
    """*always*, and each optional field (value, default) that is not at its default.

    Defaults are repeated here rather than taken from the definition: should one change there, no old key may come to
    mean something new.
    """
    return always | {name: value for name, (value, default) in optional.items() if value != default}


def _base(sealed: SealedBase) -> Identity:  # noqa: PLR0911 - one for each kind of base
    match sealed.base:
        case ImageBase(image=image):
            return {"image": normalize(image)}
        case ScratchBase():
            return {"scratch": True}
        case LayoutBase():
            return {"layout": sealed.content}
        case ArchiveBase(tag=tag):
            return _with({"archive": sealed.content}, tag=(tag, ""))
        case RootfsBase():
            return {"rootfs": sealed.content}
        case SifBase():
            return {"sif": sealed.content}
        case DebianBase():
            return {"debian": _debian(sealed.base)}
        case DockerfileBase():
            return {"dockerfile": sealed.content}
        case ContextBase(dockerfile=name):
            return _with({"context": sealed.content}, dockerfile=(name, "Dockerfile"))


def _debian(base: DebianBase) -> Identity:
    packages, components = list(base.packages), list(base.components)
    return _with({"suite": base.suite}, packages=(packages, []), components=(components, ["main"]))


def _step(sealed: SealedStep) -> Identity:
    match sealed.step:
        case RunStep(run=run, secrets=secrets, network=network):
            script = run if isinstance(run, str) else list(run)
            return _with({"run": script}, secrets=(list(secrets), []), network=(network, True))
        case CopyStep(to=to, mode=mode, owner=owner):
            where = to.rstrip("/") or "/"  # whether a file goes below it is part of the content's digest
            return _with({"copy": sealed.content, "to": where}, mode=(mode, None), owner=(owner, "0:0"))
        case EnvStep(env=env):
            return {"env": dict(env)}
        case WorkdirStep(workdir=workdir):
            return {"workdir": workdir}
        case UserStep(user=user):
            return {"user": user}


def _conda(conda: Conda) -> Identity:
    return _with({}, channels=(list(conda.channels), []), dependencies=(list(conda.dependencies), []))


def _pip(pip: Pip, links: tuple[SealedLinks, ...]) -> Identity:
    return _with(
        {},
        requirements=(list(pip.requirements), []),
        constraints=(list(pip.constraints), []),
        index_url=(pip.index_url, ""),
        extra_index_urls=(list(pip.extra_index_urls), []),
        find_links=(list(pip.find_links), []),
        wheels=([one.content for one in links], []),
        pre=(pip.pre, False),
        no_binary=(list(pip.no_binary), []),
        only_binary=(list(pip.only_binary), []),
    )


def _spark(spark: Spark) -> Identity:
    return _with({}, packages=(list(spark.packages), []), repositories=(list(spark.repositories), []))


def _target(target: Target) -> Identity:
    return _with(
        {},
        platform=(target.platform, "linux/amd64"),
        cuda=(target.cuda, None),
        glibc=(target.glibc, None),
        archspec=(target.archspec, None),
    )


def _build(build: BuildOptions) -> Identity:
    return _with(
        {},
        arguments=(dict(build.arguments), {}),
        secrets=(list(build.secrets), []),
        bytecode=(build.bytecode, True),
    )
