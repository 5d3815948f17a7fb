"""Blobs on their way to a registry. Spec: "Pushing blobs", "Pushing a blob in chunks", "Mounting a blob".

A small blob is one PUT, made anew when it breaks off. A larger one goes in chunks; when one breaks off, the registry
is asked how far it came, and the rest follows. The registry compares the digest at the end, so nothing that broke off
can become a blob.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import quote

from coopery.digest import Digest
from coopery.errors import IntegrityError, NetworkError
from coopery.oci.compression import Readable
from coopery.registry.endpoint import Endpoint
from coopery.wire.answer import Answer
from coopery.wire.origin import Address

SMALL: Final = 4 << 20
CHUNK: Final = 64 << 20
_THINKING: Final = 300.0
"""Seconds that a registry may need to put a large blob in its place before it answers."""

_STARTED: Final = 202
_MISSING: Final = 404
_TAKEN: Final = (200, 201, 202, 204)
_LOST: Final = frozenset({400, 401, 404, 416})
"""Answers to a chunk that say: not here, not this one, or (in a long push) that a token has ended. How far the upload
came is asked for then."""

_ONE: Final = 1
"""``0-0`` is the first byte, by the spec, and to some registries it is none at all: we begin anew."""

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")

Opener = Callable[[], AbstractContextManager[Readable]]


def has(endpoint: Endpoint, digest: Digest) -> int | None:
    """Bytes of the blob; None where the repository does not have it. A registry that keeps its size to itself: 0.

    Raises:
        NetworkError: the registry could not be asked.
    """
    opened = endpoint.open("HEAD", f"blobs/{digest}", accept=(200, _MISSING))
    with opened as answer:
        return None if answer.status == _MISSING else answer.length or 0


def mount(endpoint: Endpoint, digest: Digest, source: str) -> bool:
    """Let the repository have a blob that the repository *source* of the same registry has; no bytes travel.

    Returns:
        False where the registry would rather have it sent: it does not have it, or may not give it.

    Raises:
        NetworkError: the registry could not be asked, or we may not push.
    """
    path = f"blobs/uploads/?mount={quote(digest, safe=':')}&from={quote(source, safe='')}"
    opened = endpoint.open("POST", path, action="push", also=(source,), body=b"", accept=(201, _STARTED))
    with opened as answer:
        if answer.status != _STARTED:
            return True
        begun = endpoint.join(answer, "Location") if answer.headers.get("Location") else None
    if begun is not None:
        cancel(endpoint, begun)
    return False


def start(endpoint: Endpoint) -> Address:
    """Begin an upload; where its bytes go.

    Raises:
        NetworkError: the registry could not be asked, or we may not push.
    """
    with endpoint.open("POST", "blobs/uploads/", action="push", body=b"", accept=(_STARTED,)) as answer:
        return endpoint.join(answer, "Location")


def cancel(endpoint: Endpoint, begun: Address) -> None:
    """Give an upload up. What a registry does about it is its own affair: it drops what nobody ends, some day."""
    try:
        with endpoint.open("DELETE", begun.url, action="push", accept=range(200, 600), retry=False):
            pass
    except NetworkError:
        return  # nothing is lost but some space of the registry's, for a while


def send(endpoint: Endpoint, digest: Digest, size: int, opener: Opener) -> None:
    """Send a blob of *size* bytes.

    Raises:
        NetworkError: it could not be sent.
        IntegrityError: *opener* gives other bytes than *digest* says. The registry keeps nothing of them.
    """
    if size <= SMALL:
        _send_whole(endpoint, digest, size, opener)
    else:
        _Chunked(endpoint, digest, size, opener).run()


def _send_whole(endpoint: Endpoint, digest: Digest, size: int, opener: Opener) -> None:
    data = b""
    with opener() as file:
        verified = _Verified(file, digest, size)
        while piece := verified.read(size):
            data += piece
    tries = endpoint.http.tries()
    while True:
        try:
            _finish(endpoint, start(endpoint), digest, data)
        except NetworkError as exc:
            tries.failed(exc)
            if has(endpoint, digest) is not None:  # it had arrived; only the answer was lost
                return
        else:
            return


def _finish(endpoint: Endpoint, begun: Address, digest: Digest, data: bytes) -> None:
    mark = "&" if "?" in begun.target else "?"
    opened = endpoint.open(
        "PUT",
        f"{begun.url}{mark}digest={quote(digest, safe='')}",
        action="push",
        headers={"Content-Type": "application/octet-stream"},
        body=data,
        accept=(200, 201, 204),
        retry=False,
        timeout=_THINKING,
    )
    with opened:
        pass


class _Chunked:
    """One upload in chunks: where it goes, and how far it is."""

    def __init__(self, endpoint: Endpoint, digest: Digest, size: int, opener: Opener) -> None:
        self._endpoint = endpoint
        self._digest = digest
        self._size = size
        self._opener = opener
        self._tries = endpoint.http.tries()
        self._begun: Address | None = None
        self._at = 0

    def run(self) -> None:
        """Send what is missing until the registry has taken all of it."""
        while True:
            try:
                self._go_on()
            except NetworkError as exc:
                if self._recover(exc):
                    return
            else:
                return

    def _go_on(self) -> None:
        if self._begun is None:
            self._begun, self._at = start(self._endpoint), 0
        with self._opener() as file:
            verified = _Verified(file, self._digest, self._size)
            verified.skip(self._at)
            while self._at < self._size:
                self._begun = self._patch(verified, self._begun)
                self._tries.progressed()
            verified.skip(1)  # there is no such byte: all of it was compared
        _finish(self._endpoint, self._begun, self._digest, b"")

    def _patch(self, file: _Verified, begun: Address) -> Address:
        length = min(CHUNK, self._size - self._at)
        opened = self._endpoint.open(
            "PATCH",
            begun.url,
            action="push",
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{self._at}-{self._at + length - 1}",
            },
            body=_Piece(file, length),
            length=length,
            accept=_TAKEN,
            retry=False,
            timeout=_THINKING,
        )
        with opened as answer:
            arrived = _arrived(answer)
            if arrived is not None and arrived != self._at + length:
                raise NetworkError(answer.address.shown, "a part of the chunk is missing", transient=True)
            self._at += length
            return self._endpoint.join(answer, "Location")

    def _recover(self, error: NetworkError) -> bool:
        """Wait, then learn from the registry where to go on; from the beginning, where it has forgotten.

        Returns:
            True where it has all of it: only the last answer was lost.

        Raises:
            NetworkError: *error*, when no further attempt is due.
        """
        if self._begun is not None and error.status in _LOST:
            error.transient = True  # the upload is not where we thought it is; the blob can still be sent
        self._tries.moved()
        self._tries.failed(error)
        if has(self._endpoint, self._digest) is not None:
            return True
        begun, self._begun = self._begun, None
        if begun is not None:
            self._ask(begun)
        return False

    def _ask(self, begun: Address) -> None:
        """How far the upload *begun* is."""
        with self._endpoint.open("GET", begun.url, action="push", accept=(*_TAKEN, *_LOST)) as answer:
            arrived = _arrived(answer)
            if answer.status in _LOST or arrived is None or not _ONE < arrived <= self._size:
                return
            if arrived > self._at:
                self._tries.progressed()
            self._at = arrived
            self._begun = self._endpoint.join(answer, "Location") if answer.headers.get("Location") else begun


class _Verified:
    """A file whose bytes are compared with their digest by the time the last one is read."""

    def __init__(self, file: Readable, digest: Digest, size: int) -> None:
        self._file = file
        self._digest = digest
        self._left = size
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left)) if self._left else b""
        self._hash.update(data)
        self._left -= len(data)
        short = size > 0 and not data and self._left > 0
        if short or (not self._left and f"sha256:{self._hash.hexdigest()}" != self._digest):
            raise IntegrityError(f"{self._digest}: the file that is sent holds other bytes")
        return data

    def skip(self, size: int) -> None:
        """Read, but do not give, *size* bytes: those that the registry has."""
        while size and (data := self.read(min(size, 1 << 20))):
            size -= len(data)


class _Piece:
    """The next *length* bytes of a file."""

    def __init__(self, file: _Verified, length: int) -> None:
        self._file = file
        self._left = length

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def _arrived(answer: Answer) -> int | None:
    """Bytes that the registry has, where it says so: ``0-1023`` are 1024."""
    match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    return None if match is None else int(match[1]) + 1
