"""Merged `/usr`: `/bin`, `/lib` and their like are links into `/usr`, so that no later layer can replace them.

Packages up to bookworm still carry `/bin/cat`; it goes to `/usr/bin/cat`, where dpkg would put it through the link.
"""

from __future__ import annotations

import posixpath
from typing import Final

MERGED: Final = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"})


def merged(path: str) -> str:
    """Where *path* (relative to ``/``) really is. The links themselves stay what they are."""
    first, slash, _ = path.partition("/")
    return f"usr/{path}" if slash and first in MERGED else path


def leads_to(path: str, target: str) -> str:
    """The path that the symlink at *path* names, both relative to ``/``, in its merged form; links are not followed."""
    joined = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
    return merged(joined.lstrip("/"))
