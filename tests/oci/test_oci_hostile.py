"""Archives that try to leave their folder, or to leave something dangerous in it.

Whatever comes of a case, refusal or a tree: nothing outside is made or changed, no hard link leads out, nothing
special lies inside, and no file of the tree can be run with another's rights.
"""

import os
import stat
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import Layer
from coopery.oci.extract import extract

Entries = list[tuple[Any, ...]]
X = b"evil"

DOT_DOT: dict[str, list[Entries]] = {
    "dot-dot file": [[("../evil", X)]],
    "dot-dot twice": [[("../../evil", X)]],
    "dot-dot in the middle": [[("a/../../evil", X)]],
    "dot-dot at the end": [[("a/..", None)]],
    "dot-dot alone": [[("..", None)]],
    "dot-dot folder": [[("../folder", None)]],
    "dot-dot symlink": [[("../evil", "->/etc/passwd")]],
    "dot-dot hard link": [[("a", X), ("../evil", "=>a")]],
    "dot-dot below a real folder": [[("a", None), ("a/../../evil", X)]],
    "dot-dot behind dots": [[("./../evil", X)]],
    "dot-dot behind slashes": [[("a//..//../evil", X)]],
    "dot-dot whiteout": [[("../.wh.victim", b"")]],
}
ABSOLUTE: dict[str, list[Entries]] = {
    "absolute file": [[("OUTSIDE/evil", X)]],
    "absolute file, two slashes": [[("/OUTSIDE/evil", X)]],
    "absolute symlink, then through it": [[("a", "->OUTSIDE"), ("a/evil", X)]],
    "absolute hard link": [[("a", "=>OUTSIDE/victim")]],
    "absolute hard link to a secret": [[("a", "=>/etc/passwd")]],
    "absolute whiteout": [[("OUTSIDE/.wh.victim", b"")]],
    "absolute folder": [[("OUTSIDE", None, {"mode": 0o777})]],
}
SYMLINKS: dict[str, list[Entries]] = {
    "symlink up, then through it": [[("a", "->.."), ("a/evil", X)]],
    "symlink far up, then through it": [[("a", "->../../../../../../../OUTSIDE"), ("a/evil", X)]],
    "chain of two": [[("a", "->b"), ("b", "->.."), ("a/evil", X)]],
    "chain of relative steps": [[("a", "->."), ("a/b", "->.."), ("a/b/evil", X), ("b/b/evil", X)]],
    "chain deep inside": [[("d/e/f", None), ("d/e/f/l", "->../../.."), ("d/e/f/l/l2", "->.."), ("l2/evil", X)]],
    "circle": [[("a", "->b"), ("b", "->a"), ("a/evil", X)]],
    "circle of one": [[("a", "->a"), ("a/evil", X)]],
    "folder over symlink": [[("a", "->OUTSIDE"), ("a", None), ("a/evil", X)]],
    "symlink over folder": [[("a", None), ("a", "->OUTSIDE"), ("a/evil", X)]],
    "symlink over folder with content": [[("a/b", X), ("a", "->OUTSIDE"), ("a/b", X)]],
    "symlink in a lower layer": [[("a", "->OUTSIDE")], [("a/evil", X)]],
    "symlink in a lower layer, folder above": [[("a", "->OUTSIDE")], [("a", None), ("a/evil", X)]],
    "symlink in a lower layer, chain": [[("a", "->..")], [("b", "->a")], [("b/evil", X)]],
    "file through a symlink to a file": [[("a", "->OUTSIDE/victim"), ("a", X)]],
    "folder mode through a symlink": [[("a", "->OUTSIDE"), ("a", None, {"mode": 0o777})]],
    "long chain of realpath's limit": [
        [(f"{'d' * 200}/" * n + "x", "->" + "../" * n) for n in range(1, 15)] + [("x/evil", X)]
    ],
    "symlink replaced by folder between": [[("a", "->OUTSIDE"), ("b", "=>a"), ("a", None), ("b/evil", X)]],
    "root as a symlink": [[(".", "->OUTSIDE"), ("evil", X)]],
}
HARDLINKS: dict[str, list[Entries]] = {
    "hard link up": [[("a", "=>../victim")]],
    "hard link through a symlink": [[("s", "->OUTSIDE"), ("a", "=>s/victim")]],
    "hard link to a symlink out, then written": [[("s", "->OUTSIDE/victim"), ("a", "=>s"), ("a", X)]],
    "hard link to a symlink out": [[("s", "->OUTSIDE/victim"), ("a", "=>s")]],
    "hard link to itself": [[("a", "=>a")]],
    "hard link to a folder": [[("d", None), ("a", "=>d")]],
    "hard link to nothing": [[("a", "=>b")]],
    "hard link forward": [[("a", "=>b"), ("b", X)]],
    "hard link to the root": [[("a", "=>.")]],
}
SPECIAL: dict[str, list[Entries]] = {
    "character device": [[("null", b"", {"type": b"3", "devmajor": 1, "devminor": 3})]],
    "block device": [[("sda", b"", {"type": b"4", "devmajor": 8})]],
    "pipe": [[("pipe", b"", {"type": b"6"})]],
    "hard link to a device": [[("null", b"", {"type": b"3", "devmajor": 1}), ("a", "=>null")]],
    "whiteout device": [[("a", b"", {"type": b"3", "devmajor": 0, "devminor": 0})]],
    "setuid": [[("su", X, {"mode": 0o4755}), ("sg", X, {"mode": 0o2755}), ("d", None, {"mode": 0o6777})]],
    "multi-volume": [[("a", b"", {"type": b"M"})]],
    "sparse": [[("a", b"", {"type": b"S"})]],
    "sparse, pax": [[("a", X, {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.name": "../evil"}})]],
}
NAMES: dict[str, list[Entries]] = {
    "long name": [[("n" * 256, X)]],
    "long path": [[("d/" * 3000 + "x", X)]],
    "many folders": [[("d/" * 1500 + "x", X)]],
    "line end in a name": [[("a\nb", X)]],
    "escape in a name": [[("\x1b[2Ja", X)]],
    "NUL by pax": [[("a", X, {"pax_headers": {"path": "../evil\0x"}})]],
    "path by pax": [[("a", X, {"pax_headers": {"path": "../evil"}})]],
    "absolute path by pax": [[("a", X, {"pax_headers": {"path": "OUTSIDE/evil"}})]],
    "link by pax": [[("a", "=>b", {"pax_headers": {"linkpath": "../victim"}})]],
    "duplicate": [[("a", X), ("a", "->OUTSIDE/victim"), ("a", X)]],
    "duplicate folder and file": [[("a", None), ("a", X), ("a/evil", X)]],
    "case-fold": [[("a", "->OUTSIDE"), ("A", None), ("A/evil", X)]],
    "normal forms": [[("\u00e9", "->OUTSIDE"), ("e\u0301/evil", X)]],
    "file below a file": [[("a", X), ("a/evil", X)]],
}
WHITEOUTS: dict[str, list[Entries]] = {
    "whiteout of the parent": [[("a", X)], [(".wh...", b"")]],
    "whiteout of the folder itself": [[("a", X)], [(".wh..", b"")]],
    "whiteout of nothing": [[("a", X)], [(".wh.", b"")]],
    "whiteout through a symlink": [[("a", "->OUTSIDE")], [("a/.wh.victim", b"")]],
    "opaque through a symlink": [[("a", "->OUTSIDE")], [("a/.wh..wh..opq", b"")]],
    "whiteout as a symlink": [[("a", X)], [(".wh.a", "->OUTSIDE")]],
    "whiteout as a folder": [[("a", X)], [(".wh.a/evil", X)]],
    "opaque root": [[("a", X)], [(".wh..wh..opq", b"")]],
}
CORPUS = DOT_DOT | ABSOLUTE | SYMLINKS | HARDLINKS | SPECIAL | NAMES | WHITEOUTS
REFUSED = {
    *DOT_DOT,
    *HARDLINKS,
    "absolute hard link",
    "absolute hard link to a secret",
    "circle",
    "circle of one",
    "root as a symlink",
    "multi-volume",
    "sparse",
    "sparse, pax",
    "long name",
    "long path",
    "many folders",
    "NUL by pax",
    "path by pax",
    "link by pax",
    "duplicate folder and file",
    "file below a file",
    "whiteout of the parent",
    "whiteout of the folder itself",
    "whiteout of nothing",
    "whiteout as a symlink",
    "whiteout as a folder",
} - {"hard link to a symlink out, then written", "hard link to a symlink out"}


def place(entries: Entries, outside: Path) -> Entries:
    """The entries with OUTSIDE spelt out."""

    def real(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: real(inner) for name, inner in value.items()}
        return value.replace("OUTSIDE", str(outside)) if isinstance(value, str) else value

    return [tuple(real(part) for part in entry) for entry in entries]


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """Everything below *folder* that an escape could change."""
    found: dict[str, tuple[int, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        seen = path.lstat()
        found[str(path)] = (seen.st_mode, seen.st_uid, seen.st_nlink, seen.st_size, seen.st_mtime_ns)
    return found


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
    assert CORPUS.keys() >= REFUSED


@pytest.mark.parametrize("name", CORPUS)
def test_nothing_leaves_the_folder(name: str, tar: Callable[..., bytes], tmp_path: Path) -> None:
    outside, jail = tmp_path / "outside", tmp_path / "jail"
    for folder in (outside, jail):
        folder.mkdir()
        (folder / "victim").write_text("untouched")
    home = tmp_path / "home"
    blobs = BlobStore(home / "blobs", home / "staging")
    layers = []
    for entries in CORPUS[name]:
        data = tar(place(entries, outside), tarfile.GNU_FORMAT if name in ("long path",) else tarfile.PAX_FORMAT)
        digest = blobs.put(data)
        layers.append(Layer(digest, digest, len(data)))
    before = state(outside)
    with pytest.raises(IntegrityError) if name in REFUSED else nullcontext():
        extract(layers, blobs, jail / "root")
    assert state(outside) == before
    assert {path.name for path in jail.iterdir()} <= {"victim", "root"}
    assert (jail / "victim").read_text() == "untouched"
    assert (jail / "victim").stat().st_nlink == 1
    check_inside(jail / "root")


def check_inside(root: Path) -> None:
    if not root.exists():
        return
    inodes: dict[int, list[int]] = {}
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            seen = os.lstat(os.path.join(folder, name))
            assert stat.S_IFMT(seen.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            assert not seen.st_mode & (stat.S_ISUID | stat.S_ISGID)
            if not stat.S_ISDIR(seen.st_mode):
                inodes.setdefault(seen.st_ino, []).append(seen.st_nlink)
    for links in inodes.values():
        assert len(links) == links[0], "a hard link leads out of the folder"
