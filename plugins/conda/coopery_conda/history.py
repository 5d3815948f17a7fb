"""The one file that makes a prefix a conda environment in the eyes of conda's own tools, whatever is in it."""

from __future__ import annotations

from typing import Final

from coopery.layer import Entry, Tree

PATH: Final = "conda-meta/history"

CONTENT: Final = b"""==> 1970-01-01 00:00:00 <==
# cmd: coopery build
"""
"""One revision at a fixed time, which names no package. Source: conda's ``History``, which reads it back.

What was asked for stands in the record of the key, not here: an image is a function of its lock, so that two
definitions that resolve alike are one image, and a changed pin is one changed layer. The packages are in the files
beside this one.
"""


def tree(prefix: str, recipe: str, rank: int) -> Tree:
    """The last tree: only that file. *rank* is above that of every package."""
    path = f"{prefix.strip('/')}/{PATH}"
    return Tree(
        name="conda history",
        package="conda-history",
        identity=(("prefix", prefix), ("recipe", f"{recipe}.history")),
        paths=lambda: (path,),
        entries=lambda: (Entry(path, source=CONTENT, size=len(CONTENT)),),
        rank=rank,
        last=True,
    )
