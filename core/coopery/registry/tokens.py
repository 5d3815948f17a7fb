"""Access tokens: asked for when a registry wants one, kept in memory, renewed before they end.

Source: distribution project, "Token Authentication Specification" and "OAuth2 token authentication".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from attrs import field, frozen

from coopery.errors import IntegrityError, NetworkError
from coopery.oci import document
from coopery.registry.credential import Credential
from coopery.wire.clock import Clock
from coopery.wire.http import Http
from coopery.wire.origin import basic, shown

_MOST: Final = 1 << 18
_SHORTEST_LIFE: Final = 60.0
_LONGEST_LIFE: Final = 3600.0
_MARGIN: Final = 0.2
"""Part of a token's life in which it is no longer used: one long request may begin with it."""

_FORM = re.compile(r"[\x21-\x7e]+")
_CLIENT: Final = "coopery"


@frozen
class Realm:
    """One token server, for one service, with the login that it may know."""

    url: str
    service: str
    credential: Credential | None


@frozen
class _Token:
    text: str = field(repr=False)
    until: float = 0.0


class Tokens:
    """Tokens by realm and scope. Usable from several threads: one of them asks, the others wait for it."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, tuple[str, ...]], _Token] = {}

    def get(self, realm: Realm, scopes: Collection[str], refused: str = "") -> str:
        """A token for *scopes*: one that is kept, unless it is old or is the one that was just *refused*.

        Raises:
            NetworkError: the token server gives none.
        """
        name = (realm.url, realm.service, tuple(sorted(scopes)))
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or kept.text == refused or self._clock.monotonic() >= kept.until:
                kept = self._kept[name] = self._fetch(realm, name[2])
            return kept.text

    def _fetch(self, realm: Realm, scopes: tuple[str, ...]) -> _Token:
        asked = self._clock.monotonic()
        data = self._exchange(realm, scopes) if _refreshes(realm) else self._plain(realm, scopes)
        text, seconds = _read(data, realm.url)
        return _Token(text, asked + seconds * (1 - _MARGIN))

    def _plain(self, realm: Realm, scopes: tuple[str, ...]) -> bytes:
        query = [("service", realm.service)] if realm.service else []
        query += [("scope", scope) for scope in scopes]
        known = realm.credential
        if known is not None and known.user:
            query.insert(0, ("account", known.user))
        mark = "&" if "?" in realm.url else "?"
        headers = {"Authorization": basic(known.user, known.password)} if known is not None and known.user else {}
        return self._http.get(f"{realm.url}{mark}{urlencode(query)}", limit=_MOST, headers=headers)

    def _exchange(self, realm: Realm, scopes: tuple[str, ...]) -> bytes:
        assert realm.credential is not None  # noqa: S101 - see _refreshes
        form = {
            "grant_type": "refresh_token",
            "service": realm.service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": realm.credential.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with self._http.open("POST", realm.url, headers=headers, body=urlencode(form).encode()) as answer:
            return answer.whole(_MOST)


def _refreshes(realm: Realm) -> bool:
    return realm.credential is not None and bool(realm.credential.identity_token)


def _read(data: bytes, url: str) -> tuple[str, float]:
    """The token and the seconds that it lives: at least a minute, as the specification has it, at most an hour."""
    try:
        answer: Mapping[str, Any] = document.parse(data, "token")
    except IntegrityError as exc:
        raise NetworkError(shown(url), "the token server's answer is not understood") from exc
    text = answer.get("token") or answer.get("access_token")
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise NetworkError(shown(url), "the token server's answer holds no token")
    seconds = answer.get("expires_in")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return text, min(max(float(seconds), _SHORTEST_LIFE) if known and seconds else _SHORTEST_LIFE, _LONGEST_LIFE)
