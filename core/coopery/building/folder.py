"""What a builder does about its cache folder as a whole: look at it, compare, tidy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.building.parts import Parts
from coopery.definition import Environment

if TYPE_CHECKING:
    from coopery.collect.collection import Collected
    from coopery.collect.pins import Pin
    from coopery.collect.usage import Usage
    from coopery.compare.check import Checked
    from coopery.compare.comparison import Comparison
    from coopery.locks.fitting import Choice
    from coopery.moving.copying import Copied
    from coopery.moving.founding import Founded


class Folder(Parts):
    """Methods of `coopery.build.Builder` on the cache folder: what takes space, what stays, what differs."""

    def check(self, environment: Environment, *, lock: Choice = None) -> Checked:
        """Build *environment* again from nothing but its recorded lock, and compare; if need be, it is built first.

        Layers are cut and bytecode is compiled anew, in a folder that is deleted at the end. Packages, and compressed
        layers of bases, are not fetched again: they are verified by their sha256.

        Args:
            environment: the definition.
            lock: as for `build`.

        Raises:
            DriftError: the image differs; names the first file that does, and all others.
            BuildError, IntegrityError, CacheError: as `build`.
        """
        from coopery.compare import check

        return check.check(self.serving(environment), environment, lock)

    def diff(
        self, first: Environment | str | Path, second: Environment | str | Path, *, platform: str = ""
    ) -> Comparison:
        """What differs between two environments: inputs, base, packages, layers, config. Builds nothing.

        Args:
            first: a definition, a key, the path of a lock file, or an image: ``oci:``, ``oci-archive:``,
                ``docker-archive:`` or ``docker://``.
            second: another.
            platform: of lock files and images for several.

        Raises:
            NotFound, UsageError: a side that is not there, or cannot be understood.
        """
        from coopery.compare import comparison, sides

        return comparison.compare(*sides.read(self.whole, first, second, platform))

    def disk(self) -> Usage:
        """What takes how much in the cache folder, by kind and by image. Changes nothing, not even what counts as used.

        Raises:
            IntegrityError: the layout's index, an image's documents or a pin are damaged.
            CacheError: the disk or the records cannot be read.
        """
        from coopery.collect import operations

        return operations.disk(self.whole)

    def gc(
        self,
        *,
        keep_last: int | None = None,
        unused_for: float | None = None,
        max_size: int | None = None,
        dry_run: bool = False,
        grace: float = 3600.0,
    ) -> Collected:
        """Take out of the cache folder what is not needed. Safe at any moment, beside any number of builds.

        Without a limit, what nothing refers to any more goes. Never what a pin, a running build or another tool's
        entry needs, what was made or used within *grace*, and what Coopery did not make. Records of keys stay: an
        image that went is built again with the same id.

        Args:
            keep_last: of each name this many images stay, the last used ones; given alone, all others go.
            unused_for: seconds; images, packages and the like that were not used for so long go.
            max_size: bytes; then what was used longest ago goes until no more is left than that, images last.
            dry_run: only say what would go.
            grace: seconds.

        Raises:
            UsageError: a negative limit.
            CacheError: the folder is not Coopery's, or the disk failed.
            IntegrityError: something is damaged, so that nobody knows what is needed. Nothing was taken.
        """
        from coopery.collect import operations
        from coopery.collect.policy import Limits

        if self.only_read and not dry_run:
            beside = self.home.beside.root  # found out only here: it is made by that
            self.must_write("gc", f"let whoever fills it do that; what was built beside it: coopery gc --home {beside}")
        return operations.gc(self.whole, Limits(keep_last, unused_for, max_size), dry_run=dry_run, grace=grace)

    def copy(
        self,
        source: str,
        target: str,
        refs: Sequence[str | Environment] = (),
        *,
        since: float = 0.0,
        packages: bool = False,
        digest: str = "",
    ) -> Copied:
        """Copy images and records from one cache to another; what is there already is not written again.

        An end is ``home:`` (this builder's cache folder and records), a cache folder (``home:/path``, with the records
        in it), a bundle (``bundle:/path``, or a file that ends in ``.tar``, ``.tar.zst`` or ``.tar.gz``: one OCI
        archive with everything) or a store's URL (records only).

        What arrives is checked as a whole before any of it counts. Generations are kept; where both ends have one that
        differs, the target's stays, and the answer says so.

        Args:
            source: from where.
            target: to where; made where it is not there.
            refs: definitions, beginnings of keys, or names of definitions; all unless given.
            since: seconds since 1970: only what was recorded later.
            packages: fetched packages too, so that the target can build from their locks without a network.
            digest: of a bundle, as the copy that made it told: of another file nothing is taken.

        Raises:
            UsageError: an end that is none, or two that do not go together.
            NotFound: nothing is recorded under a ref, or there is no such bundle.
            IntegrityError: what arrived is damaged or hostile; nothing of it was taken.
            CacheError: a disk or store failed; the same call goes on where it stopped.
        """
        from coopery.moving.copying import copy

        names = tuple(ref if isinstance(ref, str) else self.whole.key(ref) for ref in refs)
        return copy(self.whole, source, target, names, since, packages=packages, digest=digest)

    def share(self, folder: str | os.PathLike[str], group: str) -> Founded:
        """Make *folder* the cache folder of *group*; in one that is, open what was closed to the group.

        Args:
            folder: new, empty, or a group's already.
            group: name or number; we must be in it, or be root.

        Raises:
            UsageError: no such group, or a folder of other things.
            CacheError: the disk refused, or it belongs to somebody else.
        """
        from coopery.moving.founding import found

        return found(Path(folder).expanduser().absolute(), group, self.plugins_loaded.shelves())

    def pin(self, ref: Environment | str | Path, name: str = "") -> Pin:
        """Keep an image, with the packages of its lock, until `unpin`; or the packages of a lock file.

        Args:
            ref: a definition or key whose image is here, or the path of a lock file.
            name: of the pin; the definition's own, or the file's, unless given.

        Raises:
            NotFound: there is no such image here.
            UsageError: no name of a pin, or one that is taken.
        """
        from coopery.collect import operations

        self.must_write("pin")
        return operations.pin(self.whole, ref, name)

    def unpin(self, name: str) -> Pin:
        """Forget the pin called *name*; what it kept stays until the next `gc` that would take it.

        Raises:
            NotFound: there is none.
        """
        from coopery.collect import pins

        self.must_write("unpin")
        return pins.remove(self.home, name)

    def pins(self) -> tuple[Pin, ...]:
        """All pins, by name."""
        from coopery.collect import pins

        return pins.pins(self.home)
