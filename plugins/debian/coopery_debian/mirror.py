"""Which mirror a Debian base is fetched from, and which keys must have signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import frozen

from coopery.errors import BaseError
from coopery_debian.apt import APT, Source, read_proxies, read_sources

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SCHEMES: Final = ("http://", "https://", "file:/")


@frozen
class Mirror:
    """One Debian mirror.

    Attributes:
        url: what ``dists/`` and ``pool/`` are below, without a slash at its end.
        signed_by: as apt's ``Signed-By`` has it; empty for Debian's own keyring.
        origin: where this choice came from, for messages.
    """

    url: str
    signed_by: str = ""
    origin: str = ""


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
                f"the setting debian_mirror: expected a URL with http://, https:// or file:///, got {setting!r}",
                remedy="set COOPERY_DEBIAN_MIRROR to the folder that holds dists/ and pool/, as a URL",
            )
        known = next((source for source in sources if source.uri == url), None)
        return Mirror(url, known.signed_by if known else "", "the setting debian_mirror")
    usable = [source for source in sources if set(components) <= set(source.components)]
    listed = [source for source in usable if suite in source.suites]
    archives = [source for source in usable if _is_debian(source)]
    for source in (*listed, *archives):
        return Mirror(source.uri, source.signed_by, f"apt's configuration in {apt}")
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
    from coopery_debian.fetch import Absent, Fetcher, join
    from coopery_debian.signature import trusted, verify

    settings = load()
    try:
        mirror = choose(settings.debian_mirror, suite, ("main",))
        url = join(mirror.url, "dists", suite, "InRelease")
        fetcher = Fetcher(None, settings.ca_bundle, read_proxies(), attempts=1)
        verify(fetcher.document(url, 1 << 22).data or b"", trusted(mirror.signed_by), url)
    except Absent as exc:
        return f"not there: {exc}"
    except BaseError as exc:
        return exc.message.partition("\n")[0]
    return None


def _is_debian(source: Source) -> bool:
    """Whether this is the main archive: mirrors keep it in a folder named ``debian``; its keyring is named so too."""
    security = source.uri.endswith("-security") or any(suite.endswith("-security") for suite in source.suites)
    return not security and (source.uri.rpartition("/")[2] == "debian" or "debian-archive" in source.signed_by)
