"""One Redis server: asked again when it does not answer, within bounds, and its refusals in our words."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from coopery.errors import CacheError, CooperyError, StoreFull
from coopery_redis.address import Address
from coopery_redis.connection import PASSING, Broken, Connection, Endpoint, Refused, Word
from coopery_redis.scripts import Script

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

_PAUSES: Final = (0.1, 0.4, 1.2, 3.0)
"""Seconds before each further attempt, plus up to half of it by chance: a restarted server is back by then."""

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
_CONNECTIONS: Final = 16
"""Of one process; more threads wait for one another, for the milliseconds that a command takes."""

_LOGINS: Final = frozenset({"NOAUTH", "WRONGPASS"})

DAMAGED: Final = object()

_inherited: list[object] = []
"""Connections of a parent process, kept from being closed in this one."""


class _Pool:
    """The connections of one process: those that are at rest, the last used first, and how many there may be."""

    def __init__(self, opened: Callable[[], Connection]) -> None:
        self.pid = os.getpid()
        self._opened = opened
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_CONNECTIONS)
        self._idle: list[Connection] = []

    def use(self, ask: Callable[[Connection], T]) -> T:
        """What *ask* makes of a connection. One that broke is dropped, and all that are at rest with it."""
        if not self._room.acquire(timeout=_ANSWER_SECONDS):
            raise Broken(f"all {_CONNECTIONS} connections of this process are in use")
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._opened()
            try:
                result = ask(connection)
            except Refused:
                self._keep(connection)
                raise
            except BaseException:  # in the middle of an answer, perhaps
                connection.close()
                self.close()
                raise
            self._keep(connection)
            return result
        finally:
            self._room.release()

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Server:
    """A server, connected to on first use, by each process for itself. May be used by any number of threads.

    Raises:
        CacheError: from every method: it cannot be reached, or refuses. StoreFull when it has no memory left.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._pool: _Pool | None = None

    def ask(self, *commands: Sequence[Word]) -> list[Any]:
        """The answers to commands that read, sent at once; `DAMAGED` where a key holds another type."""
        if not commands:
            return []
        return self._patiently(lambda connection: [_or_damaged(answer) for answer in connection.ask(*commands)])

    def run(self, script: Script, keys: Sequence[bytes], *arguments: Word) -> Any:
        """The answer of *script*, which must be one that may be sent twice."""
        words = (len(keys), *keys, *arguments)

        def send(connection: Connection) -> Any:
            (answer,) = connection.ask(("EVALSHA", script.sha, *words))
            if isinstance(answer, Refused) and answer.code == "NOSCRIPT":
                (answer,) = connection.ask(("EVAL", script.text, *words))
            if isinstance(answer, Refused):
                raise answer
            return answer

        return self._patiently(send)

    def close(self) -> None:
        """Close what this process opened; the next use opens anew."""
        pool, self._pool = self._pool, None
        if pool is not None and pool.pid == os.getpid():
            pool.close()
        elif pool is not None:
            _inherited.append(pool)

    def _patiently(self, ask: Callable[[Connection], T]) -> T:
        failures = 0
        while True:
            try:
                return self._own_pool().use(ask)
            except (Broken, Refused) as exc:
                failures += 1
                if failures > len(_PAUSES) or not _may_pass(exc):
                    raise self._translated(exc, failures) from exc
            time.sleep(_PAUSES[failures - 1] * (1 + os.urandom(1)[0] / 512))

    def _own_pool(self) -> _Pool:
        """This process's connections. Two threads may both make the first pool: then one of them is soon dropped."""
        pool = self._pool
        if pool is None or pool.pid != os.getpid():
            self.close()
            try:
                pool = self._pool = _Pool(_opener(self.address))
            except CooperyError as exc:  # of the netrc file, or of the certificates
                raise CacheError(f"the Redis server {self.address.shown}: {exc.message}", remedy=exc.remedy) from exc
        return pool

    def _translated(self, exc: Broken | Refused, attempts: int) -> CacheError:
        where = f"the Redis server {self.address.shown}"
        if isinstance(exc, Refused):
            for codes, error, words, remedy in _refusals(self.address.namespace):
                if exc.code in codes or (exc.login and codes is _LOGINS):
                    return error(f"{where} {words}: {exc}", remedy=remedy)
        if _is_untrusted(exc):
            return CacheError(
                f"{where} has a certificate that is not trusted: {exc}",
                remedy="name its authority: rediss://…?ca=FILE, ca_bundle in the settings, or SSL_CERT_FILE",
            )
        tried = f" (tried {attempts} times)" if attempts > 1 else ""
        return CacheError(f"{where}: {exc}{tried}", remedy="see that it runs and can be reached from here")


_Refusal = tuple[frozenset[str], type[CacheError], str, str]


def _refusals(namespace: str) -> tuple[_Refusal, ...]:
    """The codes that the protocol has for a no, and our words."""
    put = "put them into the URL (redis://USER:PASSWORD@HOST), into netrc, or the password into REDISCLI_AUTH"
    grant = f"grant it the keys ~coopery:{{{namespace}}}:*, and commands as docs/redis.md lists them"
    return (
        (_LOGINS, CacheError, "does not accept this user and password", put),
        (frozenset({"NOPERM"}), CacheError, "forbids this to its user", grant),
        (frozenset({"READONLY"}), CacheError, "is a replica", "name the primary server"),
        (frozenset({"OOM"}), StoreFull, "has no memory left", "raise its maxmemory"),
        (frozenset({"MISCONF"}), StoreFull, "cannot write to its disk", "look into the server's log"),
    )


def _opener(address: Address) -> Callable[[], Connection]:
    login = address.login()
    trust = _trust(address) if address.tls else None

    def opened() -> Connection:
        endpoint = Endpoint(address.host, address.port, address.socket, _CONNECT_SECONDS, _ANSWER_SECONDS, trust)
        return Connection(endpoint, login, address.database)

    return opened


def _trust(address: Address) -> ssl.SSLContext:
    import ssl

    from coopery.settings import load
    from coopery.wire.trust import bundle, context

    found = context(address.ca or bundle(load()))
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    return found


def _may_pass(exc: Broken | Refused) -> bool:
    """Whether asking again later may help: no answer, or a server that starts or changes roles."""
    if isinstance(exc, Refused):
        return exc.code in PASSING and not exc.login
    return not _is_untrusted(exc)


def _is_untrusted(exc: BaseException) -> bool:
    ssl = sys.modules.get("ssl")  # not imported: no TLS
    return ssl is not None and isinstance(exc.__cause__, ssl.SSLCertVerificationError)


def _or_damaged(answer: Any) -> Any:
    if not isinstance(answer, Refused):
        return answer
    if answer.code == "WRONGTYPE":
        return DAMAGED
    raise answer
