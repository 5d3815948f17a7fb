"""One pip requirement: ``name[extra]>=1,<2 ; marker``, ``name @ URL``, or a URL with the code at one reference.

Source: "dependency specifiers" and "version specifiers" of the Python Packaging User Guide (PEP 508, PEP 440), and
pip's documentation of VCS support. What the file system would decide is refused: a key cannot name it.
"""

from __future__ import annotations

import re
from typing import Final

from coopery.read import marker
from coopery.read.grammar import no_credentials
from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_HEAD: Final = Pattern(rf"(?P<name>{_NAME})\s*(?P<extras>\[[^]]*\])?\s*")
_EXTRAS: Final = Pattern(rf"\[\s*(?:{_NAME}\s*(?:,\s*{_NAME}\s*)*)?\]")
# PEP 440, appendix B.
_RELEASE = r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
_SUFFIX = (
    r"(?:[._-]?(?:alpha|beta|preview|pre|a|b|c|rc)[._-]?[0-9]*)?"
    r"(?:-[0-9]+|[._-]?(?:post|rev|r)[._-]?[0-9]*)?(?:[._-]?dev[._-]?[0-9]*)?"
)
_LOCAL = r"(?:\+[a-z0-9]+(?:[._-][a-z0-9]+)*)?"
_CLAUSE: Final = Pattern(
    rf"\s*(?:===\s*[^\s;,)]+"
    rf"|(?:==|!=)\s*(?:{_RELEASE}(?:[._-]?(?:alpha|beta|preview|pre|a|b|c|rc)[._-]?[0-9]*)?"
    rf"(?:[._-]?(?:post|rev|r)[._-]?[0-9]*)?\.\*|{_RELEASE}{_SUFFIX}{_LOCAL})"
    rf"|~=\s*v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)+{_SUFFIX}"
    rf"|(?:<=|>=|<|>)\s*{_RELEASE}{_SUFFIX})\s*",
    re.IGNORECASE,
)
_PLAIN_CLAUSE: Final = Pattern(r"\s*(?:==|!=|<=|>=|<|>)\s*[0-9]+(?:\.[0-9]+)*\s*")  # most are; quick to compile
_URL: Final = Pattern(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_VCS: Final = Pattern(r"(?:git|hg|svn|bzr)\+")
_MARKER: Final = re.compile(r"\s+;\s*|;\s+")  # behind a URL, which may have a semicolon of its own; as pip
_REFERENCE: Final = Pattern(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}")
_NO_REFERENCE: Final = Pattern(r"\.\.|//|/\.|[./]$|\.lock$")  # git-check-ref-format(1)
_ARCHIVES: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
_LONGEST: Final = 4096

_LOCAL_WAY_OUT: Final = "build a wheel into a folder and name that under find_links, or copy the code with a step"


def requirement(text: str) -> str:
    """Check one requirement, its ``--hash`` options already cut; returns it trimmed.

    Raises:
        Mistake: it is none, or it names what can change without the definition changing.
    """
    if "{{" in text or "{%" in text:
        raise Mistake(f"expected a requirement, found a template: {quoted(text)}", "render it first")
    if "${" in text:
        raise Mistake(f"expected a requirement, found a variable in it: {quoted(text)}", "render it first")
    if len(text) > _LONGEST:
        raise Mistake(f"expected a requirement of at most {_LONGEST} characters, found {len(text)}")
    if _VCS.match(text) or _URL.match(text):
        address, *marked = _MARKER.split(text, maxsplit=1)
        _check_url(address)
        _check_marker("".join(marked), present=bool(marked))
        return text
    _refuse_path(text)
    _check_named(text)
    return text


def _check_named(text: str) -> None:
    head = _HEAD.match(text)
    if head is None:
        raise Mistake(f"expected a requirement, found {quoted(text)}", "like requests>=2,<3")
    if head["extras"] and not _EXTRAS.fullmatch(head["extras"]):
        raise Mistake(f"expected extras like [socks,security], found {quoted(head['extras'])}")
    rest = text[head.end() :]
    if rest.startswith("@"):
        address, _, condition = rest[1:].strip().partition(" ;")
        _check_url(address.rstrip())
        _check_marker(condition, present=" ;" in rest)
        return
    versions, semicolon, condition = rest.partition(";")
    _check_versions(versions.strip(), text)
    _check_marker(condition, present=bool(semicolon))


def _check_versions(versions: str, text: str) -> None:
    inner = versions[1:-1] if versions.startswith("(") and versions.endswith(")") else versions
    if not inner.strip():
        return
    clauses = inner.split(",")
    if not clauses[-1].strip():
        clauses.pop()  # one comma too many at the end is let be, as pip does
    for clause in clauses:
        if not (_PLAIN_CLAUSE.fullmatch(clause) or _CLAUSE.fullmatch(clause)):
            raise Mistake(f"expected versions after the name, found {quoted(text)}", _version_hint(clause.strip()))


def _version_hint(clause: str) -> str:
    if clause.startswith(("=>", "=<")):
        return f"write {clause[1]}= where {clause[:2]} stands"
    if re.match(r"=[^=]", clause):
        return f"pip compares with two signs: =={clause[1:].lstrip().partition('=')[0]}"
    if clause.startswith("-"):
        return "options stand in an item of their own"
    if re.match(r"[0-9A-Za-z]", clause):
        return "one requirement an item, compared with ==, >=, <, ~= or !="
    return "like >=2,<3"


def _check_marker(condition: str, *, present: bool) -> None:
    if present:
        marker.check(condition)


def _refuse_path(text: str) -> None:
    first = text.partition(";")[0].strip()
    if first.startswith((".", "/", "~", "file:")) or "\\" in first:
        raise Mistake(f"expected a requirement, found a local path: {quoted(text)}", _LOCAL_WAY_OUT)
    if first.endswith(_ARCHIVES) and "@" not in first:
        raise Mistake(f"expected a requirement, found a local file: {quoted(text)}", _LOCAL_WAY_OUT)
    if re.match(r"(git|hg|svn|bzr)\+?@|(git|hg|svn|bzr)\+[^/]+@[^/]+:", first) or first.startswith("git@"):
        raise Mistake(f"expected a URL, found {quoted(text)}", "write git+ssh://git@host/owner/name@COMMIT")
    if "/" in first and "@" not in first and "[" not in first:
        raise Mistake(f"expected a requirement, found a local path: {quoted(text)}", _LOCAL_WAY_OUT)


def _check_url(address: str) -> None:
    vcs = _VCS.match(address)
    plain = address[vcs.end() :] if vcs else address
    no_credentials(plain)
    if vcs and vcs[0] == "git+" and re.match(r"[^/:@]+@[^/:]+:", plain):
        raise Mistake(f"expected a URL, found {quoted(address)}", "write git+ssh://git@host/owner/name@COMMIT")
    scheme = plain.partition("://")[0].lower()
    if scheme == "file" or "://" not in plain or not _URL.fullmatch(plain):
        raise Mistake(f"expected a URL that others can reach, found {quoted(address)}", _LOCAL_WAY_OUT)
    if not vcs and scheme == "git":
        raise Mistake(
            f"expected git+ before the URL, found {quoted(address)}", "like git+https://host/owner/name@COMMIT"
        )
    if vcs:
        _check_reference(plain.partition("#")[0], address)
    elif scheme not in ("http", "https"):
        raise Mistake(f"expected an http, https or git+ URL, found {quoted(address)}")


def _check_reference(url: str, address: str) -> None:
    """A commit, or a tag or branch: which commit that is, is found when packages are chosen, and locked."""
    path = url.partition("://")[2].partition("/")[2]
    at, reference = path.rpartition("@")[1:] if "@" in path else ("", "")
    if _REFERENCE.fullmatch(reference) and not _NO_REFERENCE.search(reference):
        return
    bare = url.rpartition("@")[0] if at else url
    why = quoted(reference) if at else "none"
    raise Mistake(
        f"expected the URL to end with @ and a commit, a tag or a branch, found {why}: {quoted(address)}",
        f"`git ls-remote {bare} HEAD` prints a commit",
    )
