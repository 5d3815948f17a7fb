"""Which backend builds a definition, where nobody has named one.

Core's own ``oci`` wherever it can do all that is needed. Otherwise the backend that built the definition before, then
Docker, Podman, Apptainer and any others: the first that has the abilities and works, found out by trying it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from coopery.engines.needs import Need, needs
from coopery.errors import BackendError, CacheError, PluginError, UnsupportedError
from coopery.events import BackendChosen

if TYPE_CHECKING:
    from coopery.backend import Abilities, Examination
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.records import Resolution

ORDER: Final = ("oci", "docker", "podman", "singularity")
"""Asked in this order; backends of others come after, by name."""

_INSTALL: Final = "pip install coopery-docker, coopery-podman or coopery-singularity, whichever engine is here"
_NO_BACKEND: Final = f"pip install coopery-oci, which needs no engine; or {_INSTALL}"


def serving(
    builder: Builder, environment: Environment, known: Resolution | None = None, also: Sequence[Need] = ()
) -> Builder:
    """*builder* on the backend that *environment* needs; the reason is told as an event, but for a known image.

    Args:
        builder: one that was told no backend.
        environment: the definition.
        known: what is recorded of it: whoever built it is asked first, and not examined where the image is there.
        also: what is needed besides: ``("gpu", "run --gpu")``.

    Raises:
        UnsupportedError: no installed backend has what is needed.
        PluginError: none is installed; or those that have it do not work: says why not, one by one.
    """
    return pick(builder, [*needs(environment), *also], environment.target.platform, known)


def pick(builder: Builder, wanted: Sequence[Need], platform: str = "", known: Resolution | None = None) -> Builder:
    """As `serving`, for what is *wanted* on *platform*; an empty one is any."""
    classes = builder.plugins_loaded.backends()
    lacks = {name: _lacks(cls.abilities, wanted, platform) for name, cls in classes.items()}
    able = [name for name in in_order(classes) if lacks[name] is None]
    if known is not None and known.backend in able:
        if _has(builder.at(known.backend), known):
            return builder.at(known.backend)
        able = [known.backend, *(name for name in able if name != known.backend)]
    if not classes:
        raise PluginError("no backend is installed, so nothing can be built", remedy=_NO_BACKEND)
    if not able:
        raise _unsupported(wanted, platform, classes)
    return _first(builder, able, wanted, lacks)


def first_that_works(builder: Builder, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The first of *names* that works (empty: none), and why each before it does not."""
    reasons: list[str] = []
    for name in names:
        found = examine(builder, name)
        if found.works:
            return name, tuple(reasons)
        reasons.append(f"{name}: {found.problem or 'does not work'}")
    return "", tuple(reasons)


def examine(builder: Builder, name: str) -> Examination:
    """What the backend *name* finds out about its engine; asked once by each builder."""
    if name not in builder.examined:
        builder.examined[name] = builder.at(name).backend(builder.emit).examine()
    return builder.examined[name]


def in_order(names: Iterable[str]) -> list[str]:
    """*names* as they are asked."""
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def at_place(builder: Builder, place: str) -> Builder:
    """*builder* on the backend whose place is called *place*.

    Raises:
        PluginError: no installed backend has it, as after its plugin was taken away.
    """
    if builder.place.name == place:
        return builder
    for name in in_order(builder.plugins_loaded.backends()):
        other = builder.at(name)
        if other.place.name == place:
            return other
    raise PluginError(f"no installed backend keeps images in {place}", remedy="coopery plugins shows what is installed")


def _first(builder: Builder, able: Sequence[str], wanted: Sequence[Need], lacks: dict[str, str | None]) -> Builder:
    name, reasons = first_that_works(builder, able)
    if not name:
        problems = "; ".join(reasons)
        raise PluginError(
            f"{wanted[0][1] if wanted else '$'}: none of the backends that could build this works: {problems}",
            remedy="coopery doctor says what each of them needs",
        )
    if name != builder.backend_name:
        before = [f"{other} lacks {lacks[other]}" for other in lacks if lacks[other] and other in ORDER[:1]]
        builder.emit(BackendChosen(backend=name, reason="; ".join((*before, *reasons))))
    return builder.at(name)


def _lacks(abilities: Abilities, wanted: Iterable[Need], platform: str) -> str | None:
    missing = dict.fromkeys(ability for ability, _ in wanted if not getattr(abilities, ability))
    if platform and "*" not in abilities.platforms and platform not in abilities.platforms:
        missing[f"platform {platform}"] = None
    return ", ".join(missing) or None


def _has(other: Builder, known: Resolution) -> bool:
    """Whether the image of *known* is in that backend's place. A place that cannot be asked is left for the others."""
    try:
        return other.ledger.locate(known) is not None
    except (CacheError, BackendError):
        return False


def _unsupported(wanted: Sequence[Need], platform: str, classes: Iterable[str]) -> UnsupportedError:
    """Names what nobody has; where each need is met by some but no one meets all, the last."""
    installed = ", ".join(in_order(classes)) or "none"
    ability, field_path = wanted[-1] if wanted else (f"platform {platform}", "$.target.platform")
    return UnsupportedError(installed, ability, field_path, remedy=_INSTALL)
