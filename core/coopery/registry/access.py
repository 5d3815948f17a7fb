"""Getting into one registry: it says what it wants to be shown, and is shown that, if it may be.

A first request goes without a login. What the registry answers is kept, so that later ones bring what it wants.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final, Literal

from coopery.errors import NetworkError
from coopery.registry.challenge import Challenge, challenges
from coopery.registry.credential import Credential
from coopery.registry.credentials import Credentials
from coopery.registry.realm import is_safe, may_know
from coopery.registry.reference import Reference
from coopery.registry.tokens import Realm, Tokens
from coopery.wire import origin as _origin
from coopery.wire.origin import Origin, basic

Action = Literal["pull", "push", "delete"]
_ACTIONS: Final[dict[Action, str]] = {"pull": "pull", "push": "pull,push", "delete": "delete,pull"}
_REFUSALS: Final = (400, 401, 403)


class Access:
    """The way into one repository. Usable from several threads.

    Args:
        reference: the repository, as the user names it: logins are kept under that name.
        origin: where it is spoken to; nothing is shown to anybody else, but for token servers that `may_know`.
        credentials: where logins are found.
        tokens: where tokens are had.
    """

    def __init__(self, reference: Reference, origin: Origin, credentials: Credentials, tokens: Tokens) -> None:
        self._reference = reference
        self._origin = origin
        self._credentials = credentials
        self._tokens = tokens
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None

    def authorization(self, action: Action, also: Collection[str] = (), refused: str = "") -> str | None:
        """The value of ``Authorization`` for a request, as far as it is known what the registry wants.

        Args:
            action: what is to be done.
            also: other repositories, on the same registry, that are read from.
            refused: what was shown and not accepted.

        Raises:
            NetworkError: no token can be had.
            UsageError: a file or helper with logins is broken.
        """
        with self._lock:
            challenge = self._challenge
        if challenge is None:
            return None
        known = self._credentials.find(self._reference.host, self._reference.repository)
        if challenge.scheme == "basic":
            return basic(known.user, known.password) if known is not None and known.user else None
        if known is not None and known.registry_token:
            return f"Bearer {known.registry_token}"
        realm = self._realm(challenge, known)
        try:
            token = self._tokens.get(realm, self._scopes(action, also), refused.removeprefix("Bearer "))
        except NetworkError as exc:
            if exc.status in _REFUSALS:
                exc.remedy = self.remedy()
            raise
        return f"Bearer {token}"

    def challenged(self, header: str) -> bool:
        """Note what the registry wants (``WWW-Authenticate`` of a 401). False where that is nothing that we know."""
        offered = {challenge.scheme: challenge for challenge in reversed(challenges(header))}
        chosen = offered.get("bearer") or offered.get("basic")
        if chosen is None or (chosen.scheme == "bearer" and not chosen.get("realm")):
            return False
        with self._lock:
            self._challenge = chosen
        return True

    def remedy(self) -> str:
        """What to do about a 401 or 403."""
        host = self._reference.host
        known = self._credentials.find(host, self._reference.repository)
        if known is None:
            return f"log in: docker login {host}, or podman login {host}"
        return f"the login for {host} from {known.found} was shown: log in anew, or ask for the right to do this"

    def _scopes(self, action: Action, also: Collection[str]) -> tuple[str, ...]:
        """Ours, never the challenge's: a registry cannot make us ask for rights that the request does not need."""
        own = f"repository:{self._reference.repository}:{_ACTIONS[action]}"
        return (own, *(f"repository:{repository}:pull" for repository in sorted(also)))

    def _realm(self, challenge: Challenge, known: Credential | None) -> Realm:
        try:
            address = _origin.parse(challenge.get("realm"))
        except ValueError as exc:
            raise self._refused(f"it names a token server that is no URL: {exc}") from exc
        if not is_safe(self._origin, address.origin):
            raise self._refused(f"it sends us to a token server by plain http, {address.origin.netloc}")
        if not may_know(self._origin, address.origin):
            known = self._credentials.find(address.origin.netloc)
        return Realm(address.url, challenge.get("service"), known)

    def _refused(self, reason: str) -> NetworkError:
        return NetworkError(str(self._origin), reason, status=401)
