"""A build context on disk: exactly what was digested when the key was made, and nothing that changed since.

Times are fixed and modes 0644 or 0755: both would be in the layers of a ``COPY``, and neither is in the key.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from coopery import encoding
from coopery.blobs import disk_error
from coopery.definition import ContextBase
from coopery.errors import BaseError, IntegrityError
from coopery.folders import scratch
from coopery.layers.header import FIXED_TIME
from coopery.seal import recheck

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.sealed import SealedBase
    from coopery.tree import Node


@frozen
class Context:
    """What is sent to a builder.

    Attributes:
        folder: the context.
        dockerfile: the Dockerfile; outside of *folder* where ``.dockerignore`` leaves it out.
        name: what it is called in the context.
    """

    folder: Path
    dockerfile: Path
    name: str


def name_of(tag: str, base: SealedBase, platform: str) -> str:
    """The name under which a backend keeps what *base* gave: a digest of all that its builder is told, and *tag*."""
    recipe = base.base.dockerfile if isinstance(base.base, ContextBase) else ""
    told = [[name, value] for name, value in base.arguments]
    return encoding.digest(tag, str(base.content), recipe, told, list(base.secrets), platform)


@contextmanager
def laid_out(workshop: Workshop, base: SealedBase) -> Iterator[Context]:
    """The context of *base* in a folder of its own, which is gone afterwards.

    Raises:
        IntegrityError: something changed since the key was made.
        StoreFull, CacheError: the disk refused.
    """
    if base.path is None:
        raise BaseError(f"$.base: {base.base} was sealed without its path")
    with scratch(workshop.staging, "context") as top:
        folder = top / "context"
        try:
            folder.mkdir()
            nodes = recheck(base)
            for node in nodes:
                _lay(node, folder)
            dockerfile = _dockerfile(base, base.path, folder, top)
            for node in reversed(nodes):  # from the inside out: what is written into a folder changes its time
                os.utime(folder / node.path, (FIXED_TIME, FIXED_TIME), follow_symlinks=False)
        except OSError as exc:
            raise disk_error(exc) from exc
        recheck(base)  # the Dockerfile may have changed between
        yield Context(folder, dockerfile, base.base.dockerfile if isinstance(base.base, ContextBase) else "Dockerfile")


def _dockerfile(base: SealedBase, path: Path, folder: Path, top: Path) -> Path:
    if isinstance(base.base, ContextBase):
        inside = folder / base.base.dockerfile
        if inside.is_file():
            return inside
        path = path / base.base.dockerfile
    copied = top / "Dockerfile"
    shutil.copyfile(path, copied)
    return copied


def _lay(node: Node, folder: Path) -> None:
    to = folder / node.path
    if node.kind == "directory":
        to.mkdir(exist_ok=True)
        to.chmod(0o755)
    elif node.kind == "symlink":
        to.symlink_to(node.target)
    else:
        _copy(node, to)


def _copy(node: Node, to: Path) -> None:
    hashed = hashlib.sha256()
    with open(node.source, "rb") as source, open(to, "xb") as out:
        while piece := source.read(1 << 20):
            hashed.update(piece)
            out.write(piece)
    if hashed.hexdigest() != node.sha256:
        raise IntegrityError(f"$.base.context: {node.source} changed since the key was made")
    to.chmod(0o755 if node.executable else 0o644)
