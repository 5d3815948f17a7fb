"""What a definition's local paths hold: one digest for each, and the files behind it.

Every mistake is a ValueError whose message says what is wrong where; `coopery.seal` adds the field path.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve

from coopery import encoding, tree
from coopery.definition import Base, ContextBase, CopyStep, LayoutBase
from coopery.digest import Digest
from coopery.tree import Node

if TYPE_CHECKING:
    from coopery.dockerignore import Ignore

CONTEXT_TAG: Final = "coopery.context.v1"
WHEELS_TAG: Final = "coopery.wheels.v1"


def of_copy(step: CopyStep, path: Path) -> tuple[Digest, tuple[Node, ...]]:
    """Content of a copy step, as it lies below ``to``.

    That is a folder's content, a file in the place of ``to``, or, where ``to`` ends in ``/``, below its own name.

    Raises:
        ValueError: it cannot be copied, or a symlink in it leads out of it.
    """
    nodes = tree.read(path)
    for node in nodes:
        if tree.leaves(node):
            raise ValueError(f"the symlink {node.path!r} leads out of the copied folder, to {node.target!r}")
    if nodes[0].kind == "file" and step.to.endswith("/"):
        nodes = (evolve(nodes[0], path=posixpath.basename(step.copy)),)
    return tree.digest_of(nodes), nodes


def of_base(base: Base, path: Path, platform: str) -> tuple[Digest, tuple[Node, ...]]:
    """Content of a base that is kept at *path*: its digest, and, of a build context, what it sends.

    Raises:
        ValueError: it is not what the base says, or cannot be read.
    """
    match base:
        case LayoutBase(tag=tag):
            return _layout(path, tag, platform), ()
        case ContextBase():
            return _context(base, path)
    return Digest("sha256:" + tree.hash_file(path)[1]), ()


def local_links(entry: str) -> str | None:
    """The path of the folder that an entry of ``pip.find_links`` names; None for a URL on the network."""
    if "://" not in entry:
        return entry
    scheme, _, rest = entry.partition("://")
    if scheme.lower() != "file":
        return None
    from urllib.request import url2pathname

    return url2pathname("/" + rest.partition("/")[2])


def of_links(path: Path) -> Digest:
    """Content of a folder of wheels: the names and bytes of the ``.whl`` files that lie directly in it.

    Raises:
        ValueError: it is no folder, or a wheel in it cannot be read.
    """
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".whl"))
    except OSError as exc:
        raise ValueError(f"expected a folder of wheels, but it cannot be read: {exc.strerror}") from exc
    wheels = [[tree.text(name, str(path)), tree.hash_file(os.path.realpath(path / name))[1]] for name in names]
    wheels.sort(key=lambda wheel: wheel[0].encode())
    return Digest("sha256:" + encoding.digest(WHEELS_TAG, *wheels))


def _layout(path: Path, tag: str, platform: str) -> Digest:
    from coopery import layout_index

    try:
        return layout_index.manifest_digest(path, tag, platform)
    except OSError as exc:
        raise ValueError(f"expected an OCI layout, but its index.json cannot be read: {exc.strerror}") from exc


def _context(context: ContextBase, path: Path) -> tuple[Digest, tuple[Node, ...]]:
    """A context is what it sends, and the Dockerfile, which counts even where ``.dockerignore`` names it."""
    recipe = Path(os.path.realpath(path / context.dockerfile))
    if path not in recipe.parents:
        raise ValueError(f"expected the Dockerfile inside the context, got {context.dockerfile!r}, which is {recipe}")
    text = tree.hash_file(recipe)[1]
    ignore = _ignore(path, context.dockerfile)
    nodes = tree.read(path, ignore.excludes, enter_excluded=ignore.takes_back)
    return tree.digest_of(nodes, text, tag=CONTEXT_TAG), nodes


def _ignore(path: Path, dockerfile: str) -> Ignore:
    """Rules for *path*: ``NAME.dockerignore`` beside the Dockerfile, else ``.dockerignore`` at the top."""
    from coopery import dockerignore

    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (path / name).is_file():
            try:
                return dockerignore.parse((path / name).read_text(encoding="utf-8"))
            except OSError as exc:
                raise ValueError(f"{name}: it cannot be read: {exc.strerror}") from exc
            except ValueError as exc:  # bytes that are not UTF-8 are one too
                raise ValueError(f"{name}: {exc}") from exc
    return dockerignore.Ignore()
