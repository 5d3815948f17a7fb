"""What the samples stand on, made in a folder of the moment: bases, channels, an index; and the samples beside them."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[1]))
import parts
from conda.maker import Channel, text
from coopery import platform
from coopery.blobs import BlobStore
from coopery.image import Assembled, encode
from coopery.oci.layout import Layout
from coopery.oci.rootfs import read_rootfs
from coopery.testing.backend.root import root_tar
from pip_wheels.wheels import make

LIBRARIES = ("libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1")
SAMPLES = Path(__file__).parent / "samples"
CUDA = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=tesla,driver>=535,driver<536",
}
"""As NVIDIA's own CUDA images have it in their config."""


@frozen
class World:
    """Where things are: ``samples``, one folder each with all that it names; ``channels`` and ``index`` as settings."""

    samples: Path
    channels: dict[str, str]
    index: str


def lay_out(folder: Path) -> World:
    """Make everything below *folder*."""
    shutil.copytree(SAMPLES, folder / "samples", symlinks=True)
    (folder / "base.tar").write_bytes(base())
    (folder / "linked.tar").write_bytes(linked(base()))
    cuda(folder)
    for sample in (folder / "samples").iterdir():
        for name in ("base.tar", "linked.tar", "cuda"):
            if name in (sample / "environment.yaml").read_text(encoding="utf-8"):
                (shutil.copytree if name == "cuda" else shutil.copy)(folder / name, sample / name)
    shutil.copy(folder / "base.tar", folder / "samples" / "dockerfile" / "context" / "base.tar")
    clashing(folder / "clashing")
    index(folder / "simple")
    science = (parts.REPOSITORY / "build" / "channel").as_uri()
    channels = {"science": science, "clashing": (folder / "clashing").as_uri()}
    return World(folder / "samples", channels, (folder / "simple").as_uri())


def base() -> bytes:
    """The kit's small base, with those parts of the C library that a Python needs."""
    found = subprocess.run(["ldd", shutil.which("sh") or "/bin/sh"], capture_output=True, text=True, check=True).stdout
    library = Path(next(word for word in found.split() if word.endswith("/libc.so.6")))
    stream = io.BytesIO(root_tar())
    with tarfile.open(fileobj=stream, mode="a") as tar:
        for name in LIBRARIES:
            data = library.with_name(name).read_bytes()
            member = tarfile.TarInfo(f"usr/lib/{library.parent.name}/{name}")
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def linked(plain: bytes) -> bytes:
    """*plain* with /opt as a symlink to a folder elsewhere that holds something."""
    stream = io.BytesIO(plain)
    with tarfile.open(fileobj=stream, mode="a") as tar:
        for path, mode in (("data", 0o755), ("data/opt", 0o755)):
            member = tarfile.TarInfo(path)
            member.type, member.mode = tarfile.DIRTYPE, mode
            tar.addfile(member)
        link = tarfile.TarInfo("opt")
        link.type, link.linkname = tarfile.SYMTYPE, "data/opt"
        tar.addfile(link)
        kept = tarfile.TarInfo("data/opt/kept")
        kept.size = len(b"kept\n")
        tar.addfile(kept, io.BytesIO(b"kept\n"))
    return stream.getvalue()


def cuda(folder: Path) -> None:
    """The base as a layout whose config says what NVIDIA's images say."""
    staging = folder / "staging"
    layout = Layout(folder / "cuda", staging)
    blobs = BlobStore(folder / "cuda" / "blobs", staging)
    image = read_rootfs(folder / "base.tar", platform.of_host(), blobs)
    document = image.document
    document["config"] = {**(document.get("config") or {}), "Env": [f"{name}={value}" for name, value in CUDA.items()]}
    layout.add(Assembled(encode(document), image.layers), "base")


def clashing(folder: Path) -> None:
    """Three packages that have paths in common, and one that needs another's."""
    channel = Channel(folder)
    channel.add("first", {"share/both": text("first\n"), "lib/who": text("first at @PREFIX@\n")}, noarch="generic")
    tool = text("#!/bin/sh\necho tool of second\n", 0o755)
    second = {"share/both": text("second\n"), "share/both-again": text("second\n"), "bin/tool": tool}
    channel.add("second", second, depends=["first"], noarch="generic")
    third = {"share/both-again": text("third\n"), "lib/who": text("third at @PREFIX@\n")}
    channel.add("third", third, noarch="generic")


def index(folder: Path) -> None:
    """A package index that is a folder, with one wheel."""
    page = folder / "sample"
    page.mkdir(parents=True)
    code = "import sys\n\n\ndef main():\n    print(sys.argv[1:], sys.prefix)\n"
    artifact, path = make(
        page, {"sample.py": code}, name="sample", entry_points="[console_scripts]\nsample = sample:main\n"
    )
    line = f'<a href="{path.name}#sha256={artifact.sha256}">{path.name}</a>'
    (page / "index.html").write_text(line, encoding="utf-8")
