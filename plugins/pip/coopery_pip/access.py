"""How sources are asked: core's transport, with the machine's credentials for the hosts that definitions name."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from coopery.errors import UsageError
from coopery.wire.login import Credential, Logins
from coopery.wire.origin import Origin, parse, shown
from coopery_pip import pip_config
from coopery_pip.sources import Source


class Access:
    """Credentials for the hosts of *sources* and of direct URLs, and for no other: not for where an index leads.

    Satisfies `coopery.wire.origin.Login`.

    Raises:
        UsageError: a source is no URL that can be asked.
    """

    def __init__(self, sources: Iterable[Source], urls: Collection[str] = (), logins: Logins | None = None) -> None:
        named = [*(source.url for source in sources if source.folder is None), *urls]
        # Nobody logs in to the public index to read, so no keyring is asked for it.
        self._origins = {_origin(url) for url in named} - {_origin(pip_config.builtin())}
        self._logins = logins or Logins(urls=named)

    def __call__(self, url: str, /) -> str | None:
        """The value of ``Authorization`` for *url*, or None."""
        found = self.find(url)
        return found.authorization if found is not None else None

    def find(self, url: str) -> Credential | None:
        """The credential for *url*, or None.

        Raises:
            SettingsError: the netrc file cannot be read.
        """
        return self._logins.find(url) if _origin(url) in self._origins else None


def _origin(url: str) -> Origin:
    try:
        return parse(url).origin
    except ValueError as exc:
        raise UsageError(f"{shown(url)} cannot be a package index: {exc}") from exc
