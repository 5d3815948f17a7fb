"""One connection to a Redis server: commands out, replies in. RESP2, which every version of Redis speaks.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ ("RESP protocol description").
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from coopery.stores.rows import LIMIT

if TYPE_CHECKING:
    import ssl

Word = str | bytes | int

PASSING: Final = frozenset({"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"})
"""Refusals of a server that starts or changes roles."""

_LONGEST: Final = LIMIT + (1 << 20)
"""Bytes of a reply: no record is larger."""

_MOST: Final = 1 << 20
_DEEPEST: Final = 8
_LINE: Final = 1 << 16
_PIECE: Final = 1 << 18


class Broken(Exception):  # noqa: N818 - says the state
    """No connection, or one that ended or that nobody can make sense of any more. The cause is the system's error."""


class Refused(Exception):  # noqa: N818 - says what a server did
    """The server's own error: a code in capitals, and words."""

    def __init__(self, text: str, *, login: bool = False) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]
        self.login = login


@frozen
class Endpoint:
    """Where a server listens, and how long its silence is borne, in seconds; ``tls`` is None for plain text."""

    host: str
    port: int
    socket: str
    connect: float
    answer: float
    tls: ssl.SSLContext | None = None


class Connection:
    """One connection, logged in. Used by one thread at a time.

    Args:
        endpoint: where.
        login: user and password; empty for none.
        database: its number.

    Raises:
        Broken: it cannot be reached.
        Refused: it does not let us in.
    """

    def __init__(self, endpoint: Endpoint, login: tuple[str, str], database: int) -> None:
        self._buffer = bytearray()
        self._socket = _connected(endpoint)
        try:
            self._greet(login, database)
        except BaseException:
            self.close()
            raise

    def ask(self, *commands: Sequence[Word]) -> list[Any]:
        """A reply for each: bytes, an integer, a list, None, or `Refused` in its place.

        Raises:
            Broken: afterwards the connection is of no use.
        """
        try:
            self._socket.sendall(b"".join(map(_encoded, commands)))
            return [self._reply() for _ in commands]
        except OSError as exc:
            raise Broken(_words(exc)) from exc

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def _greet(self, login: tuple[str, str], database: int) -> None:
        user, password = login
        if password:
            (answer,) = self.ask(("AUTH", user, password) if user else ("AUTH", password))
            if isinstance(answer, Refused):
                raise Refused(str(answer), login=answer.code not in PASSING)
        named, chosen = self.ask(("CLIENT", "SETNAME", "coopery"), ("SELECT", database))
        del named  # a name is a courtesy, which old servers and some users are not allowed
        if isinstance(chosen, Refused) and (database or chosen.code != "NOPERM"):
            raise chosen

    # --- replies ------------------------------------------------------------------------------------

    def _reply(self, depth: int = 0) -> Any:
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return Refused(text.decode(errors="replace"))
        number = _number(text, line)
        if kind == b":":
            return number
        if kind == b"$" and number <= _LONGEST:
            return None if number < 0 else self._bulk(number)
        if kind == b"*" and number <= _MOST and depth < _DEEPEST:
            return None if number < 0 else [self._reply(depth + 1) for _ in range(number)]
        raise Broken(f"its answer is not understood: {line[:60]!r}")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _LINE:
                raise Broken("its answer is not understood: a line without an end")
            self._read()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _bulk(self, size: int) -> bytes:
        while len(self._buffer) < size + 2:
            self._read()
        data = bytes(self._buffer[:size])
        if self._buffer[size : size + 2] != b"\r\n":
            raise Broken("its answer is not understood: a text that does not end where it should")
        del self._buffer[: size + 2]
        return data

    def _read(self) -> None:
        data = self._socket.recv(_PIECE)
        if not data:
            raise Broken("it closed the connection")
        self._buffer += data


def _connected(endpoint: Endpoint) -> socket.socket:
    try:
        if endpoint.socket:
            found = socket.socket(socket.AF_UNIX)
            try:
                found.settimeout(endpoint.connect)
                found.connect(endpoint.socket)
            except BaseException:
                found.close()
                raise
        else:
            found = socket.create_connection((endpoint.host, endpoint.port), endpoint.connect)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls is not None:
            found = _secured(found, endpoint.tls, endpoint.host)
        found.settimeout(endpoint.answer)
    except (OSError, UnicodeError) as exc:
        where = endpoint.socket or f"{endpoint.host}:{endpoint.port}"
        raise Broken(f"no connection to {where}: {_words(exc)}") from exc
    return found


def _secured(plain: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _encoded(words: Sequence[Word]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _number(text: bytes, line: bytes) -> int:
    digits = text.removeprefix(b"-")
    if not (digits.isdigit() and len(digits) < 20):
        raise Broken(f"its answer is not understood: {line[:60]!r}")
    return int(text)


def _words(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "it did not answer in time"
    return str(getattr(exc, "strerror", None) or exc or type(exc).__name__)
