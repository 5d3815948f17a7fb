"""Unpacked images: whole or not there, and seen without ever following a link of the image to the host."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import CooperyError
from coopery.facts import Obstacle, follow
from coopery_oci import rootfs

NAMES = ("a", "b", "c")
SYS_OPENAT2 = 437
RESOLVE_IN_ROOT = 0x10


def test_unpacked_once(workshop, make):
    image = make.image([make.layer(workshop, [make.text("etc/x", b"1")])])
    root = rootfs.unpacked(workshop, image)
    assert (root / "etc" / "x").read_bytes() == b"1"
    (layer,) = image.layers
    workshop.blobs.path(layer.digest).unlink()
    assert rootfs.unpacked(workshop, image) == root


def test_nothing_is_there_after_an_error(workshop, make):
    image = make.image([make.layer(workshop, [make.text("etc/x", b"1")])])
    (layer,) = image.layers
    workshop.blobs.path(layer.digest).write_bytes(b"x" * layer.size)
    with pytest.raises(CooperyError):
        rootfs.unpacked(workshop, image)
    assert list((workshop.home / "rootfs").iterdir()) == []
    assert list(workshop.staging.iterdir()) == []


def test_many_may_unpack_at_once(workshop, make):
    image = make.image([make.layer(workshop, [make.text(f"d/{n}", b"1") for n in range(50)])])
    with ThreadPoolExecutor(8) as pool:
        (root,) = set(pool.map(lambda _: rootfs.unpacked(workshop, image), range(8)))
    assert len(list((root / "d").iterdir())) == 50
    assert list(workshop.staging.iterdir()) == []


def test_no_link_leads_out(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    os.mkfifo(root / "pipe")
    files = rootfs.FolderFiles(root)
    assert files.lstat("/link").target == str(outside)
    assert files.lstat("/link/secret") is None
    assert files.listdir("/link") == ()
    for path in ("/link/secret", "/link", "/pipe", "/gone"):
        with pytest.raises(FileNotFoundError):
            files.read(path, 9)
    assert files.lstat("/pipe").kind == "other"
    assert files.lstat("/").kind == "directory"


def test_closed_folders_can_be_removed(tmp_path):
    (tmp_path / "tree" / "closed" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path)
    (tmp_path / "tree" / "closed").chmod(0)
    rootfs.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert tmp_path.exists()


paths = st.lists(st.sampled_from([*NAMES, "..", "."]), min_size=1, max_size=6).map("/".join)
trees = st.dictionaries(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join),
    st.one_of(st.none(), st.tuples(st.sampled_from(["", "/"]), paths).map("".join)),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(tree=trees, path=paths)
def test_paths_lead_where_the_kernel_says(tmp_path_factory, tree, path):
    root = tmp_path_factory.mktemp("tree")
    for name, target in sorted(tree.items()):
        make(root / name, target)
    kernel = in_root(root, path)
    try:
        found = follow(rootfs.FolderFiles(root), "/" + path)
        ours = found.path if found.stat is not None else None
    except Obstacle:
        ours = None
    # the kernel stops at the first thing that is missing; we go on, for the sake of what is to be made there
    assert ours == kernel or (kernel is None and ".." in path + "".join(filter(None, tree.values())))


def make(path: Path, target: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if target is None else path.symlink_to(target)
    except (FileExistsError, NotADirectoryError, FileNotFoundError, OSError):
        return


def in_root(root: Path, path: str) -> str | None:
    """Where *path* leads when *root* is ``/``: asked of the kernel (openat2(2), RESOLVE_IN_ROOT)."""
    libc = ctypes.CDLL(None, use_errno=True)
    how = (ctypes.c_uint64 * 3)(os.O_PATH, 0, RESOLVE_IN_ROOT)
    folder = os.open(root, os.O_PATH)
    try:
        number = ctypes.c_long(SYS_OPENAT2)
        opened = libc.syscall(number, folder, path.encode(), ctypes.byref(how), ctypes.c_size_t(24))
    finally:
        os.close(folder)
    if opened < 0:
        if ctypes.get_errno() in (38, 1):
            pytest.skip("this kernel has no openat2")
        return None
    try:
        real = os.readlink(f"/proc/self/fd/{opened}")
    finally:
        os.close(opened)
    return "/" + os.path.relpath(real, root) if real != str(root) else "/"
