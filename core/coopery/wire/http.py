"""Requests: proxied, trusted, bounded, tried again where that can help, redirected where that is safe.

Rules, each with its test in ``tests/wire``:

- Credentials go to the origin that they were found for. A redirect to another one takes none along.
- What is sent (a PUT, a POST) goes to the host that was named, and follows no redirect to another.
- A redirect leads only to http and https, and from https to plain http only where plain http is allowed anyway.
- 408, 429, 500, 502, 503 and 504, broken connections and silence are tried again: see `coopery.wire.tries`.
- Bodies are asked for, and taken, as they are stored: an answer with a content encoding is refused, since the sizes
  and digests that we know are those of the stored bytes.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from coopery import __version__
from coopery.errors import NetworkError, UsageError
from coopery.events import Emit, ignore
from coopery.settings import Settings
from coopery.wire import origin as _origin
from coopery.wire.answer import Answer
from coopery.wire.clock import SYSTEM, Clock
from coopery.wire.complaint import MOST, complaint
from coopery.wire.origin import Address, Login, Origin
from coopery.wire.pools import Body, Pools, Timeouts
from coopery.wire.tries import Tries, retry_after

_TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset({"GET", "HEAD"})
_MOST_REDIRECTS: Final = 10
_AGENT: Final = f"coopery/{__version__}"
_REMEDIES: Final = {
    401: "log in to that host, or check the name and password that are kept for it",
    403: "this login may not do that: ask whoever runs that host",
    407: "the proxy wants a login: write it as http://user:password@host:port",
    429: "the server limits how often it is asked: wait, or log in, or set a mirror",
}


@frozen
class _Request:
    """One request as the caller wants it. ``address`` has changed after a redirect."""

    method: str
    address: Address
    headers: Mapping[str, str]
    body: bytes | Body | None
    login: Login | None
    accept_statuses: Collection[int]
    timeout: float
    own: bool = True  # still at the origin that the caller named


class Http:
    """All requests under one set of settings. Usable from several threads; connections are kept until `close`.

    Args:
        settings: proxy, CA bundle, hosts that are spoken to in plain http.
        clock: what waiting goes by.
        emit: told of every further attempt.
        timeouts: silence that is borne.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock = SYSTEM, emit: Emit = ignore, timeouts: Timeouts | None = None
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._emit = emit
        self._timeouts = timeouts or Timeouts()
        self._pools = Pools(settings, self._timeouts)

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections. What is asked afterwards opens new ones."""
        self._pools.close()

    def tries(self) -> Tries:
        """Attempts by this one's clock, for what takes several requests, such as going on with a broken download."""
        return Tries(self._clock, self._emit)

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = {},
        body: bytes | Body | None = None,
        length: int | None = None,
        login: Login | None = None,
        retry: bool = True,
        accept_statuses: Collection[int] = (200,),
        timeout: float | None = None,
    ) -> Iterator[Answer]:
        """Make one request; the answer is closed when the context ends.

        Args:
            method: ``GET``, ``HEAD``, ``PUT``, …
            url: http or https. A user and password in it are taken out, used for its origin, and never shown.
            headers: ``Authorization`` among them goes to the origin of *url* only.
            body: bytes, or what is read once from the front; the latter is never sent twice.
            length: bytes of *body* where it is read; unknown: it is sent in chunks.
            login: asked for credentials where *url* and *headers* have none.
            retry: try again what may go better. False for what must not happen twice.
            accept_statuses: statuses that are answers; all others are errors.
            timeout: seconds of silence to bear, for servers that think long.

        Raises:
            NetworkError: no answer, none in time, or one that is not accepted.
            UsageError: *url*, the proxy or the CA bundle cannot be used.
        """
        request = _Request(
            method,
            _address(url),
            _headers(headers, body, length),
            body,
            login,
            accept_statuses,
            timeout or self._timeouts.read,
        )
        once = not retry or not (body is None or isinstance(body, bytes))
        answer = self._ask(request) if once else self._tried(request)
        try:
            yield answer
        finally:
            answer.close()

    def get(
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] = {},
        login: Login | None = None,
    ) -> bytes:
        """A small document, whole; tried again where it breaks off.

        Raises:
            NetworkError: it cannot be had, or has more than *limit* bytes.
            UsageError: *url*, the proxy or the CA bundle cannot be used.
        """
        tries = self.tries()
        while True:
            try:
                with self.open("GET", url, headers=headers, login=login, retry=False) as answer:
                    return answer.whole(limit)
            except NetworkError as exc:
                tries.failed(exc)

    def _tried(self, request: _Request) -> Answer:
        tries = self.tries()
        while True:
            try:
                return self._ask(request, tries.left)
            except NetworkError as exc:
                tries.failed(exc)

    def _ask(self, request: _Request, left: float = float("inf")) -> Answer:
        """The answer to *request*, where its redirects end."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._send(request, min(request.timeout, max(1.0, left)))
            try:
                if answer.status in request.accept_statuses:
                    _check_encoding(answer)
                    return answer
                if answer.status not in _REDIRECTS:
                    raise _refusal(answer, request)
                request = self._redirected(request, answer)
            except BaseException:
                answer.close()
                raise
            answer.close()
        raise NetworkError(request.address.shown, f"more than {_MOST_REDIRECTS} redirects")

    def _send(self, request: _Request, silence: float) -> Answer:
        headers = dict(request.headers)
        address = request.address
        authorization = address.basic if request.own else None
        given = authorization or headers.get("Authorization") or (request.login and request.login(address.url))
        if given:
            headers["Authorization"] = given
        body = io.BytesIO(request.body) if isinstance(request.body, bytes) else request.body
        return Answer(self._pools.send(request.method, address, headers, body, silence), address, self._clock)

    def _redirected(self, request: _Request, answer: Answer) -> _Request:
        here = request.address
        try:
            there = here.join(answer.headers.get("Location") or "nowhere:")
        except ValueError as exc:
            raise NetworkError(here.shown, f"it redirects to nowhere: {exc}", status=answer.status) from exc
        same = there.origin == here.origin
        if request.method not in _SAFE and not (same and answer.status in (307, 308) and _again(request.body)):
            reason = f"it redirects a {request.method} to {there.origin}; what is sent goes only where it was meant to"
            raise NetworkError(here.shown, reason, status=answer.status)
        if here.origin.scheme == "https" and there.origin.scheme == "http" and not self.is_plain(there.origin):
            reason = f"it redirects from https to plain http, at {there.origin}"
            remedy = f"where that is meant, name {there.origin.netloc} under plain_http in the settings"
            raise NetworkError(here.shown, reason, status=answer.status, remedy=remedy)
        return _follow(request, there, same)

    def is_plain(self, origin: Origin) -> bool:
        """Whether *origin* may be spoken to in plain http: it is this machine, or named in the settings."""
        return (
            origin.loopback
            or {origin.netloc, f"{origin.netloc}:{origin.port}"} & set(self.settings.plain_http) != set()
        )


def _address(url: str) -> Address:
    try:
        return _origin.parse(url)
    except ValueError as exc:
        raise UsageError(f"{_origin.shown(url)}: {exc}") from exc


def _headers(headers: Mapping[str, str], body: object, length: int | None) -> dict[str, str]:
    sent = {name.title(): value for name, value in headers.items()}
    sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **sent}
    if isinstance(body, bytes):
        length = len(body)
    if length is not None:
        sent["Content-Length"] = str(length)
    return sent


def _again(body: bytes | Body | None) -> bool:
    return body is None or isinstance(body, bytes)


def _follow(request: _Request, there: Address, same: bool) -> _Request:
    kept = {name: value for name, value in request.headers.items() if same or name not in ("Authorization", "Cookie")}
    own = request.own and same
    address = Address(there.origin, there.target, request.address.userinfo if own else "")
    return _Request(
        request.method, address, kept, request.body, request.login, request.accept_statuses, request.timeout, own
    )


def _check_encoding(answer: Answer) -> None:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        reason = f"it is sent encoded ({encoding[:40]!r}), which was not asked for"
        raise NetworkError(
            answer.address.shown, reason, status=answer.status, remedy="a proxy in between may do that: go around it"
        )


def _refusal(answer: Answer, request: _Request) -> NetworkError:
    try:
        body = b"" if request.method == "HEAD" else answer.read(MOST)
    except NetworkError:
        body = b""  # the status is what counts
    return NetworkError(
        answer.address.shown,
        complaint(answer.status, body, answer.headers.get("Content-Type", "")),
        status=answer.status,
        transient=answer.status in _TRANSIENT,
        retry_after=retry_after(answer.headers.get("Retry-After", ""), answer.headers.get("Date", "")),
        remedy=_REMEDIES.get(answer.status, ""),
    )
