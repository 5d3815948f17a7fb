"""Small trees for tests, and two readers of tars that are not ours: GNU tar and `tarfile`."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from coopery import digest
from coopery.blobs import BlobStore
from coopery.events import Event
from coopery.layer import Entry, Layer, Tree
from coopery.layers.compose import compose
from coopery.layers.cut import lay_out
from coopery.layers.store import LayerStore
from coopery.target import Facts, Parent, Resolved

SITE = "opt/env/lib/python3.11/site-packages"


def file(path: str, content: bytes = b"", mode: int = 0o644, **fields: Any) -> Entry:
    return Entry(path, mode=mode, source=content, size=len(content), **fields)


def folder(path: str, mode: int = 0o755, **fields: Any) -> Entry:
    return Entry(path, "directory", mode, **fields)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, "symlink", target=target)


def hardlink(path: str, target: str) -> Entry:
    return Entry(path, "hardlink", target=target)


def tree(package: str, *entries: Entry, version: str = "1", **fields: Any) -> Tree:
    """A tree whose identity is its package and version: the same entries must be given for the same two."""
    return Tree(
        name=f"{package} {version}",
        package=package,
        identity=(("sha256", digest.of_bytes(f"{package} {version}".encode())),),
        paths=lambda: [entry.path for entry in entries],
        entries=lambda: iter(entries),
        **fields,
    )


def tar_of(*trees: Tree, **options: Any) -> bytes:
    sink = io.BytesIO()
    lay_out(trees, **options).write(sink)
    return sink.getvalue()


def read(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: member for member in archive}


def contents(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def target(*parents: Parent) -> Resolved:
    return Resolved("linux/amd64", "/opt/env", digest.of_bytes(b"base"), Facts(parents=parents))


def store(root: Path) -> LayerStore:
    return LayerStore(root / "layers", BlobStore(root / "blobs", root / "staging"), root / "staging")


def unpack(tars: Iterable[bytes | Path], root: Path) -> Path:
    """Extract *tars* over each other with GNU tar."""
    root.mkdir(exist_ok=True)
    for tar in tars:
        data = tar if isinstance(tar, bytes) else tar.read_bytes()
        subprocess.run(["tar", "-xpf", "-", "-C", root], input=data, check=True)
    return root


def unpacked(layers: Sequence[Layer], kept: LayerStore, root: Path) -> dict[str, tuple[Any, ...]]:
    return listing(unpack([kept.blobs.path(layer.digest) for layer in layers], root))


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    """Every path below *root*: kind, mode, and content, link text or nothing."""
    found: dict[str, tuple[Any, ...]] = {}
    for above, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(above, name)
            info = path.lstat()
            kind, mode = stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode)
            content: Any = path.read_bytes() if stat.S_ISREG(kind) else os.readlink(path) if path.is_symlink() else None
            found[str(path.relative_to(root))] = (kind, mode, content)
    return found


def made(trees: list[Tree], store: LayerStore, below: int = 3, **options: Any) -> tuple[Layer, ...]:
    where: Resolved = options.pop("target", target())
    emit: Callable[[Event], None] = options.pop("emit", lambda _: None)
    return compose(trees, where, store, below, emit, **options)


def small_environment() -> list[Tree]:
    """Every kind of entry, and two clashes."""
    return [
        tree("numpy", *(file(f"{SITE}/numpy/m{n}.py", b"%d\n" % n * n) for n in range(200)), rank=3),
        tree("python", file("opt/env/bin/python3.11", b"\x7fELF", 0o755), symlink("opt/env/bin/python", "python3.11")),
        tree("links", file("opt/env/share/b", b"same"), hardlink("opt/env/share/a", "opt/env/share/b"), rank=1),
        tree("one", file(f"{SITE}/shared/__init__.py", b"one"), file("opt/env/etc/x", b"one", 0o600), rank=5),
        tree("two", file(f"{SITE}/shared/__init__.py", b"two"), file("opt/env/etc/x", b"two", 0o640), rank=4),
        tree("deep", file(f"{SITE}/{'ü' * 40}/{'n' * 120}.txt", b"deep"), folder("opt/env/var/empty", 0o750)),
        tree("wheel", file(f"{SITE}/wheel.py", b"w"), file("opt/env/share/b", b"of the wheel"), floor=1),
        tree("history", file("opt/env/conda-meta/history", b"# asked for: python"), last=True),
    ]


def many(count: int, version: str = "1") -> list[Tree]:
    return [
        tree(f"p{n:03}", file(f"opt/env/p{n:03}", b"x" * 600 * n + version.encode()), version=version)
        for n in range(count)
    ]
