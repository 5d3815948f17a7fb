"""Wheels on this machine: fetched once, sha256 checked, kept under the name of their hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from threading import Lock
from typing import IO, TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from coopery import faults, sharing
from coopery.blobs import disk_error, sync_folder
from coopery.errors import NetworkError, PackageError
from coopery.events import Emit, Progress, Stage
from coopery.lock import Artifact
from coopery.wire.origin import shown
from coopery_pip.sources import local

if TYPE_CHECKING:
    from coopery.wire.http import Http
    from coopery.wire.origin import Login

PARALLEL: Final = 6
"""Requests at a time."""

_CHUNK: Final = 1 << 18
_MAX_WHEEL: Final = 16 << 30
"""Bytes of a wheel whose size nobody states."""

_PROGRESS: Final = 1 << 20
"""Bytes that have come before a connection broke, for the attempts to be counted anew."""

Step = Callable[[str, int], None]
"""Told of a file's name and how many bytes more of it are here."""


@frozen
class Wheels:
    """The wheels in *root*; what is there is whole and has the sha256 that it is called by.

    Attributes:
        root: ``<sha256>.whl`` is a wheel.
        staging: for half-made ones.
        http: core's transport.
        suffix: of the names of files, for others than wheels.
    """

    root: Path
    staging: Path
    http: Http = field(repr=False)
    suffix: str = ".whl"

    def path(self, sha256: str) -> Path:
        """Where the wheel with *sha256* is, there or not."""
        return self.root / f"{sha256}{self.suffix}"

    def missing(self, artifacts: Iterable[Artifact]) -> list[Artifact]:
        """Those that are not here."""
        return [artifact for artifact in artifacts if not self.path(artifact.sha256).is_file()]

    def fetch_all(
        self, artifacts: Sequence[Artifact], url_of: Callable[[Artifact], str], login: Login | None, step: Step
    ) -> None:
        """Fetch *artifacts*, several at a time; each is here, whole, or not at all.

        Args:
            artifacts: what is missing.
            url_of: where each is now; may ask its index.
            login: credentials for the sources' hosts.
            step: told of every piece that has come.

        Raises:
            NetworkError: a host does not answer.
            PackageError: one cannot be had, or is not what the lock says. Nothing of it stays.
            StoreFull, CacheError: the disk refused.
        """

        def fetch(artifact: Artifact) -> None:
            self.fetch(url_of(artifact), artifact.file_name, login, step, sha256=artifact.sha256, size=artifact.size)

        in_parallel(fetch, artifacts)

    def fetch(
        self,
        url: str,
        file_name: str,
        login: Login | None,
        step: Step,
        *,
        sha256: str = "",
        size: int | None = None,
        hashes: Sequence[str] = (),
    ) -> tuple[str, int]:
        """Fetch one wheel.

        Args:
            url: of the file.
            file_name: for messages.
            login: credentials for its host.
            step: told of every piece.
            sha256: that it must have; empty: whatever it has.
            size: bytes that it must have; None: whatever it has.
            hashes: ``sha512:…`` and the like; it must have one of them where there are any.

        Returns:
            Its sha256 and size.

        Raises:
            NetworkError, PackageError, StoreFull, CacheError: as `fetch_all` does.
        """
        temporary = ""
        try:
            for folder in (self.staging, self.root):
                sharing.make_folders(folder)
            handle, temporary = mkstemp(prefix="wheel-", dir=self.staging)
            with os.fdopen(handle, "w+b") as file:
                download = _Download(file, file_name, size, step)
                download.run(self.http, url, login)
                download.check(sha256, hashes)
                faults.point("wheel-fsync")
                os.fchmod(handle, sharing.file_mode(self.staging, 0o644))
                os.fsync(handle)
            os.replace(temporary, self.path(download.sha256))
            temporary = ""
            sync_folder(self.root)
        except OSError as exc:
            raise disk_error(exc) from exc
        finally:
            if temporary:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
        return download.sha256, download.size


class _Download:
    """One file on its way: bytes so far and their hash."""

    def __init__(self, file: IO[bytes], file_name: str, expected: int | None, step: Step) -> None:
        self._file = file
        self._name = file_name
        self._expected = expected
        self._step = step
        self._restart()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def run(self, http: Http, url: str, login: Login | None) -> None:
        path = local(url)
        if path is not None:
            return self._copy(path)
        tries = http.tries()
        while True:
            before = self.size
            try:
                return self._more(http, url, login)
            except NetworkError as exc:
                if self.size - before >= _PROGRESS:
                    tries.progressed()
                if exc.status in (404, 410):
                    raise PackageError(self._name, f"{shown(url)} does not have it (any more)") from exc
                tries.failed(exc)

    def check(self, sha256: str, hashes: Sequence[str]) -> None:
        """Refuse what is not what was asked for."""
        if self._expected is not None and self.size != self._expected:
            raise PackageError(self._name, f"expected {self._expected} bytes, got {self.size}")
        if sha256 and self.sha256 != sha256:
            raise PackageError(self._name, f"expected sha256 {sha256}, got {self.sha256}", remedy=_OTHER)
        if hashes and not any(self._has(entry) for entry in hashes):
            raise PackageError(self._name, f"has none of the hashes that are asked for; its sha256 is {self.sha256}")

    def _has(self, entry: str) -> bool:
        name, _, value = entry.partition(":")
        self._file.seek(0)
        return hashlib.file_digest(self._file, name).hexdigest() == value  # type: ignore[arg-type]  # opened for both

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def _more(self, http: Http, url: str, login: Login | None) -> None:
        """Go on from what is here, if the server can; else from the front."""
        headers = {"Range": f"bytes={self.size}-"} if self.size else {}
        with http.open("GET", url, headers=headers, login=login, accept_statuses=(200, 206)) as answer:
            if self.size and not (
                answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {self.size}-")
            ):
                self._restart()
                if answer.status == 206:
                    raise NetworkError(shown(url), "it sends another part than was asked for", transient=True)
            while data := answer.read(_CHUNK):
                self._take(data)

    def _copy(self, path: Path) -> None:
        try:
            with path.open("rb") as source:
                while data := source.read(_CHUNK):
                    self._take(data)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
            raise PackageError(self._name, f"{path} cannot be read: {exc.strerror}") from exc

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > (_MAX_WHEEL if self._expected is None else self._expected):
            expected = self._expected or _MAX_WHEEL
            raise PackageError(self._name, f"is longer than the {expected} bytes that it should have")
        self._file.write(data)
        self._hash.update(data)
        self._step(self._name, len(data))


_OTHER: Final = (
    "the index has another file under this name than when the lock was made: lock again, or ask whoever runs it"
)


_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """*work* done on every item, several at a time; results in the order of *items*. The first error ends the rest."""
    with ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="pip") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


class Meter:
    """Adds up what several threads fetch, and reports it."""

    def __init__(self, emit: Emit, stage: Stage, total: int) -> None:
        self._emit, self._stage, self._total = emit, stage, total
        self._done = 0
        self._lock = Lock()

    def step(self, item: str, size: int) -> None:
        """*size* bytes more of *item* are here."""
        with self._lock:
            self._done += size
            done = self._done
        self._emit(Progress(stage=self._stage, done=done, total=self._total, unit="bytes", item=item))
