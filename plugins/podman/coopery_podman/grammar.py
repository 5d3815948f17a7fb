"""What may stand in an argument vector of buildah or podman, checked before anything is started.

Every check returns its argument, so that builders read as what they build. An option can never be smuggled in: names
begin with a letter or digit, and positional arguments stand behind ``--``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from coopery.errors import UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,1023}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:=,-]{0,255}")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


def name(text: str) -> str:
    """A container's name or id, a secret's id."""
    return _matching(_NAME, text, "a name of letters, digits, '_', '.' and '-' that begins with a letter or digit")


def reference(text: str) -> str:
    """An image's name, id or digest; a transport before it (``docker://``) is allowed, a path is not."""
    return _matching(_REFERENCE, text, "an image reference")


def variable(text: str) -> str:
    """The name of an environment variable."""
    return _matching(_VARIABLE, text, "the name of an environment variable")


def user(text: str) -> str:
    """``name``, ``uid``, ``name:group``, ``uid:gid``."""
    return _matching(_USER, text, "a user, as name, number, name:group or uid:gid")


def word(text: str) -> str:
    """A short option value: a driver, a runtime, a network."""
    return _matching(_WORD, text, "a plain word")


def argument(text: str) -> str:
    """One word of a command: anything that a program can be given.

    Raises:
        UsageError: a NUL, which ends it.
    """
    if "\0" in text:
        raise UsageError(f"{text!r}: no program can be given a NUL character")
    return text


def path(text: str) -> str:
    """An absolute path in an image, as an option's whole value."""
    if not text.startswith("/") or _UNSAFE.search(text):
        raise UsageError(f"{text!r}: expected an absolute path without control characters")
    return text


def inside(path: str) -> str:
    """An absolute path in an image, between colons."""
    if not path.startswith("/") or ":" in path or _UNSAFE.search(path):
        raise UsageError(f"{path!r}: expected an absolute path without ':' and control characters")
    return path


def host_path(path: str | os.PathLike[str]) -> str:
    """A path of this machine that stands between colons or behind ``oci:``; made absolute."""
    text = os.path.abspath(path)
    if ":" in text or _UNSAFE.search(text):
        raise UsageError(f"{text!r}: the engine's options have no form for a path with ':' or control characters")
    return text


def layout(path: str | os.PathLike[str]) -> str:
    """A layout's path behind ``oci:``; a relative one stays so, since images may be named by it."""
    text = os.fspath(path)
    if not text or ":" in text or _UNSAFE.search(text):
        raise UsageError(f"{text!r}: expected a path without ':' and control characters")
    return text


def mount(source: str | os.PathLike[str], target: str, *options: str) -> str:
    """``source:target:options`` for ``--volume``."""
    return ":".join((host_path(source), inside(target), ",".join(options))).rstrip(":")


def existing(path: Path) -> str:
    """A path of this machine that must be there before an engine makes a folder of that name.

    Raises:
        UsageError: nothing is there.
    """
    if not path.exists():
        raise UsageError(f"cannot mount {path}: nothing is there")
    return host_path(path)


def _matching(pattern: re.Pattern[str], text: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"expected {expected}, got {text!r}")
    return text
