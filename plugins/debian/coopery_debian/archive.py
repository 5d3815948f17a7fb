"""One Debian archive, from its signed head down to single packages: each step is vouched for by the one above."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError, NetworkError
from coopery.events import Emit, Warned
from coopery_debian.fetch import Absent, Fetcher, join
from coopery_debian.index import Index, Package, decompressed
from coopery_debian.memo import Memo
from coopery_debian.mirror import KEYRING, Mirror
from coopery_debian.release import Listed, Release, index_of, parse
from coopery_debian.signature import trusted, verify

_RELEASE_LIMIT: Final = 1 << 22
_INDEX_LIMIT: Final = 1 << 28
_SUITE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_\-]*(/[A-Za-z0-9][A-Za-z0-9.+~_\-]*)*")

Clock = Callable[[], datetime]


class Archive:
    """One suite of one mirror.

    Args:
        mirror: where it is, and who signs it.
        suite: a suite or codename.
        fetcher: reads from the mirror into *kept*.
        kept: files by sha256.
        memo: what the mirror said of its head last time.
        emit: told what the user should know.
        keyring: keys to trust where the mirror's apt entry names none.
        now: the time of day, for ``Valid-Until`` alone.
    """

    def __init__(
        self,
        mirror: Mirror,
        suite: str,
        fetcher: Fetcher,
        kept: BlobStore,
        memo: Memo,
        emit: Emit,
        keyring: Path = KEYRING,
        now: Clock = lambda: datetime.now(timezone.utc),  # noqa: UP017 - one spelling for 3.11 and mypy alike
    ) -> None:
        if not _SUITE.fullmatch(suite):
            raise BaseError(f"$.base.debian.suite: expected a suite or codename such as bookworm, got {suite!r}")
        self._mirror, self._suite = mirror, suite
        self._fetcher, self._kept, self._memo, self._emit = fetcher, kept, memo, emit
        self._keyring, self._now = keyring, now
        self._place = f"{suite} at {mirror.url}"

    def release(self) -> Release:
        """The suite's head, signature verified. One small request; unchanged since last time, no bytes.

        Where the mirror cannot be reached, the head that was verified last is used, and the user is told.

        Raises:
            BaseError: no such suite, no trusted signature, or not to be had and none is kept.
        """
        url = join(self._mirror.url, "dists", self._suite, "InRelease")
        release = parse(self._signed(self._head(url), url), url, self._suite)
        if release.valid_until is not None and release.valid_until < self._now():
            day = release.valid_until.date().isoformat()
            self._warn(
                f"{self._place}: the index was valid until {day}; the mirror may be stale, or a snapshot of the past"
            )
        return release

    def listed(self, release: Release, components: Sequence[str], architecture: str) -> tuple[Listed, ...]:
        """The index of each component, not fetched yet.

        Raises:
            BaseError: the suite has no such component or architecture.
        """
        return tuple(index_of(release, component, architecture, self._place) for component in components)

    def index(self, release: Release, listed: Sequence[Listed]) -> Index:
        """All packages of the indexes *listed*, fetched where they are not here.

        Raises:
            BaseError: an index cannot be had, or is damaged.
        """
        return Index([self._text(release, one) for one in listed], self._place)

    def package(self, package: Package) -> Path:
        """The file of *package*, fetched where it is not here, its sha256 and size checked.

        Raises:
            BaseError: it cannot be had, or is another file.
        """
        url = join(self._mirror.url, package.filename)
        try:
            path = self._fetcher.file(url, package.sha256, package.size)
        except Absent as exc:
            raise BaseError(
                f"{package}: the mirror's index names it, but it is not there: {url}",
                remedy="try again later, as a mirror may be changing just now, or set COOPERY_DEBIAN_MIRROR to another",
            ) from exc
        return path

    def _signed(self, head: bytes, url: str) -> bytes:
        """The signed text of *head*. What was found good once is not asked again while the keys are the same."""
        keys = trusted(self._mirror.signed_by, self._keyring)
        name = ("signed", keys.digest, _digest.of_bytes(head))
        text = self._kept_head(self._memo.get(*name) or "")
        if text is None:
            text = verify(head, keys, url)
            self._memo.put(self._kept.put(text), *name)
        return text

    def _head(self, url: str) -> bytes:
        known = self._memo.get("release", url) or {}
        kept = self._kept_head(known.get("digest", ""))
        try:
            fetched = self._fetcher.document(url, _RELEASE_LIMIT, known["validators"] if kept is not None else None)
        except Absent as exc:
            raise BaseError(
                f"the mirror has no suite {self._suite!r}: {url} (from {self._mirror.origin})",
                remedy="write a codename such as bookworm or trixie, or set COOPERY_DEBIAN_MIRROR to another mirror",
            ) from exc
        except (NetworkError, BaseError) as exc:
            if kept is None:
                raise
            self._warn(f"{exc.message}; the index fetched last is used")
            return kept
        if fetched.data is None:
            if kept is None:
                raise BaseError(f"{url}: the mirror says that what was never fetched has not changed")
            return kept
        digest = self._kept.put(fetched.data)
        self._memo.put({"digest": digest, "validators": dict(fetched.validators)}, "release", url)
        return fetched.data

    def _kept_head(self, digest: str) -> bytes | None:
        try:
            return self._kept.read(Digest(digest), _RELEASE_LIMIT) if digest else None
        except (FileNotFoundError, IntegrityError):
            return None

    def _text(self, release: Release, listed: Listed) -> bytes:
        if listed.size > _INDEX_LIMIT:
            raise BaseError(f"{self._place}: {listed.path} has {listed.size} bytes, more than any index needs")
        folder = join(self._mirror.url, "dists", self._suite)
        by_hash = f"{listed.path.rpartition('/')[0]}/by-hash/SHA256/{listed.sha256}"
        for path in (by_hash, listed.path) if release.by_hash else (listed.path,):
            try:
                return decompressed(self._fetcher.file(join(folder, path), listed.sha256, listed.size), listed.path)
            except Absent:
                continue
        raise BaseError(f"{self._place}: the mirror does not have {listed.path}, which its own release names")

    def _warn(self, message: str) -> None:
        self._emit(Warned(message=message))
