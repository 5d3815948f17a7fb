"""Match specs: ``[channel[/subdir]::]name [version [build]] [key=value, …]``, in all the spellings people use.

Takes what conda and rattler (lenient) take, apart from what they take for something else than was meant; the list is
in ``docs/definition.md``. Source: conda's documentation of the "package match specification", and CEP 29.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from coopery.read.channel import SUBDIRS, of_spec
from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

_NAME: Final = Pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# A version of CEP 33: epoch, segments, local part. Both - and _ at once is refused below.
_SEGMENTS = r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*"
_VERSION: Final = Pattern(rf"(?:[0-9]+!)?{_SEGMENTS}[_-]?(?:\+{_SEGMENTS})?")
_ATOM: Final = Pattern(
    rf"(?:>=|==?)?[ \t]*\*(?:\.\*)*"
    rf"|(?P<operator>~=|==|!=|<=|>=|<|>|=)?[ \t]*(?P<version>{_VERSION.source})(?P<star>(?:\.\*)+|\*)?"
)
_SPACE: Final = Pattern(r"[ \t]*")
_BUILD: Final = Pattern(r"[A-Za-z0-9_.+*-]+|\^[A-Za-z0-9_.+*?()|\\-]*\$")
_BRACKET: Final = Pattern(r"""[ \t]*([a-z0-9_]+)[ \t]*=[ \t]*("[^"]*"|'[^']*'|[^][,'"= \t]+)[ \t]*""")
_BUILD_NUMBER: Final = Pattern(r"(?:==|!=|<=|>=|<|>|=)?[0-9]{1,9}")
_HEX: Final = Pattern(r"[0-9a-f]+")
_PLAIN: Final = Pattern(r"[A-Za-z0-9_.+ -]+")
_LONGEST: Final = 1024
_MOST_GROUPS: Final = 8
_MOST_DIGITS: Final = Pattern(r"[0-9]{19}")

_OPERATOR_SLIPS: Final = {
    "=>": ">=",
    "=<": "<=",
    "===": "==",
    "=~": "~=",
    "<>": "!=",
    "!==": "!=",
    "~": "~=",
    "^": ">=",
}
_SLIP: Final = Pattern(r"[ \t]*(=>|=<|===|=~|<>|!==|~(?!=)|\^(?=[0-9]))")
_PIP_ONLY: Final = "this is pip's form: write it under pip:"


def match_spec(text: str) -> str:
    """One package request: trimmed, its comment cut, its channel in the spelling that definitions keep.

    Raises:
        Mistake: it follows no form of a match spec, or one that means something else than it seems to.
    """
    if "{{" in text or "${" in text or "{%" in text:
        raise Mistake(f"expected a match spec, found a template: {quoted(text)}", "render it first")
    spec = text.partition("#")[0].strip(" \t")
    if not spec or len(spec) > _LONGEST:
        raise Mistake(f"expected a match spec of 1 to {_LONGEST} characters, found {quoted(text)}")
    channel, rest = _split_channel(spec)
    _Parser(rest, text).check()
    return f"{channel}::{rest}" if channel else rest


def _split_channel(spec: str) -> tuple[str, str]:
    head, separator, rest = spec.partition("::")
    if not separator or "[" in head:
        return "", spec
    head, rest = head.strip(" \t"), rest.strip(" \t")
    if not head:
        raise Mistake(f"expected a channel before ::, found nothing: {quoted(spec)}")
    if "::" in rest:
        raise Mistake(f"expected one channel, found two: {quoted(spec)}", "write channel::name")
    return of_spec(head), rest


class _Parser:
    """Walks over one spec without its channel. Only checks: solvers parse for themselves."""

    def __init__(self, spec: str, whole: str) -> None:
        self.spec = spec
        self.whole = whole
        self.at = 0

    def check(self) -> None:
        name = _NAME.match(self.spec)
        if name is None:
            self._fail("a package name (letters, digits, _ . -)", self._pip_hint())
        self.at = name.end()
        body, brackets = self._brackets()
        self.spec = body
        if body.startswith("*", self.at):
            self._fail("a package name without stars", "name each package")
        if body.startswith("(", self.at):
            self._fail("a space before the parenthesis")
        self._space()
        has_version = self.at < len(body)
        if has_version:
            self._slips()
            self._expression(0)
            self._build()
        if brackets is not None:
            self._check_brackets(brackets, has_version)

    # --- pieces ----------------------------------------------------------------------------------

    def _brackets(self) -> tuple[str, str | None]:
        body, bracket, rest = self.spec.partition("[")
        if not bracket:
            return self.spec, None
        if not rest.endswith("]") or "[" in rest or rest[:-1].isspace():
            self._fail("[key=value, …] at the end", "build strings have no brackets: use a star")
        return body.rstrip(" \t"), rest[:-1]

    def _slips(self) -> None:
        slip = _SLIP.match(self.spec, self.at)
        if slip:
            self._fail("an operator", f"write {_OPERATOR_SLIPS[slip[1]]} where {slip[1]} stands")
        if self.spec[self.at] == ":":
            self._fail("two colons after a channel", "write channel::name")
        if self.spec[self.at] in "@;+/":
            self._fail("a version after the name", self._pip_hint())

    def _expression(self, depth: int) -> None:
        """Versions joined by ``,`` (and) and ``|`` (or), perhaps in parentheses."""
        while True:
            self._term(depth)
            before = self.at
            self._space()
            if self.spec[self.at : self.at + 1] not in (",", "|"):
                self.at = before
                return
            self.at += 1
            self._space()

    def _term(self, depth: int) -> None:
        if self.spec.startswith("(", self.at):
            if depth >= _MOST_GROUPS:
                self._fail(f"at most {_MOST_GROUPS} parentheses within each other")
            self.at += 1
            self._space()
            self._expression(depth + 1)
            self._space()
            if not self.spec.startswith(")", self.at):
                self._fail("a closing parenthesis")
            self.at += 1
            return
        atom = _ATOM.match(self.spec, self.at)
        if atom is None:
            quotes = any(mark in self.spec for mark in "'\"")
            self._fail("a version", "leave the quotes inside it away" if quotes else "like >=1.2,<2")
        version = atom["version"] or ""
        if atom["operator"] is None and version.isalpha() and not atom["star"]:
            self._fail("a version with a digit in it", "write each package as an item of its own")
        self._check_version(version)
        self.at = atom.end()

    def _check_version(self, version: str) -> None:
        if "-" in version and "_" in version:
            self._fail("a version with either - or _", "a build string follows = : name=version=build")
        if _MOST_DIGITS.search(version):
            self._fail("a version of sane length")

    def _build(self) -> None:
        """The build string, after ``=`` or a space; an ``=`` with nothing after it is let be, as conda does."""
        rest = self.spec[self.at :]
        build = rest[1:] if rest.startswith("=") else rest.lstrip(" \t")
        if not rest or rest == "=":
            return
        if build == rest:
            self._fail("a version", f"cannot read on from {quoted(rest)}")
        if build[:1] in ("<", ">", "!", "~", "=") or build.lstrip(" \t")[:1] in ("<", ">", "!", "~"):
            hint = "one = before the build" if build.startswith("=") else "join versions by a comma: >=1,<2"
            self._fail("a build string after the version", hint)
        self._check_build(build)

    def _check_build(self, build: str) -> None:
        if _BUILD.fullmatch(build) is None or "**" in build:
            hint = self._pip_hint() if ";" in build or "@" in build else "like py312h1234567_0, or with stars: py312*"
            self._fail("a build string (letters, digits, _ . + *)", hint)
        if build.startswith("^"):
            try:
                re.compile(build)
            except (re.error, RecursionError, OverflowError):
                self._fail("a regular expression as the build string")

    # --- [key=value, …] --------------------------------------------------------------------------

    def _check_brackets(self, content: str, has_version: bool) -> None:
        at, seen = 0, {"version"} if has_version else set()
        while at < len(content.rstrip(" \t")):
            pair = _BRACKET.match(content, at)
            if pair is None or content[pair.end() : pair.end() + 1] not in ("", ","):
                extras = bool(re.fullmatch(r"[A-Za-z0-9_, -]+", content))
                self._fail("[key=value, …]", _PIP_ONLY if extras else "like [version='>=1', build='py*']")
            key, value = pair[1], pair[2].strip("'\"") if pair[2][0] in "'\"" else pair[2]
            if key in seen:
                self._fail(f"{key} once")
            seen.add(key)
            self._check_pair(key, value)
            at = pair.end() + 1
            if at == len(content):
                self._fail("another key after the comma")

    def _check_pair(self, key: str, value: str) -> None:
        if key == "version":
            inner = _Parser(value, self.whole)
            inner._expression(0)
            if inner.at != len(value):
                self._fail("a version in [version=…]")
        elif key == "build":
            self._check_build(value)
        elif key == "channel":
            of_spec(value)
        elif not self._pair_fits(key, value):
            known = "version, build, build_number, channel, subdir, md5, sha256, fn, license, license_family"
            self._fail(
                f"one of {known} in brackets, with a value that fits", "name packages by channel, name and version"
            )

    @staticmethod
    def _pair_fits(key: str, value: str) -> bool:
        if key == "build_number":
            return bool(_BUILD_NUMBER.fullmatch(value))
        if key == "subdir":
            return value in SUBDIRS
        if key in ("md5", "sha256"):
            return len(value) == {"md5": 32, "sha256": 64}[key] and bool(_HEX.fullmatch(value))
        return key in ("fn", "license", "license_family", "track_features") and bool(_PLAIN.fullmatch(value))

    # --- messages --------------------------------------------------------------------------------

    def _space(self) -> None:
        match = _SPACE.match(self.spec, self.at)
        self.at = match.end() if match else self.at

    def _pip_hint(self) -> str:
        text = self.whole
        if text.startswith("-"):
            return "options are not packages: channels stand under channels:, pip's lines under pip:"
        if text.endswith((".conda", ".tar.bz2")):
            return "name the package: channel::name=version=build"
        if "@" in text or ";" in text or "git+" in text or text.endswith((".whl", ".tar.gz", ".zip")):
            return _PIP_ONLY
        return "like numpy, numpy=1.26 or conda-forge::numpy>=1.26,<2"

    def _fail(self, words: str, remedy: str = "") -> NoReturn:
        raise Mistake(f"expected {words}, found {quoted(self.whole)}", remedy)
