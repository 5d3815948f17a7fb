"""A Debian archive in a folder: real debs, real indexes, a real signature, three packages instead of 60,000."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import zstandard
from attrs import define, field, frozen

from debian.openpgp import Signer

PACK = {
    "": bytes,
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".gz": lambda data: gzip.compress(data, 9, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}


@frozen
class Item:
    """One member of a tar: bytes make a file, None a directory; ``link`` a symlink, ``hard`` a hard link."""

    name: str
    data: bytes | None = None
    mode: int = 0o644
    link: str = ""
    hard: str = ""
    uid: int = 0
    gid: int = 0
    kind: bytes = b""


def tar(items: Iterable[Item]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for item in items:
            info = tarfile.TarInfo(item.name)
            info.mode, info.uid, info.gid = item.mode, item.uid, item.gid
            data = item.data or b""
            if item.kind:
                info.type = item.kind
            elif item.link:
                info.type, info.linkname = tarfile.SYMTYPE, item.link
            elif item.hard:
                info.type, info.linkname = tarfile.LNKTYPE, item.hard
            elif item.data is None:
                info.type, info.mode = tarfile.DIRTYPE, item.mode if item.mode != 0o644 else 0o755
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def deb(control: str, items: Iterable[Item], suffix: str = ".xz") -> bytes:
    files = [
        Item("./control", control.encode()),
        Item("./md5sums", b""),
        Item("./postinst", b"#!/bin/sh\nexit 1\n", 0o755),
    ]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{suffix}", PACK[suffix](tar([Item("./"), *files]))),
            (f"data.tar{suffix}", PACK[suffix](tar([Item("./"), *items]))),
        ]
    )


@define
class Miniature:
    """The archive at *root*; ``publish`` writes what `add` collected."""

    root: Path
    signer: Signer
    suite: str = "bookworm"
    architecture: str = "amd64"
    release_fields: dict[str, str] = field(factory=dict)
    stanzas: list[str] = field(factory=list)

    @property
    def url(self) -> str:
        return self.root.as_uri()

    @property
    def in_release(self) -> Path:
        return self.root / "dists" / self.suite / "InRelease"

    def add(
        self,
        name: str,
        items: Iterable[Item] = (),
        version: str = "1.0",
        fields: Mapping[str, str] | None = None,
        suffix: str = ".xz",
        data: bytes | None = None,
    ) -> Path:
        """Add one package; *data* is taken as its file as it stands. Returns where it is."""
        control = f"Package: {name}\nVersion: {version}\nArchitecture: {self.architecture}\n"
        control += "".join(f"{key}: {value}\n" for key, value in (fields or {}).items())
        content = deb(control, items, suffix) if data is None else data
        file_name = f"pool/main/{name}_{version.replace(':', '%3a')}_{self.architecture}.deb"
        path = self.root / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        self.stanzas.append(f"{control}Filename: {file_name}\nSize: {len(content)}\nSHA256: {sha256}\n")
        return path

    def publish(self, index: bytes | None = None) -> None:
        packages = "\n".join(self.stanzas).encode() if index is None else index
        folder = self.root / "dists" / self.suite
        listed = [f"main/binary-{self.architecture}/Packages.xz"]
        data = lzma.compress(packages, preset=0)
        for path in listed:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        fields = {
            "Origin": "Miniature",
            "Suite": "stable",
            "Codename": self.suite,
            "Architectures": self.architecture,
            "Components": "main",
            **self.release_fields,
        }
        text = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
        text += "SHA256:\n" + "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path in listed)
        self.in_release.write_bytes(self.signer.clear_sign(text))
