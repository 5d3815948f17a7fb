"""Which packages go into an image, and which base they stand on: a lock file's, a record's, or what is found today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery import key as _key
from coopery import lockfile
from coopery.definition import ImageBase
from coopery.events import Emit, PackagesMoved, Warned
from coopery.lock import Lock, moves
from coopery.locks import fitting

if TYPE_CHECKING:
    from coopery.building.order import Order
    from coopery.digest import Digest
    from coopery.lockfile import Locked
    from coopery.records import Resolution
    from coopery.sealed import Sealed
    from coopery.settings import Settings
    from coopery.stages.second import Bench
    from coopery.target import Resolved


@frozen
class Chosen:
    """The packages of one image. ``stale`` says why a lock file that was in play did not answer; empty: it did."""

    lock: Lock
    stale: tuple[str, ...] = ()


def pinned(order: Order, before: Resolution | None, settings: Settings) -> Sealed:
    """The definition of *order*, its base held to a digest that is known for it.

    What was demanded comes first; then a lock file, if it names the same base; and only without one what is recorded.
    """
    sealed = order.sealed
    digest = _known_base(order, before, settings)
    if digest is None or not isinstance(sealed.base.base, ImageBase):
        return sealed
    return evolve(sealed, base=evolve(sealed.base, pinned=digest))


def _known_base(order: Order, before: Resolution | None, settings: Settings) -> Digest | None:
    if order.base is not None:
        return order.base
    if order.held is not None:
        return locked_base(order.held.read(), order.sealed)
    if before is None or order.rebuild or settings.moved_base != "keep":
        return None
    return before.base


def locked_base(locked: Locked, sealed: Sealed) -> Digest | None:
    """The digest that *locked* has for the base of *sealed*; None where it was made for another one."""
    same = locked.asked.get("base") == lockfile.asked(_key.identity(sealed))["base"]
    return locked.lock.base if same else None


def choose(order: Order, bench: Bench, target: Resolved, before: Resolution | None, emit: Emit) -> Chosen:
    """The packages for *order*, on the base that it really has.

    Args:
        order: with the lock file that is in play.
        bench: its materializers.
        target: what a solver is told.
        before: what is recorded for it.
        emit: told which packages moved, and of a lock file that did not answer.

    Raises:
        StaleLock: nothing may be resolved, and the lock does not answer, or the base is not the one locked.
        ResolveError, PackageError: as the materializers do.
    """
    old = before.lock if before is not None else None
    if before is not None and old is not None and not order.rebuild and _same_ground(old, target):
        refused = order.frozen and before.stale
        if not refused:
            return Chosen(old, before.stale)
    if order.held is not None:
        return _held(order, order.held, bench, target, emit)
    lock = bench.resolve(target, None if order.rebuild else old)
    if old is not None:
        _tell_moves(old, lock, order.key, emit)
    return Chosen(lock)


def _held(order: Order, held: fitting.Held, bench: Bench, target: Resolved, emit: Emit) -> Chosen:
    locked = held.read()
    found = fitting.fit(locked, lockfile.asked(_key.identity(order.sealed)), target, bench)
    if order.frozen and locked.lock.base != target.base:
        raise fitting.stale(held.shown, (f"base: locked {locked.lock.base}, now {target.base}",))
    if order.frozen and found.reasons:
        raise fitting.stale(held.shown, found.reasons)
    if not found.reasons:
        for note in found.notes:
            emit(Warned(key=order.key, message=f"{held.shown}: {note}"))
        return Chosen(evolve(locked.lock, base=target.base, facts=target.used()))
    lock = bench.resolve(target, locked.lock)
    _tell_moves(locked.lock, lock, order.key, emit)
    emit(Warned(key=order.key, message=fitting.stale_warning(held.shown, found.reasons)))
    return Chosen(lock, found.reasons)


def _tell_moves(before: Lock, after: Lock, key: str, emit: Emit) -> None:
    emit(PackagesMoved(key=key, lines=tuple(str(move) for move in moves(before, after))))


def _same_ground(lock: Lock, target: Resolved) -> bool:
    return lock.base == target.base and dict(lock.facts) == target.used()
