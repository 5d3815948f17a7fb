"""Whether the stores that are named answer, of records and of leases: one question each, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from coopery.errors import CooperyError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.engines.doctor import Finding

    Make = Callable[..., Finding]

_NOBODY: Final = "0" * 64
"""A key that no definition has."""


def stores(builder: Builder, make: Make) -> Iterator[Finding]:
    """One finding for the store of records, one for leases; *make* is the class of findings."""
    yield _tried("records", lambda: _records(builder), make)
    yield _tried("leases", lambda: _leases(builder), make)


def _records(builder: Builder) -> tuple[str, ...]:
    store = builder.cache
    store.get("resolution", _NOBODY)
    found = store.abilities
    limits = () if found.writable else ("only read",)
    return (repr(store), *limits, *((found.promise,) if found.promise else ()))


def _leases(builder: Builder) -> tuple[str, ...]:
    leases = builder.leasing.agreed
    if leases is None:
        why = f"{builder.cache!r} has none, and no other store is named"
        return (f"of this cache folder alone: {why}, so that several machines may build one key",)
    leases.outcome(_NOBODY, 0)
    here: object = builder.cache
    return ("in the store of records",) if leases is here else (repr(leases),)


def _tried(name: str, ask: Callable[[], tuple[str, ...]], make: Make) -> Finding:
    try:
        return make("store", name, found=True, works=True, details=ask())
    except CooperyError as exc:
        return make("store", name, found=True, works=False, problem=exc.message, remedy=exc.remedy)
    except Exception as exc:  # a stranger's code: whatever it raises is what is wrong with it
        problem = f"its plugin failed: {type(exc).__name__}: {exc}"
        return make("store", name, found=True, works=False, problem=problem, remedy="update or uninstall the plugin")
