"""What `coopery lock` writes: a lock file brought up to date, or packages moved on purpose. Here nothing is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from coopery import key as _key
from coopery import lockfile
from coopery.building.order import Order
from coopery.errors import StaleLock, UsageError
from coopery.lock import Lock, Move, moves
from coopery.lockfile import Locked, LockFile
from coopery.locks import fitting
from coopery.locks.fitting import Held
from coopery.seal import seal

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment

Update = Sequence[str] | bool
"""Names of packages to choose anew; True: all of them, and the base; False: none."""

_RUN: Final = re.compile(r"[-_.]+")


@frozen
class Change:
    """One platform's part: what was there, what is there now, and why.

    Attributes:
        platform: ``linux/amd64``.
        before: None where there was nothing.
        after: the packages now.
        reasons: why what was there does not answer the definition; empty where it does, or where nothing was.
    """

    platform: str
    before: Locked | None
    after: Locked
    reasons: tuple[str, ...] = ()

    @property
    def moves(self) -> tuple[Move, ...]:
        """Packages that came, went or moved; empty where there was nothing before."""
        return moves(self.before.lock, self.after.lock) if self.before is not None else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The same for people, and the base where it moved."""
        told = tuple(str(move) for move in self.moves)
        if self.before is None or self.before.lock.base == self.after.lock.base:
            return told
        return (f"  base {self.before.lock.base} -> {self.after.lock.base}", *told)


@frozen
class Relock:
    """A lock file as it would be written.

    Attributes:
        path: where to; None for a definition that stands in no file.
        there: what is at *path* now; None: nothing.
        after: what would be.
        changes: platform by platform, those that were looked at.
    """

    path: Path | None
    there: LockFile | None
    after: LockFile
    changes: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        """Whether writing would change the file."""
        return self.there is None or self.there.text != self.after.text

    def after_for(self, platform: str) -> Locked:
        """The part for *platform*, which was asked for."""
        found = self.after.of(platform)
        if found is None:
            raise AssertionError(f"{platform} was not looked at")
        return found

    def save(self, path: Path | None = None) -> None:
        """Write the file, whole or not at all, if that changes anything.

        Raises:
            UsageError: there is no path, or it cannot be written.
        """
        target = path or self.path
        if target is None:
            raise UsageError("the definition stands in no file: say where to write its lock file")
        if self.changed or target != self.path:
            lockfile.save(target, self.after)


def relock(
    builder: Builder, environment: Environment, platforms: Sequence[str], update: Update, path: Path | None
) -> Relock:
    """See `coopery.build.Builder.relock`."""
    if not fitting.has_packages(environment):
        raise UsageError("the definition has no packages, so there is nothing to lock")
    path = path or lockfile.beside(environment)
    there = lockfile.read(path) if path is not None and os.path.lexists(path) else None
    wanted = tuple(dict.fromkeys(platforms)) or _platforms(environment, there)
    start = {platform: _Start(builder, environment, platform, there) for platform in wanted}
    names = _names(update, start)
    changes = tuple(one.change(update is True, names) for one in start.values())
    after = (there or LockFile()).having(*(change.after for change in changes))
    return Relock(path, there, after, changes)


def check(builder: Builder, environment: Environment, path: Path | None) -> None:
    """See `coopery.build.Builder.check_lock`."""
    if not fitting.has_packages(environment):
        raise UsageError("the definition has no packages, so there is nothing to lock")
    beside = lockfile.beside(environment)
    shown = str(path) if path is not None else beside.name if beside is not None else "the lock file"
    path = path or beside
    if path is None or not os.path.lexists(path):
        raise StaleLock(f"{shown} is not there", file=shown, remedy="coopery lock makes it")
    file = lockfile.read(path)
    own = environment.target.platform
    reasons = [] if file.of(own) else [f"it has no packages for {own}"]
    for locked in file.sections:
        sealed = seal(_for(environment, locked.lock.platform))
        found = fitting.status(builder, sealed, Held(shown, locked.name, locked))
        several = f"{locked.lock.platform}: " if len(file.sections) > 1 else ""
        reasons += [f"{several}{reason}" for reason in found.reasons]
    if reasons:
        raise fitting.stale(shown, tuple(reasons))


