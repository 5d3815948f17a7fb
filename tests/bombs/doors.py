"""Each door through which a bomb could come, opened in a process of its own that says how it ended.

``python doors.py DOOR FOLDER`` prints the kind of error, and how much memory and time it took, as JSON. Bombs are made
before the clock starts, and in little memory, so that what is measured is ours.
"""

from __future__ import annotations

import bz2
import json
import lzma
import resource
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import zstandard

from coopery import Environment
from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import CooperyError
from coopery.layer import TAR_GZIP, TAR_ZSTD, Layer
from coopery.lock import Artifact

sys.path.insert(0, str(Path(__file__).parent.parent))
from soak import rounds

GIB = 1 << 30
PIECE = bytes(1 << 20)
Door = Callable[[], object]


def repeated(head: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    """A file of *head* and a GiB of zeros, as compressed members one after the other."""
    if pack in (xz, bz2.compress):  # one stream, as packages have it
        packer = lzma.LZMACompressor(preset=0) if pack is xz else bz2.BZ2Compressor(1)
        pieces = [packer.compress(head), *(packer.compress(PIECE) for _ in range(rounds(256, 1024)))]
        return b"".join((*pieces, packer.flush()))
    return pack(head) + pack(PIECE * 32) * (GIB >> 25)


def tar_head(name: str, size: int = GIB) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def gzipped(data: bytes) -> bytes:
    return zlib.compress(data, 9, wbits=31)


def xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzipped,
    "zst": zstandard.compress,
    "xz": xz,
}


# --- images ---------------------------------------------------------------------------------------


def _layer(folder: Path, data: bytes, media_type: str) -> tuple[Layer, BlobStore]:
    blobs = BlobStore(folder / "images" / "blobs", folder / "staging")
    return Layer(_digest.of_bytes(b"?"), blobs.put(data), len(data), media_type), blobs


def layer(folder: Path, kind: str) -> Door:
    from coopery.oci.extract import extract
    from coopery.oci.layers_view import LayersFiles

    media_type = {"gz": TAR_GZIP, "zst": TAR_ZSTD}[kind]
    made, blobs = _layer(folder, repeated(tar_head("zeros"), PACKED[kind]), media_type)
    with suppress(CooperyError):
        LayersFiles([made], blobs).listdir("/")
    return lambda: extract([made], blobs, folder / "tree")


def rootfs(folder: Path, kind: str) -> Door:
    from coopery.oci.rootfs import read_rootfs

    path = folder / "rootfs.tar"
    path.write_bytes(repeated(tar_head("zeros"), PACKED[kind]))
    return lambda: read_rootfs(path, "linux/amd64", BlobStore(folder / "blobs", folder / "staging"))


def archive(folder: Path, kind: str) -> Door:
    from coopery.oci.archive import read_archive

    path = folder / "image.tar"
    path.write_bytes(repeated(tar_head("index.json"), PACKED[kind]))
    return lambda: read_archive(path, "", "linux/amd64", BlobStore(folder / "blobs", folder / "staging"))


def million_files(folder: Path) -> Door:
    from coopery.oci.extract import extract

    members = b"".join(tarfile.TarInfo(f"usr/lib/file{n}").tobuf(tarfile.USTAR_FORMAT) for n in range(10_000))
    made, blobs = _layer(folder, gzipped(members) * 100, TAR_GZIP)
    return lambda: extract([made], blobs, folder / "tree")


# --- packages -------------------------------------------------------------------------------------


