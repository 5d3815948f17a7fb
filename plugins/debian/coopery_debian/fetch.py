"""Bytes from a mirror: verified while they arrive, tried again within bounds, kept by their sha256.

Proxies come from the usual environment variables, else from apt's own setting.
"""

from __future__ import annotations

import http.client
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, CooperyError, IntegrityError

_TIMEOUT: Final = 30.0
_WAIT_LIMIT: Final = 10.0
_CHUNK: Final = 1 << 18
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_NOT_MODIFIED: Final = 304

_TRANSPORT: Final = (OSError, http.client.HTTPException)
"""What urllib raises for a connection that fails, ends early or talks nonsense; URLError is an OSError."""


@frozen
class Fetched:
    """One document: its bytes and what to ask with next time. ``data`` is None when it has not changed."""

    data: bytes | None
    validators: Mapping[str, str] = field(factory=dict)


class Absent(Exception):  # noqa: N818 - says the state; callers answer it with another URL or a message of their own
    """The mirror answered that it has no such file."""


class Fetcher:
    """Reads from one mirror. Usable from several threads.

    Args:
        kept: files by sha256; None for a reader of documents alone.
        ca_bundle: certificates to trust, or empty for the system's.
        proxies: scheme → proxy, used where the environment names none.
        sleep: waits that many seconds.
        attempts: how often a request is made before it counts as failed.
    """

    def __init__(
        self,
        kept: BlobStore | None,
        ca_bundle: str = "",
        proxies: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = 5,
    ) -> None:
        self._kept = kept
        self._sleep = sleep
        self._attempts = attempts
        self._ca_bundle = ca_bundle
        self._proxies = {**(proxies or {}), **urllib.request.getproxies()}
        self._openers: dict[str, urllib.request.OpenerDirector] = {}

    def document(self, url: str, limit: int, validators: Mapping[str, str] | None = None) -> Fetched:
        """A small file whole.

        Args:
            url: where it is.
            limit: the most bytes that it may have.
            validators: those of an earlier answer; when the file is still the same, no bytes are sent.

        Raises:
            Absent: there is no such file.
            BaseError: it cannot be had, or is larger.
        """

        def read(response: Any) -> Fetched:
            data = response.read(limit + 1)
            if len(data) > limit:
                raise BaseError(f"{url}: larger than {limit} bytes; this is no Debian mirror")
            return Fetched(data, _validators(response.headers))

        return self._tried(url, validators or {}, read)

    def file(self, url: str, sha256: str, size: int) -> Path:
        """A file of known content, as a path on this disk. Nothing is asked when it is here already, undamaged.

        Raises:
            Absent: there is no such file.
            BaseError: it cannot be had, or is another file than the index says. Nothing of it is kept.
        """
        kept, digest = self._kept, Digest(f"sha256:{sha256}")
        if kept is None:
            raise AssertionError("this fetcher was made without a place for files")
        if kept.size(digest) != size or not _undamaged(kept.path(digest), digest):
            self._tried(url, {}, lambda response: _keep(kept, response, digest, size, url))
        return kept.path(digest)

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        """Made once for each scheme: reading all certificates takes 50 ms, which plain http can do without."""
        scheme = url.partition(":")[0]
        if scheme not in self._openers:
            handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(self._proxies)]
            if scheme == "https" and self._ca_bundle:
                handlers.append(urllib.request.HTTPSHandler(context=_trusting(self._ca_bundle)))
            self._openers[scheme] = urllib.request.build_opener(*handlers)
        return self._openers[scheme]

    def _tried(self, url: str, headers: Mapping[str, str], read: Callable[[Any], Fetched]) -> Fetched:
        """Ask several times, with growing waits. What is answered for good, by a mirror or a disk, is asked once."""
        attempts = 1 if url.startswith("file:") else self._attempts
        for attempt in range(1, attempts + 1):
            try:
                request = urllib.request.Request(url, headers={"User-Agent": "coopery-debian", **headers})  # noqa: S310 - schemes are checked when the mirror is chosen
                with self._opener(url).open(request, timeout=_TIMEOUT) as response:
                    return read(response)
            except CooperyError:
                raise
            except urllib.error.HTTPError as exc:
                with exc:
                    if exc.code == _NOT_MODIFIED:
                        return Fetched(None, headers)
                    if exc.code in (404, 410):
                        raise Absent(url) from exc
                    if exc.code not in _AGAIN or attempt == attempts:
                        raise _unreachable(url, f"HTTP status {exc.code}", attempt) from exc
                    wait = exc.headers.get("Retry-After", "")
                self._sleep(_pause(attempt, wait))
            except _TRANSPORT as exc:
                reason = getattr(exc, "reason", exc)
                if isinstance(reason, FileNotFoundError):
                    raise Absent(url) from exc
                if isinstance(reason, ssl.SSLCertVerificationError) or attempt == attempts:
                    raise _unreachable(url, str(reason) or type(reason).__name__, attempt) from exc
                self._sleep(_pause(attempt, ""))
        raise AssertionError("every way out of the loop is above")


def _undamaged(path: Path, digest: Digest) -> bool:
    with path.open("rb") as file:
        return _digest.of_file(file) == digest


def _keep(kept: BlobStore, response: Any, digest: Digest, size: int, url: str) -> Fetched:
    try:
        with kept.create(digest) as writer:
            while writer.size <= size and (chunk := _chunk(response)):
                writer.write(chunk)
            if writer.size < size:
                raise http.client.IncompleteRead(b"", size - writer.size)
    except IntegrityError as exc:
        raise BaseError(
            f"{url}: the mirror sent another file than its signed index names: {exc.message}",
            remedy="try again later, as a mirror may be changing just now, or set COOPERY_DEBIAN_MIRROR to another",
        ) from exc
    return Fetched(None)


def _chunk(response: Any) -> bytes:
    """The next bytes. A connection's error must not pass for the disk's, which the blob store answers for."""
    try:
        return bytes(response.read(_CHUNK))
    except OSError as exc:
        raise http.client.HTTPException(str(exc) or type(exc).__name__) from exc


def join(base: str, *parts: str) -> str:
    """A URL below *base*; what a URL cannot hold as it stands is quoted."""
    return "/".join((base, *(urllib.parse.quote(part, safe="/:+~") for part in parts)))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = {"If-None-Match": headers.get("ETag"), "If-Modified-Since": headers.get("Last-Modified")}
    return {name: value for name, value in pairs.items() if value}


def _pause(attempt: int, asked: str) -> float:
    """Seconds to wait: what the mirror asked for, else half a second doubled each time, with some chance in it."""
    seconds = float(asked) if asked.isdecimal() else 0.5 * 2 ** (attempt - 1)
    return min(seconds, _WAIT_LIMIT) * (1 + random.random() / 4)  # noqa: S311 - spreads callers, keeps no secret


def _unreachable(url: str, reason: str, attempts: int) -> BaseError:
    times = "once" if attempts == 1 else f"{attempts} times"
    parts = urllib.parse.urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # a mirror's URL may carry a password
    return BaseError(
        f"{shown}: asked {times}: {reason}",
        remedy="check the network, the proxy and the CA bundle, or set COOPERY_DEBIAN_MIRROR to another mirror",
    )


def _trusting(ca_bundle: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as exc:
        raise BaseError(
            f"the CA bundle {ca_bundle} cannot be read: {exc}", remedy="set SSL_CERT_FILE to a file of certificates"
        ) from exc
