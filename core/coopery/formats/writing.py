"""One door to all formats that can be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from coopery.errors import UsageError
from coopery.exchange import Located
from coopery.formats import explicit, pixi, pixi_out, pylock, requirements

FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    pixi.FORM: ("conda", "pip"),
    explicit.FORM: ("conda",),
    pylock.FORM: ("pip",),
    requirements.FORM: ("pip",),
}
"""Name → kinds of packages that the format has room for."""


@frozen
class Outline:
    """A lock as other tools see one.

    Attributes:
        platform: image platform.
        packages: all of them.
        channels: URLs of conda channels, in order of priority.
        indexes: URLs of Python indexes.
        python: full version of Python, or empty.
    """

    platform: str
    packages: tuple[Located, ...]
    channels: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    python: str = ""


def write(form: str, outline: Outline) -> bytes:
    """*outline* in the format *form*, the same bytes for the same outline everywhere.

    Raises:
        UsageError: no such format, or it has no room for some of the packages.
    """
    if form not in FORMS:
        raise UsageError(f"{form!r} is no format that locks are written in", remedy=f"known are {', '.join(FORMS)}")
    if others := sorted({one.artifact.kind for one in outline.packages} - set(FORMS[form])):
        raise UsageError(f"the format {form!r} has no room for packages of {' and '.join(others)}")
    built = [str(one.artifact) for one in outline.packages if one.artifact.built is not None]
    if built and form not in (pylock.FORM, requirements.FORM):
        raise UsageError(
            f"the format {form!r} has no room for packages that are built from source: {', '.join(built)}",
            remedy=f"write these to {pylock.FORM!r}: --only pip",
        )
    match form:
        case pixi.FORM:
            text = pixi_out.write(outline.platform, outline.channels, outline.indexes, outline.packages)
        case explicit.FORM:
            text = explicit.write(outline.platform, outline.packages)
        case pylock.FORM:
            text = pylock.write(outline.packages, outline.python)
        case _:
            text = requirements.write(outline.packages)
    return text.encode()