def _platforms(environment: Environment, there: LockFile | None) -> tuple[str, ...]:
    return tuple(sorted({environment.target.platform, *(there.platforms if there is not None else ())}))


def _for(environment: Environment, platform: str) -> Environment:
    return evolve(environment, target=evolve(environment.target, platform=platform))


class _Start:
    """One platform's part, before it is changed."""

    def __init__(self, builder: Builder, environment: Environment, platform: str, there: LockFile | None) -> None:
        self.builder = builder
        self.platform = platform
        self.before = there.of(platform) if there is not None else None
        self.sealed = seal(_for(environment, platform))
        identity = _key.identity(self.sealed)
        self.key = _key.compute(self.sealed)
        self.asked = lockfile.asked(identity)
        self.exact = self.before is not None and dict(self.before.asked) == self.asked
        self.known = builder.ledger.resolution(self.key, self.before.name if self.before is not None else "")

    @property
    def lock(self) -> Lock | None:
        """The packages to start from: the file's, else the recorded ones."""
        if self.before is not None:
            return self.before.lock
        return self.known.lock if self.known is not None else None

    def change(self, everything: bool, names: frozenset[str]) -> Change:
        if not everything and not names:
            if self.before is not None and self.exact:
                return Change(self.platform, self.before, self.before)
            if self.known is not None and self.known.lock is not None:
                return self._changed(self.known.lock, self.known.stale)
        return self._resolved(everything, names)

    def _resolved(self, everything: bool, names: frozenset[str]) -> Change:
        from coopery.stages.make import resolve

        before = self.before if self.before is not None else self._recorded()
        held = Held("the lock file", before.name, before) if before is not None and not everything else None
        order = Order(self.sealed, self.key, held)
        prefer = None if everything or self.lock is None else _without(self.lock, names)
        chosen, found = resolve(self.builder, order, prefer, anew=everything or bool(names))
        return self._changed(chosen.lock, found.reasons if self.before is not None else ())

    def _recorded(self) -> Locked | None:
        lock = self.lock
        return Locked(lock, self.asked) if lock is not None else None

    def _changed(self, lock: Lock, reasons: tuple[str, ...]) -> Change:
        return Change(self.platform, self.before, Locked(lock, self.asked), reasons)


def _names(update: Update, start: Mapping[str, _Start]) -> frozenset[str]:
    """The names in *update* as they are compared.

    Raises:
        UsageError: one that no lock has; names the nearest.
    """
    if isinstance(update, bool):
        return frozenset()
    there = {_plain(name): name for name in _all_names(start)}
    unknown = [name for name in update if _plain(name) not in there]
    if not unknown:
        return frozenset(map(_plain, update))
    if not there:
        raise UsageError(f"{unknown[0]}: there is no lock to move it in", remedy="coopery lock makes one")
    near = [there[name] for one in unknown for name in get_close_matches(_plain(one), list(there), 3)]
    remedy = f"near names are {', '.join(dict.fromkeys(near))}" if near else "new packages are added to the definition"
    raise UsageError(f"{', '.join(unknown)}: no package of that name is locked", remedy=remedy)


def _all_names(start: Mapping[str, _Start]) -> Iterator[str]:
    for one in start.values():
        if one.lock is not None:
            yield from (artifact.name for artifact in one.lock.artifacts)


def _without(lock: Lock, names: frozenset[str]) -> Lock:
    return evolve(lock, artifacts=[artifact for artifact in lock.artifacts if _plain(artifact.name) not in names])


def _plain(name: str) -> str:
    return _RUN.sub("-", name).lower()
