"""What goes wrong on the wire, in our words: told apart by class, never by text."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import IncompleteRead, RemoteDisconnected
from typing import Final, TypeVar

from attrs import frozen
from urllib3 import exceptions as theirs

from coopery.errors import NetworkError
from coopery.wire.origin import Address

_T = TypeVar("_T")
_LOOK: Final = "check the network, and whether a proxy is needed"
_TRUST: Final = "where a certificate authority of your own signed it, set ca_bundle in the settings, or SSL_CERT_FILE"


@frozen
class _Trouble:
    """What happened, whether trying again may help, and what to do."""

    reason: str
    transient: bool = True
    remedy: str = ""


def translated(address: Address, call: Callable[[], _T]) -> _T:
    """What *call* gives.

    Raises:
        NetworkError: urllib3 could not; says why, in our words.
    """
    try:
        with _quiet():
            return call()
    except (theirs.HTTPError, OSError, ValueError) as exc:  # ValueError: a header that cannot be sent, or read
        found = _explain(exc)
        raise NetworkError(address.shown, found.reason, transient=found.transient, remedy=found.remedy) from exc


def _explain(exc: BaseException) -> _Trouble:
    if isinstance(exc, theirs.ProxyError):
        behind = _explain(exc.original_error)
        remedy = behind.remedy or "check the proxy in the settings, or HTTPS_PROXY"
        return _Trouble(f"the proxy: {behind.reason}", behind.transient, remedy)
    if isinstance(exc, theirs.NameResolutionError):
        return _Trouble("the name of the host is not known", remedy=f"check its spelling; {_LOOK}")
    if isinstance(exc, theirs.NewConnectionError):
        return _Trouble(f"no connection: {_word(exc.__cause__)}", remedy=_LOOK)
    for kind, trouble in _BY_CLASS:
        if isinstance(exc, kind):
            return trouble
    return _of_connection(_innermost(exc), exc)


_BY_CLASS: Final[tuple[tuple[type[Exception], _Trouble], ...]] = (
    (theirs.ConnectTimeoutError, _Trouble("no connection in time", remedy=_LOOK)),
    (theirs.ReadTimeoutError, _Trouble("no answer in time")),
    (theirs.InvalidHeader, _Trouble("an answer that is no HTTP", transient=False)),
)


def _of_connection(inner: BaseException, exc: BaseException) -> _Trouble:
    if isinstance(inner, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {inner.verify_message}"
        return _Trouble(reason, transient=False, remedy=_TRUST)
    if isinstance(inner, ssl.SSLError):
        return _Trouble(f"TLS: {inner.reason or 'broken off'}", remedy="is it a plain http server? see plain_http")
    if isinstance(exc, ValueError):
        return _Trouble("an answer that is no HTTP", transient=False)
    return _Trouble(f"the connection broke: {_word(inner)}")


def _innermost(exc: BaseException) -> BaseException:
    seen = {id(exc)}
    while True:
        inner = next((arg for arg in exc.args if isinstance(arg, BaseException)), None) or exc.__cause__
        if inner is None or id(inner) in seen:
            return exc
        seen.add(id(inner))
        exc = inner


def _word(exc: BaseException | None) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, RemoteDisconnected):
        return "closed without an answer"
    if isinstance(exc, IncompleteRead | theirs.IncompleteRead):
        return "closed before the end"
    return type(exc).__name__ if exc is not None else "unknown"


_ours: ContextVar[bool] = ContextVar("ours", default=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep urllib3 from logging our requests: its lines hold queries, and those of signed URLs are secrets."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def _not_ours(record: logging.LogRecord) -> bool:  # noqa: ARG001 - whose it is, not what it says
    return not _ours.get()


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_not_ours)
