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

from attrs import evolve, field, frozen
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename

from coopery.errors import ResolveError

WHEEL: Final = ".whl"
_HASH: Final = re.compile(r"\s+--hash=")
_MARKER: Final = re.compile(r"\s+;\s*|;\s+")  # behind a URL, which may have a semicolon of its own; as pip
_URL: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*)://")
_BUILD: Final = "build a wheel of it into a folder and name that folder under find_links"
_GIT: Final = re.compile(r"git\+(?:https?|ssh|git)://")
_ARCHIVE: Final = re.compile(r"(?P<stem>.+)\.(?:zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz)")
_NAME_VERSION: Final = re.compile(r"(?P<name>.+?)-v?\d.*")
_OUTSIDE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_EGG: Final = re.compile(r"(?:^|&)egg=([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_SUBDIRECTORY: Final = re.compile(r"(?:^|&)subdirectory=([^&]*)")


@frozen
class Wanted:
    """One requirement or constraint.

    Attributes:
        text: as the definition has it.
        requirement: taken apart.
        hashes: ``sha256:…``, ``sha384:…`` or ``sha512:…`` that its file may have, and those in the URL's fragment;
            empty: any.
        guessed: it is a URL of a source and no more: the name is only what the URL looks like.
    """

    text: str
    requirement: Requirement = field(eq=False)
    hashes: tuple[str, ...] = ()
    guessed: bool = False

    @property
    def name(self) -> NormalizedName:
        """Normalized name."""
        return canonicalize_name(self.requirement.name)

    @property
    def url(self) -> str:
        """The file or repository that it insists on, without fragment, but for a source's subdirectory.

        Empty where an index decides.
        """
        address, _, fragment = (self.requirement.url or "").partition("#")
        found = _SUBDIRECTORY.search(fragment) if not file_name(address).endswith(WHEEL) else None
        return f"{address}#subdirectory={found[1]}" if found is not None and found[1] else address

    @property
    def is_source(self) -> bool:
        """Whether it insists on code that must be built."""
        return bool(self.url) and (self.is_repository or not self.file_name.endswith(WHEEL))

    @property
    def is_repository(self) -> bool:
        """Whether that code is a repository."""
        return self.url.startswith("git+")

    @property
    def asked_url(self) -> str:
        """What is asked for over http or https, so that a login may be found for it; empty: nothing."""
        url = self.url.removeprefix("git+")
        return url if url.startswith(("https://", "http://")) else ""

    def called(self, name: str) -> Wanted:
        """The same, once its name is known."""
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        marker = f" ; {self.requirement.marker}" if self.requirement.marker else ""
        requirement = Requirement(f"{name}{extras} @ {self.requirement.url}{marker}")
        return evolve(self, requirement=requirement, guessed=False)

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
        ResolveError: it names code in a form that is not read, or has no meaning to Python packaging.
    """
    bare, *hashes = _HASH.split(text.strip())
    guessed = False
    if _URL.match(bare):
        bare, guessed = _named(bare, text)
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as exc:
        raise ResolveError(f"{text!r} is no requirement: {exc}", requirements=[text]) from exc
    wanted = Wanted(text, requirement, (*hashes, *_in_fragment(requirement.url or "")), guessed)
    if wanted.is_source:
        _check_source(wanted)
    elif requirement.url:
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


def _named(line: str, text: str) -> tuple[str, bool]:
    """A line that is only a URL, with a name, and whether that is only a guess."""
    address, *marker = _MARKER.split(line, maxsplit=1)
    plain, _, fragment = address.partition("#")
    name, guessed = _name(file_name(plain), plain, fragment, text)
    return f"{name} @ {address.strip()}{f' ; {marker[0]}' if marker else ''}", guessed


def _name(file: str, url: str, fragment: str, text: str) -> tuple[str, bool]:
    """The name that a wheel's file says, or that a source looks like."""
    if file.endswith(WHEEL):
        try:
            return str(parse_wheel_filename(file)[0]), False
        except InvalidWheelFilename as exc:
            raise ResolveError(f"{text!r}: {file!r} is no name of a wheel", requirements=[text]) from exc
    if egg := _EGG.search(fragment):
        return egg[1], True
    archive = _ARCHIVE.fullmatch(file)
    stem = archive["stem"] if archive else file.rpartition("@")[0].removesuffix(".git") if "git+" in url else file
    named = _NAME_VERSION.fullmatch(stem)
    return _OUTSIDE.sub("-", named["name"] if named else stem).strip("-._") or "unnamed", True


def _check_source(wanted: Wanted) -> None:
    """Only git is known, and archives as Python projects are given out."""
    address = wanted.url.partition("#")[0]
    if _GIT.match(address) if wanted.is_repository else (wanted.asked_url and _ARCHIVE.fullmatch(wanted.file_name)):
        return
    what = "git+https://host/owner/name@COMMIT, and archives that end with .tar.gz or .zip, are built from source"
    raise ResolveError(f"{wanted.text!r} names code in a form that is not read: {what}", requirements=[wanted.text])


def _check_wheel(wanted: Wanted) -> None:
    scheme = urlsplit(wanted.url).scheme
    if scheme not in ("http", "https") or not wanted.file_name.endswith(WHEEL):
        message = f"{wanted.text!r}: expected an http or https URL of a wheel"
        raise ResolveError(message, remedy=_BUILD, requirements=[wanted.text])
    try:
        name = parse_wheel_filename(wanted.file_name)[0]
    except InvalidWheelFilename as exc:
        raise ResolveError(
            f"{wanted.text!r}: {wanted.file_name!r} is no name of a wheel", requirements=[wanted.text]
        ) from exc
    if name != wanted.name:
        message = f"{wanted.text!r}: asks for {wanted.name}, and the file is one of {name}"
        raise ResolveError(message, requirements=[wanted.text])


def _in_fragment(url: str) -> tuple[str, ...]:
    """Hashes in the fragment of *url*: ``#sha256=…``."""
    pairs = (pair.partition("=") for pair in url.partition("#")[2].split("&"))
    return tuple(f"{name}:{value}" for name, _, value in pairs if name in ("sha256", "sha384", "sha512"))