def wheel(folder: Path) -> Door:
    from coopery.settings import Settings
    from coopery.target import Facts, Provided, Resolved
    from coopery_pip import tree

    path = folder / "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made, made.open("pkg/x", "w") as stream:
        for _ in range(GIB // len(PIECE)):
            stream.write(PIECE)
    digest = sha256(path.read_bytes()).hexdigest()
    found = Artifact("pip", "pkg", "1.0", "", "", path.name, "pypi", digest, path.stat().st_size)
    shop = _workshop(folder, Settings(home=folder / "home"))
    target = Resolved("linux/amd64", "/opt/env", _digest.of_bytes(b""), Facts(), glibc="2.36", bytecode=False)
    python = Provided("3.11.4", "/opt/env/bin/python3.11", "/opt/env/lib/python3.11/site-packages")
    return lambda: [list(one.entries()) for one in tree.trees(shop, [(found, path)], target, python)]


def _workshop(folder: Path, settings: Any) -> Any:
    from coopery.backend import Workshop

    home = folder / "home"

    def no_source(name: str) -> Any:
        raise AssertionError(name)

    return Workshop(home, home / "staging", BlobStore(home / "blobs", home / "staging"), settings, no_source, print)


def deb(folder: Path, kind: str) -> Door:
    from coopery_debian.unpack import unpack

    def members(*found: tuple[str, bytes]) -> bytes:
        out = b"!<arch>\n"
        for name, data in found:
            out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
            out += b"\n" * (len(data) % 2)
        return out

    text = b"Package: hello\nVersion: 1.0\n"
    control = tar_head("./control", len(text)) + text + bytes(-len(text) % 512) + bytes(1024)
    path = folder / "hello.deb"
    path.write_bytes(
        members(
            ("debian-binary", b"2.0\n"),
            (f"control.tar.{kind}", PACKED[kind](control)),
            (f"data.tar.{kind}", repeated(tar_head("./zeros"), PACKED[kind])),
        )
    )
    (folder / "scratch").mkdir()
    return lambda: list(unpack(path, "hello", folder / "scratch"))


def conda(folder: Path, kind: str) -> Door:
    from conda.desk import make_desk
    from conda.maker import Channel
    from coopery.target import Facts, Resolved

    channel = Channel(folder / "channel")
    path = channel.add("bomb", old=kind == "tar.bz2")
    index = path.parent / "repodata.json"
    before = path.read_bytes()
    payload = repeated(tar_head("share/zeros"), bz2.compress if kind == "tar.bz2" else PACKED["zst"])
    if kind == "tar.bz2":
        path.write_bytes(payload)
    else:
        with zipfile.ZipFile(path) as was:
            kept = {name: was.read(name) for name in was.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
            for name, data in kept.items():
                made.writestr(name, payload if name.startswith("pkg-") else data)
    after = path.read_bytes()
    text = index.read_text().replace(sha256(before).hexdigest(), sha256(after).hexdigest())
    index.write_text(text.replace(f'"size": {len(before)}', f'"size": {len(after)}'))
    target = Resolved("linux/amd64", "/opt/env", _digest.of_bytes(b""), Facts(), glibc="2.36", bytecode=False)

    def fetch() -> object:
        with make_desk(folder) as desk:
            return desk.trees("bomb", target=target)

    return fetch


# --- documents ------------------------------------------------------------------------------------

ALIASES = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000


def definition(folder: Path, text: str) -> Door:
    path = folder / "environment.yaml"
    path.write_text(text)
    return lambda: Environment.load(path)


def manifest(_folder: Path) -> Door:
    from coopery.oci.manifest import parse_manifest
    from coopery.oci.media import MANIFEST

    return lambda: parse_manifest(DEEP.encode(), MANIFEST, "x")


def lock_file(folder: Path, text: str) -> Door:
    from coopery.lockfile import read

    path = folder / "environment.lock"
    path.write_text(text)
    return lambda: read(path)


def other_lock(folder: Path, name: str, text: str) -> Door:
    from coopery.formats import read
    from coopery.formats.imported import Wanted

    path = folder / name
    path.write_text(text)
    return lambda: read(path, Wanted("linux/amd64"))


def settings(folder: Path) -> Door:
    from coopery.settings import load

    path = folder / ".config" / "coopery" / "settings.toml"
    path.parent.mkdir(parents=True)
    path.write_text("a = " + "[" * 100_000 + "]" * 100_000)
    return lambda: load({"HOME": str(folder)}, folder, system=folder / "none")


DOORS: dict[str, Callable[[Path], Door]] = {
    **{f"layer, {kind}": lambda folder, kind=kind: layer(folder, kind) for kind in ("gz", "zst")},
    **{f"rootfs, {kind}": lambda folder, kind=kind: rootfs(folder, kind) for kind in ("gz", "zst")},
    **{f"archive, {kind}": lambda folder, kind=kind: archive(folder, kind) for kind in ("gz", "zst")},
    **{f"deb, {kind}": lambda folder, kind=kind: deb(folder, kind) for kind in ("gz", "zst", "xz")},
    "wheel": wheel,
    **{f"conda package, {kind}": lambda folder, kind=kind: conda(folder, kind) for kind in ("conda", "tar.bz2")},
    "a million files": million_files,
    "definition, aliases": lambda folder: definition(folder, f"base: scratch\n{ALIASES}"),
    "definition, deep": lambda folder: definition(folder, DEEP),
    "manifest, deep": manifest,
    "lock file, aliases": lambda folder: lock_file(folder, ALIASES),
    "lock file, deep": lambda folder: lock_file(folder, DEEP),
    "conda-lock, aliases": lambda folder: other_lock(folder, "conda-lock.yml", f"version: 1\n{ALIASES}"),
    "pixi lock, deep": lambda folder: other_lock(folder, "pixi.lock", f"version: 6\npackages: {DEEP}"),
    "settings, deep": settings,
}


def main(name: str, folder: Path) -> None:
    """Open one door."""
    door = DOORS[name](folder)
    started, ended = time.process_time(), "nothing was refused"
    try:
        door()
    except CooperyError as exc:
        ended = "refused"
        text = str(exc)
    except BaseException as exc:  # what else ends it is what the test is about
        ended = text = repr(exc)
    else:
        text = ""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    written = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    found = {"ended": ended, "text": text[:300], "rss": usage.ru_maxrss << 10, "written": written}
    print(json.dumps(found | {"seconds": time.process_time() - started}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
