"""The signed head of a Debian suite: ``InRelease``, which names the sha256 of every index below it.

Source: Debian wiki, DebianRepository/Format, "Release files".
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import frozen

from coopery.errors import BaseError
from coopery_debian.control import paragraph

_ENTRY: Final = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<size>[0-9]{1,12})\s+(?P<path>\S+)")


@frozen
class Listed:
    """One file that a release vouches for; *path* is relative to the release's folder."""

    path: str
    sha256: str
    size: int


@frozen
class Release:
    """What one InRelease says, once its signature is known to be good.

    Attributes:
        suite, codename: what it says it is: ``stable``, ``bookworm``.
        architectures, components: what it has.
        valid_until: when a mirror ought to have a newer one; None where it does not say.
        by_hash: indexes can be asked for by their sha256, which a mirror that is changing cannot break.
        files: path → what it vouches for, of package indexes alone.
    """

    suite: str
    codename: str
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    valid_until: datetime | None
    by_hash: bool
    files: dict[str, Listed]


def parse(signed: bytes, url: str, suite: str) -> Release:
    """Read the text that was signed.

    Args:
        signed: what gpgv gave back, never the file as it came.
        url: where it came from, for messages.
        suite: what was asked for. Another suite's release has a good signature too, so the names must agree.

    Raises:
        BaseError: it is not a release, or one of another suite.
    """
    try:
        fields = paragraph(signed.decode("utf-8"))
        lines = (line.strip() for line in fields["SHA256"].splitlines() if "/Packages" in line)
        found = [_ENTRY.fullmatch(line) for line in lines]
        valid_until = parsedate_to_datetime(fields["Valid-Until"]) if "Valid-Until" in fields else None
    except (UnicodeDecodeError, KeyError, ValueError) as exc:
        raise BaseError(f"{url}: not a release with SHA256 sums: {exc}") from exc
    release = Release(
        suite=fields.get("Suite", ""),
        codename=fields.get("Codename", ""),
        architectures=tuple(fields.get("Architectures", "").split()),
        components=tuple(fields.get("Components", "").split()),
        valid_until=valid_until,
        by_hash=fields.get("Acquire-By-Hash", "") == "yes",
        files={one["path"]: Listed(one["path"], one["sha256"], int(one["size"])) for one in found if one},
    )
    if suite not in (release.suite, release.codename):
        raise BaseError(
            f"{url}: asked for suite {suite!r}, and the signed release says that it is "
            f"{release.codename or 'nameless'!r} ({release.suite or 'no suite'})",
            remedy=f"write suite: {release.codename or release.suite}, or use another mirror",
        )
    return release


def index_of(release: Release, component: str, architecture: str, url: str) -> Listed:
    """The package index of one component, in the smallest form that the release has.

    Raises:
        BaseError: no such component or architecture; what there is, is named.
    """
    folder = f"{component}/binary-{architecture}"
    for name in ("Packages.xz", "Packages.gz", "Packages"):
        if listed := release.files.get(f"{folder}/{name}"):
            return listed
    raise BaseError(
        f"{url}: no packages of component {component!r} for {architecture!r}; it has components "
        f"{', '.join(release.components) or 'of no name'} for {', '.join(release.architectures) or 'no architecture'}",
        remedy="choose another suite, component or target.platform",
    )
