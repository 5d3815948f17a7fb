"""The lock that a build is held to: which one, whether it still answers the definition, and why not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from coopery import key as _key
from coopery import lockfile
from coopery.definition import Base, DebianBase, Environment, ImageBase
from coopery.errors import StaleLock, UsageError
from coopery.lock import Lock
from coopery.lockfile import Glance, Locked
from coopery.target import Facts, Resolved

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.sealed import Sealed
    from coopery.stages.second import Bench

Choice = Lock | Locked | str | os.PathLike[str] | bool | None
"""Which lock: a lock, the path of a lock file, None or True for the file beside the definition, False for none."""

_MAKE_ONE: Final = "coopery lock makes one"
_REFRESH: Final = "`coopery lock` brings it up to date"
_SHOWN: Final = 3


@frozen
class Held:
    """A lock in play.

    Attributes:
        shown: what to call it in messages.
        name: names it in records; see `coopery.lockfile.Locked.name`.
        source: where it is.
    """

    shown: str
    name: str
    source: Glance | Locked = field(repr=False)

    def read(self) -> Locked:
        """All of it.

        Raises:
            LockFileError: every mistake in the file.
        """
        return self.source if isinstance(self.source, Locked) else self.source.read()


@frozen
class Fit:
    """How a lock and a definition go together.

    Attributes:
        reasons: why the lock does not answer the definition; empty: it does.
        notes: what differs and does no harm, to be told.
        exact: nothing differs at all.
    """

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    exact: bool = False


def choose(environment: Environment, choice: Choice, notice: Callable[[str], None]) -> Held | None:
    """The lock to hold a build of *environment* to; None: there is none, or nothing to lock.

    Args:
        environment: the definition.
        choice: what the caller said.
        notice: told, in a sentence, why a file that is there is left aside.

    Raises:
        NotFound: a file that was named is not there.
        UsageError: a file that was named has nothing for the platform.
        LockFileError: the file is none that can be read.
    """
    if choice is False or not has_packages(environment):
        return None
    if isinstance(choice, (Lock, Locked)):
        return _given(environment, choice if isinstance(choice, Locked) else Locked(choice))
    named = choice is not None and choice is not True
    path = Path(choice) if isinstance(choice, (str, os.PathLike)) else lockfile.beside(environment)
    if path is None or not (named or os.path.lexists(path)):
        return None
    platform = environment.target.platform
    shown = str(path) if named else path.name
    found = lockfile.glance(path, platform)
    if found is not None:
        return Held(shown, found.name, found)
    message, remedy = f"{shown} has no packages for {platform}", f"coopery lock --platform {platform} adds them"
    if named:
        raise UsageError(message, remedy=remedy)
    notice(f"{message}, so it is left aside; {remedy}")
    return None


def _given(environment: Environment, locked: Locked) -> Held:
    if locked.lock.platform != environment.target.platform:
        wanted = environment.target.platform
        raise UsageError(f"the lock is for {locked.lock.platform}, the definition for {wanted}")
    return Held("the lock that was given", locked.name, locked)


def has_packages(environment: Environment) -> bool:
    """Whether there is anything to lock."""
    return any(section is not None for section in (environment.conda, environment.pip, environment.spark))


def fit(locked: Locked, asked: Mapping[str, Any], target: Resolved, bench: Bench) -> Fit:
    """Whether *locked* answers a definition on its real target. No solver is asked; nothing is fetched.

    Args:
        locked: the part of a lock file for the target's platform.
        asked: what the definition asks for now (`coopery.lockfile.asked`).
        target: what a solver would be told.
        bench: the definition's materializers; each judges its own section, unless nothing at all has changed for it.
    """
    lock = locked.lock
    reasons, notes = _facts(dict(lock.facts), target.used())
    same_ground = lock.base == target.base and not (reasons or notes)
    if same_ground and dict(locked.asked) == dict(asked):
        return Fit(exact=True)
    if lock.base != target.base:
        notes.append(f"its packages were chosen on base {lock.base}, the base is now {target.base}")
    known = {materializer.name for materializer in bench.materializers}
    for kind in dict.fromkeys(artifact.kind for artifact in lock.artifacts):
        if kind not in known:
            reasons.append(f"it has {kind} packages, and the definition has none")
    reasons += bench.unmet(lock, target, dict(locked.asked), dict(asked), same_ground=same_ground)
    return Fit(tuple(reasons), tuple(notes))


def status(builder: Builder, sealed: Sealed, held: Held) -> Fit:
    """As `fit`, before anything is fetched: the base is taken for the one that the lock was made on.

    A base that the definition names otherwise than it did is a reason, since nothing is known of it.
    """
    from coopery import preflight
    from coopery.stages import second
    from coopery.why import differences, lines

    locked = held.read()
    environment = sealed.environment
    now = lockfile.asked(_key.identity(sealed))
    if dict(locked.asked) == now:
        return Fit(exact=True)
    base = {"base": locked.asked.get("base")}, {"base": now["base"]}
    moved = tuple(lines(differences(*base))) if locked.asked and base[0] != base[1] else ()
    preflight.check(environment, builder.backend_name, builder.plugins_loaded)
    with second.bench_of(builder, environment, "") as bench:
        found = fit(locked, now, _presumed(environment, locked), bench)
    return Fit((*moved, *found.reasons), found.notes)


def demand(builder: Builder, sealed: Sealed, held: Held | None) -> Locked | None:
    """See, before anything is fetched, that all inputs of *sealed* are pinned.

    Returns:
        The lock; None for a definition that has nothing to lock.

    Raises:
        StaleLock: there is no lock, it does not answer the definition, or the base is named by a tag alone.
    """
    environment = sealed.environment
    if not has_packages(environment):
        _demand_base(environment.base)
        return None
    if held is None:
        path = lockfile.beside(environment)
        where = f": {path.name} is not there, or not for {environment.target.platform}" if path is not None else ""
        raise StaleLock(f"--frozen, and no lock file{where}", file=str(path or ""), remedy=_MAKE_ONE)
    found = status(builder, sealed, held)
    if found.reasons:
        raise stale(held.shown, found.reasons)
    return held.read()


def _demand_base(base: Base) -> None:
    """See that *base*, which no lock holds, is the same tomorrow."""
    if isinstance(base, ImageBase) and "@sha256:" not in base.image:
        remedy = "write the digest behind the name: NAME@sha256:…"
        raise StaleLock(f"$.base.image: {base.image} names no digest, and there is no lock to have it", remedy=remedy)
    if isinstance(base, DebianBase):
        message = f"$.base.debian: what is in {base.suite} changes, and there is no lock to hold the base"
        raise StaleLock(message, remedy="build and push it once, and name that image by its digest")


def stale(shown: str, reasons: tuple[str, ...]) -> StaleLock:
    """That the lock called *shown* does not answer the definition, as an error."""
    return StaleLock(f"{shown} does not answer the definition", file=shown, reasons=reasons, remedy=_REFRESH)


def stale_warning(shown: str, reasons: tuple[str, ...]) -> str:
    """The same as a warning: what a build does about it."""
    listed = "; ".join(reasons[:_SHOWN]) + (f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else "")
    return (
        f"{shown} does not answer the definition ({listed}). Packages were resolved again, staying with it where it"
        f" fits; {_REFRESH}"
    )


def _presumed(environment: Environment, locked: Locked) -> Resolved:
    """The target, as far as the definition and the lock can tell."""
    target, facts = environment.target, dict(locked.lock.facts)
    python = facts.get("python") if environment.on_bases_python else None
    return Resolved(
        platform=target.platform,
        prefix=environment.prefix,
        base=locked.lock.base,
        facts=_presumed_facts(target.platform, python),
        glibc=target.glibc or facts.get("glibc"),
        cuda=target.cuda or facts.get("cuda"),
        archspec=target.archspec or facts.get("archspec"),
        bytecode=environment.build.bytecode,
        python=python,
    )


def _presumed_facts(platform: str, release: str | None) -> Facts:
    """Of a base with that Python, wherever it lies: nothing is built upon these."""
    if release is None:
        return Facts(platform=platform)
    minor = _minor(release)
    return Facts(platform, python=f"/usr/bin/python{minor}", python_version=minor, python_release=release)


def _facts(before: dict[str, str], now: dict[str, str]) -> tuple[list[str], list[str]]:
    """What the target lacks that the lock was made for; and what it has beyond."""
    reasons: list[str] = []
    notes: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        told = f"{name}: locked for {old or 'none'}, now {new or 'none'}"
        if name == "archspec" or new is None or (old is not None and not _serves(name, new, old)):
            reasons.append(told)
        else:
            notes.append(f"{told}; its packages still run, `coopery lock --update` chooses anew")
    return reasons, notes


def _serves(name: str, new: str, old: str) -> bool:
    """Whether what was chosen for *old* runs on *new*: a later one, and of Python one of the same minor version."""
    return _reaches(new, old) and (name != "python" or _minor(new) == _minor(old))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _reaches(version: str, needed: str) -> bool:
    """Whether one dotted version is another one, or newer; not where either is no such thing."""
    try:
        return [int(part) for part in version.split(".")] >= [int(part) for part in needed.split(".")]
    except ValueError:
        return False
