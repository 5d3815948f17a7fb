"""One Redis server: asked again when it does not answer, within bounds, and its refusals in our words.

The only file that imports redis-py, and only once something is asked: that takes 0.2 s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from coopery.errors import CacheError, CooperyError, StoreFull
from coopery_redis.address import Address
from coopery_redis.scripts import Script

if TYPE_CHECKING:
    from redis import RedisError

T = TypeVar("T")

_PAUSES: Final = (0.1, 0.4, 1.2, 3.0)
"""Seconds before each further attempt, plus up to half of it by chance: a restarted server is back by then."""

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
_CONNECTIONS: Final = 16
"""Of one process; more threads wait for one another, for the milliseconds that a command takes."""

Word = str | bytes | int
Client = Any
"""`redis.Redis`, of which the methods used here carry no types."""

DAMAGED: Final = object()

_inherited: list[object] = []
"""Connections of a parent process, kept from being closed in this one."""


class Server:
    """A server, connected to on first use, by each process for itself. May be used by any number of threads.

    Raises:
        CacheError: from every method: it cannot be reached, or refuses. StoreFull when it has no memory left.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._opened: tuple[int, Client] | None = None

    def ask(self, *commands: Sequence[Word]) -> list[Any]:
        """The answers to commands that read, sent at once; `DAMAGED` where a key holds another type."""

        def send(client: Client) -> list[Any]:
            line = client.pipeline(transaction=False)
            for words in commands:
                line.execute_command(*words)
            return [_or_damaged(answer) for answer in line.execute(raise_on_error=False)]

        return self._patiently(send)

    def run(self, script: Script, keys: Sequence[bytes], *arguments: Word) -> Any:
        """The answer of *script*, which must be one that may be sent twice."""
        words = (len(keys), *keys, *arguments)

        def send(client: Client) -> Any:
            import redis

            try:
                return client.execute_command("EVALSHA", script.sha, *words)
            except redis.exceptions.NoScriptError:
                return client.execute_command("EVAL", script.text, *words)

        return self._patiently(send)

    def close(self) -> None:
        """Close what this process opened; the next use opens anew."""
        opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].close()
        elif opened is not None:
            _inherited.append(opened)

    def _patiently(self, ask: Callable[[Client], T]) -> T:
        from redis import RedisError

        failures = 0
        while True:
            try:
                return ask(self._client())
            except RedisError as exc:
                failures += 1
                if failures > len(_PAUSES) or not _may_pass(exc):
                    raise self._translated(exc, failures) from exc
            time.sleep(_PAUSES[failures - 1] * (1 + os.urandom(1)[0] / 512))

    def _client(self) -> Client:
        """This process's client. Two threads may both make the first one: then one of them is soon dropped."""
        opened, pid = self._opened, os.getpid()
        if opened is None or opened[0] != pid:
            self.close()
            try:
                opened = self._opened = (pid, _connect(self.address))
            except CooperyError as exc:  # of the netrc file, or of the certificates
                raise CacheError(f"the Redis server {self.address.shown}: {exc.message}", remedy=exc.remedy) from exc
        return opened[1]

    def _translated(self, exc: RedisError, attempts: int) -> CacheError:
        where = f"the Redis server {self.address.shown}"
        for kinds, code, error, words, remedy in _refusals(self.address.namespace):
            if isinstance(exc, kinds) or _code(exc) == code:
                return error(f"{where} {words}: {exc}", remedy=remedy)
        if _is_untrusted(exc):
            return CacheError(
                f"{where} has a certificate that is not trusted: {exc}",
                remedy="name its authority: rediss://…?ca=FILE, ca_bundle in the settings, or SSL_CERT_FILE",
            )
        tried = f" (tried {attempts} times)" if attempts > 1 else ""
        return CacheError(f"{where}: {exc}{tried}", remedy="see that it runs and can be reached from here")


_Refusal = tuple[tuple[type[Exception], ...], str, type[CacheError], str, str]


def _refusals(namespace: str) -> tuple[_Refusal, ...]:
    """What a server says no with: redis-py's classes, or the code that the protocol has for it; and our words."""
    from redis import exceptions

    login = (exceptions.AuthenticationError, exceptions.AuthorizationError)
    put = "put them into the URL (redis://USER:PASSWORD@HOST), into netrc, or the password into REDISCLI_AUTH"
    grant = f"grant it the keys ~coopery:{{{namespace}}}:*, and commands as docs/redis.md lists them"
    return (
        (login, "NOAUTH", CacheError, "does not accept this user and password", put),
        ((exceptions.NoPermissionError,), "NOPERM", CacheError, "forbids this to its user", grant),
        ((exceptions.ReadOnlyError,), "READONLY", CacheError, "is a replica", "name the primary server"),
        ((exceptions.OutOfMemoryError,), "OOM", StoreFull, "has no memory left", "raise its maxmemory"),
        ((), "MISCONF", StoreFull, "cannot write to its disk", "look into the server's log"),
    )


def _connect(address: Address) -> Client:
    """A client that has not connected yet, and that leaves trying again to us."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    user, password = address.login()
    options: dict[str, Any] = {
        "db": address.database,
        "username": user or None,
        "password": password or None,
        "socket_timeout": _ANSWER_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "client_name": "coopery",
    }
    if address.socket:
        options |= {"connection_class": redis.UnixDomainSocketConnection, "path": address.socket}
        del options["socket_connect_timeout"]
    else:
        options |= {"host": address.host, "port": address.port}
    if address.tls:
        options |= {"connection_class": redis.SSLConnection, **_trust(address)}
    options |= {"max_connections": _CONNECTIONS, "timeout": _ANSWER_SECONDS}
    pool = redis.BlockingConnectionPool(**options)  # type: ignore[no-untyped-call]  # redis-py's constructor has no types
    return redis.Redis(connection_pool=pool)


def _trust(address: Address) -> dict[str, Any]:
    import ssl

    from coopery.settings import load
    from coopery.wire.trust import bundle, context

    path = address.ca or bundle(load())
    options: dict[str, Any] = {"ssl_min_version": ssl.TLSVersion.TLSv1_2}
    if path:
        context(path)  # says what is wrong with it; redis-py would only say that it cannot connect
    return {**options, "ssl_ca_path" if os.path.isdir(path) else "ssl_ca_certs": path or None}


def _may_pass(exc: RedisError) -> bool:
    """Whether asking again later may help: no answer, or a server that starts or changes roles."""
    from redis import exceptions

    if isinstance(exc, exceptions.AuthenticationError | exceptions.AuthorizationError) or _is_untrusted(exc):
        return False
    passing = (
        exceptions.ConnectionError,  # BusyLoadingError is one
        exceptions.TimeoutError,
        exceptions.TryAgainError,
        exceptions.ClusterDownError,
    )
    return isinstance(exc, passing)


def _is_untrusted(exc: BaseException) -> bool:
    import ssl  # redis-py has imported it

    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _or_damaged(answer: Any) -> Any:
    if not isinstance(answer, Exception):
        return answer
    if _code(answer) == "WRONGTYPE":
        return DAMAGED
    raise answer


def _code(exc: Exception) -> str:
    """The word that a refusal begins with, which the protocol defines."""
    return str(exc).partition(" ")[0]
