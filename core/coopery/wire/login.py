"""Users and passwords of package indexes and channels: from the URL itself, netrc, or the keyring, in that order.

Each belongs to the origin (scheme, host, port) that it was found for, and is given for no other. Nothing here prompts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import field, frozen

from coopery.errors import Problem, SettingsError
from coopery.wire.origin import Origin, basic, parse


@frozen
class Credential:
    """A user and a password. ``found`` says where, for people."""

    user: str
    password: str = field(repr=False)
    found: str = ""

    @property
    def authorization(self) -> str:
        """The value of an ``Authorization`` header."""
        return basic(self.user, self.password)


def without_user(url: str) -> str:
    """*url* with no user and no password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def in_url(url: str) -> Credential | None:
    """The user and password that stand in *url*, decoded; None where no user does."""
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return None
    return Credential(unquote(parts.username or ""), unquote(parts.password or ""), "its URL")


class Logins:
    """Finds the credential for a URL, once per origin.

    Args:
        environ: names the netrc file (``NETRC``, else ``~/.netrc``).
        keyring: whether to ask the library ``keyring``, where it is installed.
        urls: those that carry a user and password, which are then known for their origins.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, keyring: bool = True, urls: Iterable[str] = ()
    ) -> None:
        self._environ = environ
        self._keyring = keyring
        self._known: dict[tuple[Origin, str], Credential | None] = {}
        for url in urls:
            credential = in_url(url)
            if credential is not None and url.startswith(("http:", "https:")):
                self._known[parse(url).origin, ""] = self.find(url)

    def __call__(self, url: str, /) -> str | None:
        """The value of ``Authorization`` for *url*; see `coopery.wire.origin.Login`."""
        credential = self.find(url)
        return credential.authorization if credential is not None else None

    def find(self, url: str) -> Credential | None:
        """The credential for requests to the origin of *url*, which may name the user; None where none is known.

        Raises:
            SettingsError: the netrc file cannot be read.
            ValueError: *url* is none of http or https.
        """
        mine = in_url(url)
        if mine is not None and mine.password:
            return mine
        user = mine.user if mine is not None else ""
        origin = parse(url).origin
        if (origin, user) not in self._known:
            self._known[origin, user] = self._look(origin, user)
        return self._known[origin, user] or mine

    def _look(self, origin: Origin, user: str) -> Credential | None:
        found = in_netrc(origin.host, user, self._environ)
        if found is None and self._keyring:
            from coopery.wire import keyring

            found = keyring.ask(origin, user)
        return found


def netrc_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The netrc file: ``NETRC``, else ``~/.netrc``; None where there is none."""
    named = environ.get("NETRC")
    path = Path(named) if named else Path(environ.get("HOME") or Path.home()) / ".netrc"
    return path if os.path.isfile(path) else None


def in_netrc(host: str, user: str = "", environ: Mapping[str, str] = os.environ) -> Credential | None:
    """What the netrc file says of *host*. Its ``default`` entry is for nobody: it names no host.

    Args:
        host: in lower case, without port, as netrc has it.
        user: only this user's password, where one is known.
        environ: names the file.

    Raises:
        SettingsError: the file cannot be read. What stands in it is not quoted.
    """
    path = netrc_file(environ)
    if path is None:
        return None
    entries = _netrc(path)
    found = next((entry for name, entry in entries.items() if name.lower() == host and name != "default"), None)
    if found is None or (user and found[0] != user):
        return None
    return Credential(found[0], found[2] or "", str(path))


def netrc_hosts(environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
    """The hosts that the netrc file names, each with the path of the file.

    Raises:
        SettingsError: the file cannot be read.
    """
    path = netrc_file(environ)
    return tuple((host, str(path)) for host in sorted(_netrc(path)) if host != "default") if path is not None else ()


def _netrc(path: Path) -> Mapping[str, tuple[str, str | None, str | None]]:
    """Host → user, account, password."""
    import netrc

    try:
        return netrc.netrc(str(path)).hosts
    except netrc.NetrcParseError as exc:
        raise _unreadable(path, "its form is not netrc's", exc.lineno or 0) from None  # the message quotes passwords
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise _unreadable(path, f"cannot be read: {reason}") from None


def _unreadable(path: Path, reason: str, line: int = 0) -> SettingsError:
    remedy = "correct it, or set NETRC=/dev/null to do without"
    return SettingsError([Problem("netrc", reason, file=str(path), line=line, remedy=remedy)])
