"""An image's files, read in the storage's folders: what hides what, and that nothing leads out of them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from coopery.facts import find
from coopery_podman.image_files import ImageFiles, config_of, files_of
from coopery_podman.storage import Located, LookError


def lay(folder: Path, *paths: str) -> Path:
    """A layer with *paths*: a folder ends in ``/``; ``a -> b`` is a link; another file holds its path."""
    folder.mkdir()
    for path in paths:
        name, _, target = path.partition(" -> ")
        at = folder / name
        at.parent.mkdir(parents=True, exist_ok=True)
        if target:
            at.symlink_to(target)
        elif name.endswith("/"):
            at.mkdir(exist_ok=True)
        else:
            at.write_text(f"{folder.name}:{name}")
    return folder


def test_the_uppermost_counts(tmp_path: Path) -> None:
    files = ImageFiles([lay(tmp_path / "upper", "etc/a", "etc/c"), lay(tmp_path / "lower", "etc/a", "etc/b", "d/")])
    assert files.listdir("/etc") == ("a", "b", "c")
    assert files.listdir("/") == ("d", "etc")
    assert (files.read("/etc/a", 99), files.read("/etc/b", 99), files.read("/etc/b", 5)) == (
        b"upper:etc/a",
        b"lower:etc/b",
        b"lower",
    )
    found = files.lstat("/etc/b")
    assert found is not None
    assert (found.kind, found.size) == ("file", 11)
    assert files.lstat("/etc/x") is None
    assert files.listdir("/etc/a") == ()
    with pytest.raises(FileNotFoundError):
        files.read("/etc", 9)


@pytest.mark.parametrize("gone", ["etc/.wh.a", ".wh.etc", "etc/.wh..wh..opq"])
def test_what_is_removed_is_gone(tmp_path: Path, gone: str) -> None:
    files = ImageFiles([lay(tmp_path / "upper", "new", gone), lay(tmp_path / "lower", "etc/a", "etc/z/b")])
    assert files.lstat("/etc/a") is None
    assert "a" not in files.listdir("/etc")
    assert (files.lstat("/etc/z/b") is None) == ("wh.a" not in gone)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_the_kernels_form_of_removing(tmp_path: Path) -> None:
    upper = lay(tmp_path / "upper", "etc/b")
    try:
        os.mknod(upper / "etc" / "a", 0o20600, 0)
    except PermissionError:
        pytest.skip("no devices can be made here")
    files = ImageFiles([upper, lay(tmp_path / "lower", "etc/a")])
    assert files.lstat("/etc/a") is None
    assert files.listdir("/etc") == ("b",)


def test_a_file_hides_a_folder_and_a_folder_what_was_a_link(tmp_path: Path) -> None:
    lower = lay(tmp_path / "lower", "etc/a", "opt -> /etc", "usr/bin/sh", "bin -> usr/bin")
    files = ImageFiles([lay(tmp_path / "upper", "etc", "opt/mine"), lower])
    assert files.lstat("/etc/a") is None
    assert files.listdir("/opt") == ("mine",)
    assert files.lstat("/opt/passwd") is None, "the host's, by a link of a lower layer"
    found = find(files, "/bin/sh")
    assert found is not None
    assert found.path == "/usr/bin/sh"


def test_nothing_leads_out(tmp_path: Path) -> None:
    files = ImageFiles([lay(tmp_path / "one", "out -> /etc", "up -> ../../../../etc")])
    assert (files.lstat("/out/passwd"), files.lstat("/up/passwd")) == (None, None)
    assert files.listdir("/out") == ()


def test_a_driver_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(LookError, match="btrfs"):
        files_of(Located(tmp_path, tmp_path, "btrfs"), {"layer": ""})


def test_a_layer_that_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "overlay-layers").mkdir()
    (tmp_path / "overlay-layers" / "layers.json").write_text(json.dumps([{"id": "a", "parent": "b"}]))
    located = Located(tmp_path, tmp_path, "overlay")
    with pytest.raises(LookError, match="not whole"):
        files_of(located, {"id": "x", "layer": "a"})


@pytest.mark.parametrize("content", [None, b"[]", b"{", b"[" * 100_000])
def test_a_config_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    name = base64.b64encode(b"sha256:" + b"a" * 64).decode()
    path = tmp_path / "overlay-images" / ("a" * 64) / f"={name}"
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(LookError, match="overlay-images") as caught:
        config_of(Located(tmp_path, tmp_path, "overlay"), "a" * 64)
    assert ("No such file" in str(caught.value)) == (content is None)
