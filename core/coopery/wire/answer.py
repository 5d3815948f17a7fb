"""One answer of a server, read from the front: never decoded, never endlessly slow, never silently short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coopery.errors import NetworkError
from coopery.wire.clock import Clock
from coopery.wire.origin import Address
from coopery.wire.pools import Raw

_WINDOW: Final = 30.0
_SLOWEST: Final = 512
_DRAINED: Final = 1 << 16


class Answer:
    """What a server answered.

    Attributes:
        status: of HTTP.
        headers: by name, whatever its case.
        address: where it came from, after redirects.
    """

    def __init__(self, raw: Raw, address: Address, clock: Clock) -> None:
        self._raw = raw
        self._clock = clock
        self._waited = 0.0
        self._arrived = 0
        self.address = address
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers

    @property
    def url(self) -> str:
        """Where it came from, after redirects; not for messages: see ``address.shown``."""
        return self.address.url

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the server says it."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None

    def read(self, size: int, /) -> bytes:
        """Some bytes of the body, at most *size*; ``b""`` at the end only.

        Raises:
            NetworkError: the connection broke, ended early, or has carried less than 512 bytes a second for half a
                minute. Transient: the rest can be asked for.
        """
        before = self._clock.monotonic()
        data = self._raw.read(size)
        self._waited += self._clock.monotonic() - before
        self._arrived += len(data)
        if self._waited >= _WINDOW:
            if self._arrived < _SLOWEST * _WINDOW:
                raise NetworkError(self.address.shown, "the answer comes too slowly", transient=True)
            self._waited, self._arrived = 0.0, 0
        return data

    def whole(self, limit: int) -> bytes:
        """All of the body.

        Raises:
            NetworkError: it has more than *limit* bytes, or broke off.
        """
        if (self.length or 0) > limit:
            raise self.too_long(limit)
        pieces, size = [], 0
        while data := self.read(1 << 18):
            pieces.append(data)
            size += len(data)
            if size > limit:
                raise self.too_long(limit)
        return b"".join(pieces)

    def too_long(self, limit: int) -> NetworkError:
        """The error for a body of more than *limit* bytes."""
        return NetworkError(self.address.shown, f"the answer has more than {limit} bytes", status=self.status)

    def close(self) -> None:
        """Done with it: a short rest is read, so that the connection can be used again."""
        try:
            if not self._raw.ended and self.length is not None and self.length <= _DRAINED:
                self._drain()
        finally:
            self._raw.close()

    def _drain(self) -> None:
        left = _DRAINED
        try:
            while left > 0 and (data := self._raw.read(left)):
                left -= len(data)
        except NetworkError:
            return  # what nobody asked for may break; the connection is thrown away
