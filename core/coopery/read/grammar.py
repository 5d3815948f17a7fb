"""Grammars of the small texts in a definition: names, versions, paths, users, URLs.

They are narrow on purpose: nothing that passes here can be taken for an option, a second line or a way out of a
folder by whatever program it is handed to later. Each parser takes trimmed text and returns it, or raises `Mistake`.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final, NoReturn

from coopery import platform as _platform
from coopery.read.forms import Text
from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

LONGEST: Final = 255

NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,254}"
VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
IDENTIFIER: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9._:@+/-]{0,254}"
MODE: Final = r"0?[0-7]{3,4}"
_ACCOUNT: Final = r"(?:[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,31})"
USER: Final = rf"{_ACCOUNT}(?::{_ACCOUNT})?"
OWNER: Final = rf"{_ACCOUNT}:{_ACCOUNT}"
SUITE: Final = r"[a-z][a-z0-9.-]*(?:/[a-z][a-z0-9.-]*)?"
COMPONENT: Final = r"[a-z][a-z0-9-]*(?:/[a-z][a-z0-9-]*)?"
# Debian policy 5.6.7 (names) and 5.6.12 (versions).
DEBIAN_PACKAGE: Final = r"[a-z0-9][a-z0-9+.-]+(?:=(?:[0-9]+:)?[0-9][A-Za-z0-9.+~:-]*)?"
CUDA: Final = r"[1-9][0-9]*(?:\.[0-9]+){0,2}"
GLIBC: Final = r"[1-9][0-9]*\.[0-9]+"
ARCHSPEC: Final = r"[a-z][a-z0-9_]*"
COORDINATE: Final = r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+"
SHM_SIZE: Final = r"[1-9][0-9]*[bkmgBKMG]?"

_PREFIX: Final = Pattern(r"(/[A-Za-z0-9_][A-Za-z0-9._+-]*)+")
_LONGEST_PREFIX: Final = 200
# Mounted over when the image runs, or links into /usr: nothing may live there or below.
_TAKEN: Final = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin",
                 "/sys", "/tmp")  # fmt: skip  # noqa: S108 - names of folders in an image
# Folders that others fill: an environment may live below them, not be them.
_SHARED: Final = ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/usr", "/usr/bin", "/usr/include", "/usr/lib",
                  "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/sbin",
                  "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp")  # fmt: skip  # noqa: S108


def matching(pattern: str, words: str, example: str) -> Text[str]:
    """Text that wholly matches *pattern*, is not too long and cannot be taken for an option."""
    compiled = Pattern(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text) or len(text) > LONGEST:
            raise Mistake(f"expected {words}, found {quoted(text)}", f"like {example}")
        return text

    return Text(parse, words, f"^{pattern}$")


def free(*, lines: bool = False) -> Text[str]:
    """Any text, the empty one included, kept as it stands."""
    return Text(_same, "text", lines=lines, free=True)


def _same(text: str) -> str:
    return text


# --- paths ---------------------------------------------------------------------------------------


def absolute(text: str) -> str:
    """An absolute path in the image, in its one spelling: no ``..``, ``.``, ``//`` or slash at the end."""
    if not text.startswith("/"):
        _fail("an absolute path in the image", text, "begin it with a slash")
    normal = posixpath.normpath(text).replace("//", "/")
    if normal != text:
        _fail("a path with no '..', '.', '//' or slash at the end", text, f"write {normal}")
    return text


def destination(text: str) -> str:
    """Where a copy goes: an absolute path; with a slash at the end, a file goes into that folder."""
    absolute(text if text == "/" else text.removesuffix("/"))
    return text


def prefix(text: str) -> str:
    """Where packages will live. No character that a shell, a ``#!`` line or PATH would read as more than a name."""
    absolute(text)
    if text == "/" or any(text == taken or text.startswith(taken + "/") for taken in _TAKEN) or text in _SHARED:
        _fail("a folder that the environment can have for itself", text, "write /opt/env")
    if not _PREFIX.fullmatch(text) or len(text) > _LONGEST_PREFIX:
        _fail(f"a path of letters, digits and . _ + -, at most {_LONGEST_PREFIX} characters", text, "write /opt/env")
    return text


