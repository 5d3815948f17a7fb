"""What a builder does with locks: its methods around lock files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coopery import use
from coopery.building.parts import Parts

if TYPE_CHECKING:
    from coopery.definition import Environment
    from coopery.lock import Lock
    from coopery.locks.relocking import Relock


class Locks(Parts):
    """Methods of `coopery.build.Builder` around lock files: what a definition resolves to, kept beside it."""

    def lock(self, environment: Environment) -> Lock:
        """What *environment* resolves to: its lock file's packages, the recorded ones, or new ones; writes no file.

        Raises:
            UsageError: it has no packages, so there is nothing to lock.
            BuildError: the base or the packages cannot be had.
        """
        platform = environment.target.platform
        return self.relock(environment, platforms=(platform,)).after_for(platform).lock

    def relock(
        self,
        environment: Environment,
        *,
        platforms: Sequence[str] = (),
        update: Sequence[str] | bool = False,
        file: str | os.PathLike[str] | None = None,
    ) -> Relock:
        """What `coopery lock` would write, and how that differs from what is there. Cuts no layer, writes no file.

        Args:
            environment: the definition.
            platforms: those to look at; the file's and the definition's own unless given.
            update: names of packages to choose anew, or True for all of them and the base.
            file: the lock file; the one beside the definition unless given.

        Returns:
            `Relock.save` writes it.

        Raises:
            UsageError: it has no packages, so there is nothing to lock; or a name that no lock has.
            LockFileError: the lock file has mistakes.
            BuildError: the base or the packages cannot be had.
        """
        from coopery.locks.relocking import relock

        path = None if file is None else Path(file)
        with use.working(self.home.root):
            return relock(self.serving(environment).writing, environment, platforms, update, path)

    def adopt(
        self,
        environment: Environment,
        files: Sequence[str | os.PathLike[str]],
        *,
        name: str = "",
        without: Iterable[str] = (),
        platforms: Sequence[str] = (),
        file: str | os.PathLike[str] | None = None,
    ) -> Relock:
        """As `relock`, with packages as other tools' lock files list them: what pixi or conda-lock chose, stays.

        Sections that no file speaks of are resolved. Writes no file.

        Args:
            environment: the definition, which the packages must answer.
            files: ``pixi.lock``, ``conda-lock.yml``, an explicit list, ``pylock.toml``, requirements with hashes.
            name: the files' name for an environment, category or group; their default unless given.
            without: names of packages to leave out.
            platforms: the definition's own unless given.
            file: the lock file; the one beside the definition unless given.

        Raises:
            LockFileError: every mistake in a file, each with its place; or the lock file has mistakes.
            UsageError: a file lists packages that no section of the definition asks for.
            ResolveError: the packages do not answer the definition, do not run on the target, or are not to be found.
            BuildError: the base or an index cannot be had.
        """
        from coopery.locks.interchange import Pick, adopt

        pick = Pick(name, frozenset(without))
        path = None if file is None else Path(file)
        return adopt(self.serving(environment).writing, environment, files, pick, platforms, path)

    def publish(self, environment: Environment, lock: Lock, form: str, *, only: Sequence[str] = ()) -> bytes:
        """*lock* in another tool's form.

        Args:
            environment: the definition that it is the lock of: it says where its channels and indexes are.
            lock: what to write.
            form: ``pixi``, ``explicit``, ``pylock`` or ``requirements``.
            only: kinds of packages to write, ``conda`` or ``pip``; all of them unless given.

        Raises:
            UsageError: no such form, or it has no room for packages of a kind.
            BuildError: a channel or an index cannot be asked where its files are.
        """
        from coopery.locks.interchange import publish

        return publish(self.whole, environment, lock, form, only)

    def check_lock(self, environment: Environment, *, file: str | os.PathLike[str] | None = None) -> None:
        """See that there is a lock file, and that it answers the definition. Fetches nothing.

        Args:
            environment: the definition.
            file: the lock file; the one beside the definition unless given.

        Raises:
            StaleLock: it is missing, or does not answer.
            LockFileError: it has mistakes.
        """
        from coopery.locks.relocking import check

        check(self.whole, environment, None if file is None else Path(file))
