"""Bytes from a mirror: verified while they arrive, tried again within bounds, kept by their sha256."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeVar

from attrs import field, frozen

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError, NetworkError
from coopery.wire.answer import Answer
from coopery.wire.http import Http
from coopery.wire.origin import Login

T = TypeVar("T")

_CHUNK: Final = 1 << 18
_NOT_MODIFIED: Final = 304
_GONE: Final = (404, 410)
_MIRROR: Final = "or set COOPERY_DEBIAN_MIRROR to another mirror"


@frozen
class Fetched:
    """One document: its bytes and what to ask with next time. ``data`` is None when it has not changed."""

    data: bytes | None
    validators: Mapping[str, str] = field(factory=dict)


class Absent(Exception):  # noqa: N818 - says the state; callers answer it with another URL or a message of their own
    """The mirror answered that it has no such file."""


class Readable(Protocol):
    """Bytes from the front; ``b""`` at the end."""

    def read(self, size: int, /) -> bytes:
        """At most *size* of them."""
        ...


class Fetcher:
    """Reads from one mirror. Usable from several threads.

    Args:
        kept: files by sha256; None for a reader of documents alone.
        http: makes the requests.
        login: finds the mirror's credentials.
        patient: whether a request that fails is made again.
    """

    def __init__(self, kept: BlobStore | None, http: Http, login: Login | None = None, *, patient: bool = True) -> None:
        self._kept = kept
        self._http = http
        self._login = login
        self._patient = patient

    def document(self, url: str, limit: int, validators: Mapping[str, str] | None = None) -> Fetched:
        """A small file whole.

        Args:
            url: where it is: http, https or file.
            limit: the most bytes that it may have.
            validators: those of an earlier answer; when the file is still the same, no bytes are sent.

        Raises:
            Absent: there is no such file.
            NetworkError: it cannot be had.
            BaseError: it is larger.
        """
        if url.startswith("file:"):
            return Fetched(_local(url, lambda file: _limited(file, limit, url)))

        def read(answer: Answer) -> Fetched:
            if answer.status == _NOT_MODIFIED:
                return Fetched(None, validators or {})
            return Fetched(_limited(answer, limit, url), _validators(answer.headers))

        return self._tried(url, validators or {}, read)

    def file(self, url: str, sha256: str, size: int) -> Path:
        """A file of known content, as a path on this disk. Nothing is asked when it is here already, undamaged.

        Raises:
            Absent: there is no such file.
            NetworkError: it cannot be had.
            BaseError: it is another file than the index says. Nothing of it is kept.
        """
        kept, digest = self._kept, Digest(f"sha256:{sha256}")
        if kept is None:
            raise AssertionError("this fetcher was made without a place for files")
        if kept.size(digest) != size or not _undamaged(kept.path(digest), digest):
            if url.startswith("file:"):
                _local(url, lambda file: _keep(kept, file, digest, size, url))
            else:
                self._tried(url, {}, lambda answer: _keep(kept, answer, digest, size, url))
        return kept.path(digest)

    def _tried(self, url: str, headers: Mapping[str, str], read: Callable[[Answer], T]) -> T:
        """Ask several times, with growing waits, until *read* has all of an answer."""
        tries = self._http.tries()
        accepted = (200, _NOT_MODIFIED) if headers else (200,)
        while True:
            try:
                with self._http.open(
                    "GET", url, headers=headers, login=self._login, retry=False, accept_statuses=accepted
                ) as answer:
                    return read(answer)
            except NetworkError as exc:
                if exc.status in _GONE:
                    raise Absent(url) from exc
                exc.remedy = f"{exc.remedy or 'check the network, the proxy and the CA bundle'}, {_MIRROR}"
                if not self._patient:
                    raise
                tries.failed(exc)


def _local(url: str, read: Callable[[Readable], T]) -> T:
    path = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    try:
        file = path.open("rb")
    except FileNotFoundError as exc:
        raise Absent(url) from exc
    except OSError as exc:
        raise BaseError(f"{url}: cannot be read: {exc.strerror}") from exc
    with file:
        return read(file)


def _limited(source: Readable, limit: int, url: str) -> bytes:
    data = bytearray()
    while len(data) <= limit and (chunk := source.read(_CHUNK)):
        data += chunk
    if len(data) > limit:
        raise BaseError(f"{url}: larger than {limit} bytes; this is no Debian mirror")
    return bytes(data)


def _undamaged(path: Path, digest: Digest) -> bool:
    with path.open("rb") as file:
        return _digest.of_file(file) == digest


def _keep(kept: BlobStore, source: Readable, digest: Digest, size: int, url: str) -> None:
    try:
        with kept.create(digest) as writer:
            while writer.size <= size and (chunk := source.read(_CHUNK)):
                writer.write(chunk)
    except IntegrityError as exc:
        raise BaseError(
            f"{url}: the mirror sent another file than its signed index names: {exc.message}",
            remedy="try again later, as a mirror may be changing just now, or set COOPERY_DEBIAN_MIRROR to another",
        ) from exc


def join(base: str, *parts: str) -> str:
    """A URL below *base*; what a URL cannot hold as it stands is quoted."""
    return "/".join((base, *(urllib.parse.quote(part, safe="/:+~") for part in parts)))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = {"If-None-Match": headers.get("ETag"), "If-Modified-Since": headers.get("Last-Modified")}
    return {name: value for name, value in pairs.items() if value}
