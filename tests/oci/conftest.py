"""Layers, images and archives made on the spot, with real tars and real blobs."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.image import Assembled, encode
from coopery.layer import TAR, TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.layout import write_layout

Store = Callable[..., Layer]


def make_tar(entries: Sequence[tuple[Any, ...]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of (path, content) pairs: bytes a file, ``->target`` a symlink, ``=>target`` a hard link, None a folder.

    A third element gives fields of the `tarfile.TarInfo`.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, content, *rest in entries:
            member = tarfile.TarInfo(path)
            data = b""
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, bytes):
                data, member.size = content, len(content)
            else:
                member.type = tarfile.SYMTYPE if content.startswith("->") else tarfile.LNKTYPE
                member.linkname = content[2:]
            for name, value in (rest[0] if rest else {}).items():
                setattr(member, name, value)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pack(data: bytes, media_type: str) -> bytes:
    if media_type == TAR_GZIP:
        return gzip.compress(data, 1, mtime=0)
    return zstandard.compress(data, 1) if media_type == TAR_ZSTD else data


@pytest.fixture
def tar() -> Callable[..., bytes]:
    return make_tar


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "home" / "images" / "blobs", tmp_path / "home" / "staging")


@pytest.fixture
def store(blobs: BlobStore) -> Store:
    """Put a tar, or the entries of one, into the blob store as a layer."""

    def put(content: bytes | Sequence[tuple[Any, ...]], media_type: str = TAR) -> Layer:
        data = content if isinstance(content, bytes) else make_tar(content)
        stored = pack(data, media_type)
        return Layer(_digest.of_bytes(data), blobs.put(stored), len(stored), media_type)

    return put


@pytest.fixture
def assemble() -> Callable[..., Assembled]:
    """An image of layers, with a config as `coopery.assemble` would write it."""

    def put(layers: Sequence[Layer], platform: str = "linux/amd64", **more: Any) -> Assembled:
        system, _, architecture = platform.partition("/")
        config = {
            "architecture": architecture,
            "os": system,
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": f"layer {number}"} for number, _ in enumerate(layers)],
            **more,
        }
        return Assembled(encode(config), tuple(layers))

    return put


@pytest.fixture
def image(store: Store, assemble: Callable[..., Assembled]) -> Assembled:
    """Three layers, one of each compression."""
    return assemble(
        [
            store([("etc", None), ("etc/os-release", b"ID=test\n"), ("etc/old", b"old")]),
            store([("usr", None), ("usr/bin", None), ("usr/bin/tool", b"\x7fELF" + bytes(5000))], TAR_GZIP),
            store([("etc", None), ("etc/.wh.old", b""), ("etc/new", b"new")], TAR_ZSTD),
        ]
    )


@pytest.fixture(scope="session")
def check_schema() -> Callable[[str, bytes], None]:
    """Check a document against the schema of that name in ``schemas/``."""
    folder = Path(__file__).parent / "schemas"
    schemas = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    registry = Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas.values())

    def check(name: str, document: bytes) -> None:
        Draft202012Validator(schemas[name], registry=registry).validate(json.loads(document))

    return check


@pytest.fixture
def ours(tmp_path: Path) -> BlobStore:
    """A second blob store, empty: where bases are brought to."""
    return BlobStore(tmp_path / "ours" / "images" / "blobs", tmp_path / "ours" / "staging")


@pytest.fixture
def layout(image: Assembled, blobs: BlobStore, tmp_path: Path) -> Path:
    write_layout(image, blobs, tmp_path / "layout", "v1")
    return tmp_path / "layout"
