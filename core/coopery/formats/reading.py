"""One door to all formats that can be read: which one a file is in is seen from its name and its text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from coopery.errors import LockFileError, Problem
from coopery.formats import conda_lock, explicit, pixi, pylock, requirements
from coopery.formats.fields import text_of
from coopery.formats.imported import Imported, Wanted
from coopery.formats.strangers import is_stranger, way_out

FORMATS: Final[Mapping[str, Callable[[str, str, Wanted], Imported]]] = {
    pixi.FORM: pixi.read,
    conda_lock.FORM: conda_lock.read,
    explicit.FORM: explicit.read,
    pylock.FORM: pylock.read,
    requirements.FORM: requirements.read,
}
"""Name → reader, as ``coopery lock --from`` knows them."""

_PYLOCK: Final = re.compile(r"pylock\.([^.]+\.)?toml")
_SIGNS: Final = (
    (explicit.FORM, re.compile(r"^@EXPLICIT\s*$", re.MULTILINE)),
    (conda_lock.FORM, re.compile(r"^package:", re.MULTILINE)),
    (pixi.FORM, re.compile(r"^environments:", re.MULTILINE)),
    (pylock.FORM, re.compile(r"^\s*lock-version\s*=", re.MULTILINE)),
    (requirements.FORM, re.compile(r"--hash[ =]", re.MULTILINE)),
)
"""What the text of each has and the others' have not."""


def read(file: str | os.PathLike[str], wanted: Wanted, form: str = "") -> Imported:
    """The packages that the lock file *file* of another tool lists.

    Args:
        file: its path.
        wanted: platform and environment.
        form: name of its format, one of `FORMATS`; empty: seen from name and text.

    Raises:
        LockFileError: every mistake in it, each with its place; or it is in none of the formats.
    """
    shown = os.fspath(file)
    text = text_of(shown)
    form = form or detect(shown, text)
    if form not in FORMATS:
        message = f"expected a lock file ({', '.join(FORMATS)}), found something else"
        raise LockFileError([Problem("$", message, file=shown, remedy=way_out(shown, text))])
    return FORMATS[form](text, shown, wanted)


def detect(file: str, text: str) -> str:
    """The name of the format of *text*; empty where it is in none."""
    if is_stranger(file):
        return ""
    if _PYLOCK.fullmatch(os.path.basename(file)):
        return pylock.FORM
    return next((form for form, sign in _SIGNS if sign.search(text)), "")
