"""One repository where it is spoken to: requests with the right login, errors in the registry's own words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from coopery.errors import NetworkError
from coopery.registry.access import Access, Action
from coopery.registry.credentials import Credentials
from coopery.registry.reference import Reference
from coopery.registry.tokens import Tokens
from coopery.wire import origin as _origin
from coopery.wire.answer import Answer
from coopery.wire.clock import SYSTEM, Clock
from coopery.wire.complaint import MOST, complaint
from coopery.wire.http import Http
from coopery.wire.origin import Address, Origin
from coopery.wire.pools import Body

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


class Endpoint:
    """One repository, by one way. Usable from several threads.

    Args:
        http: the wire.
        reference: the repository.
        credentials: where logins are found.
        clock: what tokens age by.
    """

    def __init__(self, http: Http, reference: Reference, credentials: Credentials, clock: Clock = SYSTEM) -> None:
        self.http = http
        self.reference = reference
        self.origin = origin_of(http, reference.api_host)
        self._root = f"{self.origin}/v2/{reference.repository}/"
        self._access = Access(reference, self.origin, credentials, Tokens(http, clock))

    @property
    def name(self) -> str:
        """``host/repository``."""
        return self.reference.name

    def url(self, path: str) -> str:
        """Where *path* below the repository is: ``manifests/latest``."""
        return self._root + path

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        action: Action = "pull",
        also: Collection[str] = (),
        headers: Mapping[str, str] = {},
        body: bytes | Body | None = None,
        length: int | None = None,
        accept: Collection[int] = (200,),
        retry: bool = True,
        timeout: float | None = None,
    ) -> Iterator[Answer]:
        """One request, made again where the registry first wants to see a login, or a newer token.

        Args:
            method: as in `Http.open`.
            url: path below the repository, or a whole URL that the registry named.
            action: the right that it needs.
            also: other repositories that are read from.
            headers: as in `Http.open`.
            body: as in `Http.open`. What is read once cannot be sent again with another login: that 401 is an error.
            length: bytes of the body.
            accept: statuses that are answers.
            retry: as in `Http.open`.
            timeout: as in `Http.open`.

        Raises:
            NetworkError: no answer, or one that is not in *accept*.
            UsageError: the settings, or a file or helper with logins, are broken.
        """
        whole = url if "://" in url else self.url(url)
        given = self._authorization(whole, action, also)
        for last in (False, True):
            sent = {**headers, "Authorization": given} if given else dict(headers)
            with self._once(method, whole, sent, body, length, {*accept, _UNAUTHORIZED}, retry, timeout) as answer:
                if answer.status != _UNAUTHORIZED:
                    yield answer
                    return
                gone = last or not (body is None or isinstance(body, bytes))
                again = None if gone else self._next(answer, whole, action, also, given)
                if again is None:
                    raise self._locked_out(answer)
                given = again

    @contextmanager
    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        length: int | None,
        accept: Collection[int],
        retry: bool,
        timeout: float | None,
    ) -> Iterator[Answer]:
        with ExitStack() as stack:
            try:
                answer = stack.enter_context(
                    self.http.open(
                        method,
                        url,
                        headers=headers,
                        body=body,
                        length=length,
                        accept_statuses=accept,
                        retry=retry,
                        timeout=timeout,
                    )
                )
            except NetworkError as exc:
                if exc.status == _FORBIDDEN:
                    exc.remedy = self._access.remedy()
                raise
            yield answer

    def join(self, answer: Answer, header: str) -> Address:
        """Where *header* of *answer* leads, for the next request of ours.

        Raises:
            NetworkError: nowhere, or out of TLS.
        """
        text = answer.headers.get(header, "")
        if not text:
            raise NetworkError(answer.address.shown, f"its answer has no {header}", status=answer.status)
        try:
            there = answer.address.join(text)
        except ValueError as exc:
            raise NetworkError(answer.address.shown, f"its {header} is no URL: {exc}", status=answer.status) from exc
        return self._in_tls(there, answer)

    def _in_tls(self, there: Address, answer: Answer) -> Address:
        """A registry behind a proxy that ends TLS may name itself by http: it is spoken to as before."""
        if answer.address.origin.scheme == "http" or there.origin.scheme == "https":
            return there
        if there.origin.host == answer.address.origin.host:
            return Address(answer.address.origin, there.target)
        reason = f"it leads from https to plain http, at {there.origin}"
        raise NetworkError(answer.address.shown, reason, status=answer.status)

    def _authorization(self, url: str, action: Action, also: Collection[str], refused: str = "") -> str | None:
        if _origin.parse(url).origin != self.origin:
            return None  # storage elsewhere has its own signature in the URL, and no business with our login
        return self._access.authorization(action, also, refused)

    def _next(self, answer: Answer, url: str, action: Action, also: Collection[str], given: str | None) -> str | None:
        """What to show after a 401: None where there is nothing that was not shown already."""
        if answer.address.origin != self.origin or not self._access.challenged(_challenge(answer)):
            return None
        again = self._authorization(url, action, also, given or "")
        return again if again != given else None

    def _locked_out(self, answer: Answer) -> NetworkError:
        said = complaint(answer.status, answer.read(MOST), answer.headers.get("Content-Type", ""))
        return NetworkError(answer.address.shown, said, status=answer.status, remedy=self._access.remedy())


def origin_of(http: Http, host: str) -> Origin:
    """How *host*, ``host[:port]``, is spoken to: https; this machine and hosts in ``plain_http`` by plain http."""
    plain = _origin.origin_of("http", host)
    return plain if http.is_plain(plain) else _origin.origin_of("https", host)


def _challenge(answer: Answer) -> str:
    return answer.headers.get("WWW-Authenticate", "")
