"""A build context on disk: exactly what was digested when the key was made, and nothing that changed since.

Times are fixed and modes 0644 or 0755: a ``COPY`` would keep both, and neither is in the key.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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


@contextmanager
def laid_out(workshop: Workshop, base: SealedBase) -> Iterator[tuple[Path, Path]]:
    """The context's folder and the Dockerfile's path, copies of ours that are gone afterwards.

    Raises:
        IntegrityError: something changed since the key was made.
        StoreFull, CacheError: the disk refused.
    """
    if base.path is None:
        raise BaseError(f"$.base: {base.base} was sealed without its path")
    with scratch(workshop.staging, "context") as top:
        folder, dockerfile = top / "context", top / "Dockerfile"
        try:
            folder.mkdir()
            nodes = recheck(base)
            for node in nodes:
                _lay(node, folder)
            inside = base.base.dockerfile if isinstance(base.base, ContextBase) else ""
            shutil.copyfile(base.path / inside if inside else base.path, dockerfile)
            for node in reversed(nodes):  # what is written into a folder changes its time
                os.utime(folder / node.path, (FIXED_TIME, FIXED_TIME), follow_symlinks=False)
        except OSError as exc:
            raise disk_error(exc) from exc
        recheck(base)  # the Dockerfile may have changed between
        yield folder, dockerfile


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
