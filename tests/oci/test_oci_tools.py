"""Other people's programs read what we write, and we read what they write."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.blobs import BlobStore
from coopery.image import Assembled
from coopery.layer import TAR_GZIP, Layer
from coopery.oci.archive import read_archive, read_layout, write_oci_archive
from coopery.oci.docker_archive import write_docker_archive
from coopery.oci.extract import extract
from coopery.oci.layout import write_layout
from coopery.oci.validate import validate_layout

pytestmark = pytest.mark.tools
AMD = "linux/amd64"


@pytest.fixture
def image(store: Callable[..., Layer], assemble: Callable[..., Assembled]) -> Assembled:
    """As the shared one, without zstd, which these tools are too old for."""
    base = store([("etc", None), ("etc/os-release", b"ID=test\n", {"mtime": 7}), ("etc/old", b"old"), ("l", "->etc")])
    program = store([("usr", None), ("usr/tool", bytes(5000), {"mode": 0o755}), ("usr/same", "=>usr/tool")], TAR_GZIP)
    top = store([("etc", None), ("etc/.wh.old", b""), ("long/" * 25 + "\u00e9", b"new")])
    return assemble([base, program, top])


def run(*argv: str | Path) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


FORMS: dict[str, Callable[[Assembled, BlobStore, Path, str], object]] = {
    "oci": write_layout,
    "oci-archive": write_oci_archive,
    "docker-archive": write_docker_archive,
}


def reference(form: str, path: Path, tag: str) -> str:
    return f"{form}:{path}" + (f":{tag}" if tag else "")


@pytest.mark.parametrize("form", FORMS)
def test_skopeo_inspects_and_copies(image: Assembled, blobs: BlobStore, tmp_path: Path, form: str) -> None:
    path, tag = tmp_path / "written", "train:v1"
    FORMS[form](image, blobs, path, tag)
    source = reference(form, path, tag)
    assert json.loads(run("skopeo", "inspect", "--config", source))["rootfs"] == image.document["rootfs"]
    run("skopeo", "--insecure-policy", "copy", source, f"dir:{tmp_path / 'copy'}")


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_we_read_what_skopeo_writes(image: Assembled, blobs: BlobStore, tmp_path: Path, form: str) -> None:
    write_layout(image, blobs, tmp_path / "written", "v1")
    target = tmp_path / "copy"
    run("skopeo", "--insecure-policy", "copy", f"oci:{tmp_path / 'written'}:v1", reference(form, target, "x:v2"))
    ours = BlobStore(tmp_path / "ours" / "blobs", tmp_path / "ours" / "staging")
    read = read_layout if form == "oci" else read_archive
    _, found = read(target, "x:v2", AMD, ours)
    assert [layer.diff_id for layer in found.layers] == [layer.diff_id for layer in image.layers]
    assert found.document["config"] == image.document["config"]


def listing(root: Path) -> dict[str, tuple[int, str | bytes]]:
    found: dict[str, tuple[int, str | bytes]] = {}
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if path.is_symlink():
                content: str | bytes = os.readlink(path)
            else:
                content = path.read_bytes() if path.is_file() else ""
            found[str(path.relative_to(root))] = (mode, content)
    return found


def test_umoci_unpacks_the_same_tree(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    write_layout(image, blobs, tmp_path / "written", "v1")
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path / 'written'}:v1", tmp_path / "bundle")
    extract(image.layers, blobs, tmp_path / "ours")
    assert listing(tmp_path / "ours") == listing(tmp_path / "bundle" / "rootfs")


def test_what_umoci_changes_stays_valid(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    write_layout(image, blobs, tmp_path / "written", "v1")
    run("umoci", "config", "--image", f"{tmp_path / 'written'}:v1", "--tag", "v2", "--config.user", "nobody")
    assert len(validate_layout(tmp_path / "written")) == 2
    ours = BlobStore(tmp_path / "ours" / "blobs", tmp_path / "ours" / "staging")
    assert read_layout(tmp_path / "written", "v2", AMD, ours)[1].document["config"]["User"] == "nobody"


@pytest.mark.needs("podman")
@pytest.mark.parametrize("form", FORMS)
def test_podman_takes_every_form_and_knows_it_by_our_id(
    image: Assembled, blobs: BlobStore, tmp_path: Path, form: str
) -> None:
    FORMS[form](image, blobs, tmp_path / "written", "x:v1")
    with tempfile.TemporaryDirectory(prefix="p-") as runroot:  # podman takes no long one
        store = ["--root", str(tmp_path / "podman"), "--runroot", runroot, "--storage-driver", "vfs"]
        found = run("podman", *store, "pull", "--quiet", reference(form, tmp_path / "written", "x:v1"))
    assert found.strip() == image.image_id.removeprefix("sha256:")