def host_path(text: str) -> str:
    """A file or folder beside the definition, or anywhere else on this machine; keyed by content, never by name."""
    if "://" in text:
        _fail("a path", text, "fetch it first, and write the path of the file")
    if text.startswith("-"):
        _fail("a path", text, f"write ./{text}")
    return text


def inner_path(text: str) -> str:
    """A path that stays inside the folder it starts from, normalized."""
    host_path(text)
    normal = posixpath.normpath(text)
    if text.startswith("/") or normal == ".." or normal.startswith("../"):
        _fail("a relative path inside the folder", text, "move the file beside the definition")
    return normal


def included_path(text: str) -> str:
    """A text file that is read into the definition. Relative, so that the definition means the same elsewhere."""
    if "://" in text:
        _fail("a file", text, "download it beside the definition")
    if text.startswith(("/", "-", "~")):
        _fail("a path that starts from the folder of this file", text)
    return text


# --- names ---------------------------------------------------------------------------------------


def platform(text: str) -> str:
    """One of `coopery.platform.KNOWN`."""
    if text not in _platform.KNOWN:
        aliases = {"x86_64": "amd64", "aarch64": "arm64"}
        short = aliases.get(text.rpartition("/")[2], text.rpartition("/")[2])
        meant = [known for known in _platform.KNOWN if known.endswith("/" + short) or text.startswith(known + "/")]
        _fail(f"one of {', '.join(_platform.KNOWN)}", text, f"did you mean {meant[0]}?" if meant else "")
    return text


def mode(text: str) -> int:
    """Permission bits, as octal digits in quotes."""
    if not re.fullmatch(MODE, text):
        _fail("permission bits as octal digits", text, 'like "0755"')
    return int(text, 8)


# --- URLs ----------------------------------------------------------------------------------------

# RFC 3986, section 3: scheme, authority with perhaps user information, the rest.
_URL: Final = Pattern(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_URL_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
"""What may stand in a URI as it is; programs differ in how they read anything else. Section 2 of the same."""
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*)(?::[0-9]{1,5})?")
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_CONDA_TOKEN: Final = Pattern(r"/t/[^/]+(/|$)")
_SCHEMES: Final = ("https", "http", "file")


def url(text: str, schemes: tuple[str, ...] = _SCHEMES) -> str:
    """A URL with no credentials in it."""
    no_credentials(text)
    match = _URL.fullmatch(text)
    if match is None or match["scheme"] not in schemes or " " in text:
        _fail(f"a URL ({', '.join(schemes)})", text)
    if match["scheme"] != "file":
        if not _HOST.fullmatch(match["authority"].rpartition("@")[2]):  # no_credentials has left a user to ssh alone
            raise Mistake("expected a URL with a host, as host or host:port")  # not shown: it may be half a password
        if not _URL_CHARACTERS.fullmatch(text):
            _fail("a URL of plain characters", text, "write others as %XX, and hosts as xn--…")
    return text


def no_credentials(text: str) -> None:
    """Refuse user names, passwords, tokens and variables in URLs: a key, a lock and a log would carry them."""
    head, separator, rest = text.partition("://")
    if not separator:
        return
    remedy = "take it out: credentials belong into the settings, or into ~/.netrc"
    authority = _AUTHORITY_END.split(rest, 1)[0]
    user, at, host = authority.rpartition("@")
    if at and not (head.endswith("ssh") and ":" not in user):
        raise Mistake(f"expected a URL without credentials, found some before {host!r}", remedy)
    if _CONDA_TOKEN.search(rest.partition("?")[0]):
        raise Mistake("expected a URL without credentials, found a token (/t/…)", remedy)
    if "${" in text or "$(" in text:
        raise Mistake("expected a URL, found a variable of the environment in it", remedy)


def _fail(words: str, text: str, remedy: str = "") -> NoReturn:
    raise Mistake(f"expected {words}, found {quoted(text)}", remedy)


ABSOLUTE_PATH: Final = Text(absolute, "an absolute path in the image", "^/")
HOST_PATH: Final = Text(host_path, "a path")
VARIABLE_NAME: Final = matching(VARIABLE, "the name of a variable (letters, digits, _)", "OMP_NUM_THREADS")
SECRET_ID: Final = matching(IDENTIFIER, "the id of a secret", "token")
URL: Final = Text(url, "a URL")
