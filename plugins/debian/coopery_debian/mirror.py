"""Which mirror a Debian base is fetched from, and which keys must have signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen

from coopery.blobs import BlobStore
from coopery.errors import BaseError, CooperyError
from coopery.events import Emit, ignore
from coopery.redact import masked
from coopery.settings import Settings
from coopery.wire import proxies
from coopery.wire.http import Http
from coopery.wire.login import Logins, without_user
from coopery_debian.apt import APT, Source, read_proxies, read_sources
from coopery_debian.fetch import Absent, Fetcher, join

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SCHEMES: Final = ("http://", "https://", "file:/")


@frozen
class Mirror:
    """One Debian mirror.

    Attributes:
        url: what ``dists/`` and ``pool/`` are below, without a slash at its end; no user, no password.
        signed_by: as apt's ``Signed-By`` has it; empty for Debian's own keyring.
        origin: where this choice came from, for messages.
        access: the URL as configured, with its user and password.
        proxy: what apt reaches it through, where apt says so.
    """

    url: str
    signed_by: str = ""
    origin: str = ""
    access: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)

    def fetcher(self, kept: BlobStore | None, settings: Settings, emit: Emit, *, patient: bool = True) -> Fetcher:
        """What reads from this mirror. apt's own proxy is used where neither settings nor environment name one."""
        if self.proxy and not settings.proxy and not proxies.read(settings).any:
            settings = evolve(settings, proxy=self.proxy)
        return Fetcher(kept, Http(settings, emit=emit), Logins(urls=(self.access,)), patient=patient)


def choose(setting: str, suite: str, components: tuple[str, ...], apt: Path = APT) -> Mirror:
    """The mirror of the settings, else that of the machine's own apt configuration.

    In apt's configuration an entry that lists *suite* goes first; else the first entry of the Debian archive, whose
    other suites the same mirror has.

    Raises:
        BaseError: neither says where Debian is.
    """
    sources = [source for source in read_sources(apt) if source.uri.startswith(_SCHEMES)]
    if setting:
        url = setting.rstrip("/")
        if not url.startswith(_SCHEMES):
            raise BaseError(
                f"the setting debian_mirror: expected an http://, https:// or file:/// URL, got {masked(setting)!r}",
                remedy="set COOPERY_DEBIAN_MIRROR to the folder that holds dists/ and pool/, as a URL",
            )
        known = next((source for source in sources if without_user(source.uri) == without_user(url)), None)
        return _mirror(url, known.signed_by if known else "", "the setting debian_mirror", apt)
    usable = [source for source in sources if set(components) <= set(source.components)]
    listed = [source for source in usable if suite in source.suites]
    archives = [source for source in usable if _is_debian(source)]
    for source in (*listed, *archives):
        return _mirror(source.uri, source.signed_by, f"apt's configuration in {apt}", apt)
    raise BaseError(
        f"no Debian mirror is known for suite {suite!r}: apt's configuration in {apt} names none with "
        f"components {' '.join(components)}",
        remedy="set COOPERY_DEBIAN_MIRROR to the URL of a mirror, the folder that holds dists/ and pool/",
    )


def reachable(suite: str = "stable") -> str | None:
    """Why no Debian base can be made on this machine, in one line; None when one can. One small request, no second try.

    Args:
        suite: any suite that the mirror must have.
    """
    from coopery.settings import load
    from coopery_debian.signature import trusted, verify

    settings = load()
    try:
        mirror = choose(settings.debian_mirror, suite, ("main",))
        url = join(mirror.url, "dists", suite, "InRelease")
        fetcher = mirror.fetcher(None, settings, ignore, patient=False)
        verify(fetcher.document(url, 1 << 22).data or b"", trusted(mirror.signed_by), url)
    except Absent as exc:
        return f"not there: {exc}"
    except CooperyError as exc:
        return exc.message.partition("\n")[0]
    return None


def _mirror(url: str, signed_by: str, origin: str, apt: Path) -> Mirror:
    return Mirror(without_user(url), signed_by, origin, url, read_proxies(apt).get(url.partition(":")[0], ""))


def _is_debian(source: Source) -> bool:
    """Whether this is the main archive: mirrors keep it in a folder named ``debian``; its keyring is named so too."""
    security = source.uri.endswith("-security") or any(suite.endswith("-security") for suite in source.suites)
    return not security and (source.uri.rpartition("/")[2] == "debian" or "debian-archive" in source.signed_by)
