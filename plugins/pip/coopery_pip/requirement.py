"""One requirement of a definition: what it names, where from, and which hashes its file may have.

Source: "dependency specifiers" of the Python Packaging User Guide (PEP 508) and pip's "Requirements File Format". The
reader of definitions has checked their grammar; here they are taken apart.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename

from coopery.errors import ResolveError

WHEEL: Final = ".whl"
_HASH: Final = re.compile(r"\s+--hash=")
_MARKER: Final = re.compile(r"\s+;\s*|;\s+")  # behind a URL, which may have a semicolon of its own; as pip
_URL: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*)://")
_BUILD: Final = "build a wheel of it into a folder and name that folder under find_links"


@frozen
class Wanted:
    """One requirement or constraint.

    Attributes:
        text: as the definition has it.
        requirement: taken apart.
        hashes: ``sha256:…``, ``sha384:…`` or ``sha512:…`` that its file may have, and those in the URL's fragment;
            empty: any.
    """

    text: str
    requirement: Requirement = field(eq=False)
    hashes: tuple[str, ...] = ()

    @property
    def name(self) -> NormalizedName:
        """Normalized name."""
        return canonicalize_name(self.requirement.name)

    @property
    def url(self) -> str:
        """The file that it insists on, without fragment; empty where an index decides."""
        return (self.requirement.url or "").partition("#")[0]

    @property
    def file_name(self) -> str:
        """Last component of `url`, as a file would be called."""
        return file_name(self.url)

    @property
    def public(self) -> str:
        """For messages and for uv: without hashes."""
        return str(self.requirement)

    def applies(self, markers: Mapping[str, str]) -> bool:
        """Whether its marker holds on a machine with *markers*."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(markers) | {"extra": ""})

    def allows(self, version: str) -> bool:
        """Whether *version* is one that it asks for. Pre-releases are, since somebody chose them already."""
        return self.requirement.specifier.contains(version, prereleases=True)


def file_name(url: str) -> str:
    """What the file at *url* is called."""
    return unquote(posixpath.basename(urlsplit(url).path))


def parse(text: str) -> Wanted:
    """Take one line of a definition apart.

    Raises:
        ResolveError: it names code that would have to be built, or has no meaning to Python packaging.
    """
    bare, *hashes = _HASH.split(text.strip())
    if _URL.match(bare):
        bare = _named(bare, text)
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as exc:
        raise ResolveError(f"{text!r} is no requirement: {exc}", requirements=[text]) from exc
    wanted = Wanted(text, requirement, (*hashes, *_in_fragment(requirement.url or "")))
    if requirement.url:
        _check_wheel(wanted)
    return wanted


def parse_all(texts: Iterable[str]) -> tuple[Wanted, ...]:
    """Every requirement of *texts*; all that cannot be had are named at once.

    Raises:
        ResolveError: as `parse` does.
    """
    found, errors = [], []
    for text in texts:
        try:
            found.append(parse(text))
        except ResolveError as exc:
            errors.append(exc)
    if errors:
        message = "\n".join(error.message for error in errors)
        raise ResolveError(
            message, remedy=errors[0].remedy, requirements=[asked for error in errors for asked in error.requirements]
        )
    return tuple(found)


def _named(line: str, text: str) -> str:
    """A line that is only a URL, with the name that its file says."""
    address, *marker = _MARKER.split(line, maxsplit=1)
    name = file_name(address.partition("#")[0])
    try:
        distribution = parse_wheel_filename(name)[0]
    except InvalidWheelFilename as exc:
        raise _refusal(text) from exc
    return f"{distribution} @ {address.strip()}{f' ; {marker[0]}' if marker else ''}"


def _check_wheel(wanted: Wanted) -> None:
    scheme = urlsplit(wanted.url).scheme
    if scheme not in ("http", "https") or not wanted.file_name.endswith(WHEEL):
        raise _refusal(wanted.text)
    try:
        name = parse_wheel_filename(wanted.file_name)[0]
    except InvalidWheelFilename as exc:
        raise ResolveError(
            f"{wanted.text!r}: {wanted.file_name!r} is no name of a wheel", requirements=[wanted.text]
        ) from exc
    if name != wanted.name:
        message = f"{wanted.text!r}: asks for {wanted.name}, and the file is one of {name}"
        raise ResolveError(message, requirements=[wanted.text])


def _refusal(text: str) -> ResolveError:
    message = f"{text!r} must be built from source, and no code of packages is run while resolving"
    return ResolveError(message, remedy=_BUILD, requirements=[text])


def _in_fragment(url: str) -> tuple[str, ...]:
    """Hashes in the fragment of *url*: ``#sha256=…``."""
    pairs = (pair.partition("=") for pair in url.partition("#")[2].split("&"))
    return tuple(f"{name}:{value}" for name, _, value in pairs if name in ("sha256", "sha384", "sha512"))
