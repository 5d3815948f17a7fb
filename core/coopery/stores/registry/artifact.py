"""One record as an artifact: a manifest that carries it, so that who has the manifest needs no second request.

The record is JSON, gzipped, in one blob; its descriptor embeds the blob (field ``data``) where it is small. Source: OCI
image spec v1.1, manifest.md, "Guidelines for Artifact Usage"; descriptor.md, "Embedded Content".
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from typing import Any, Final

from attrs import frozen

from coopery import digest as _digest
from coopery.cache import Kind, Record
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.oci import descriptor as _descriptor
from coopery.oci import document, media
from coopery.oci.descriptor import Descriptor
from coopery.stores.rows import LIMIT, NAMED, named, pack

RECORD: Final = "application/vnd.coopery.record.v1"
RECORD_BLOB: Final = "application/vnd.coopery.record.v1+gzip"
EMPTY: Final = b"{}"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"

_EMBEDDED: Final = 1 << 20
"""Bytes of the largest blob that is embedded: with base64 around it the manifest stays well below 4 MiB."""

_MOST: Final = LIMIT + 4096


@frozen
class Artifact:
    """A manifest and the one blob that it needs; the empty config is `EMPTY`."""

    manifest: bytes
    blob: bytes

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return _digest.of_bytes(self.manifest)


def of_record(record: Record) -> Artifact:
    """*record* as an artifact.

    Raises:
        CacheError: it holds something that JSON cannot, or is too large.
    """
    data, _ = pack(named(record), record.kind, record.name)
    blob = gzip.compress(data, 6, mtime=0)
    said = {"dev.coopery.kind": record.kind, "dev.coopery.name": record.name[:256], "dev.coopery.writer": record.writer}
    return of_blob(blob, RECORD, RECORD_BLOB, said)


def of_blob(
    blob: bytes,
    artifact_type: str,
    media_type: str,
    annotations: dict[str, str],
    subject: Descriptor | None = None,
    *,
    embed: bool = True,
) -> Artifact:
    """*blob* as an artifact, which refers to *subject* where that is given."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media.MANIFEST,
        "artifactType": artifact_type,
        "config": _described(EMPTY_TYPE, EMPTY),
        "layers": [_described(media_type, blob, embed=embed)],
        "annotations": {name: _text(value) for name, value in annotations.items() if value},
    }
    if subject is not None:
        manifest["subject"] = subject.to_json()
    return Artifact(encode(manifest), blob)


def layer(manifest: bytes, artifact_type: str, where: str) -> tuple[Descriptor, bytes | None]:
    """The one blob that *manifest* is about, with its bytes where they are embedded, checked by its digest.

    Raises:
        IntegrityError: it is no artifact of that type, or is damaged.
    """
    reader = document.Reader(document.parse(manifest, where), f"{where}: $")
    if reader.text("artifactType", "") != artifact_type:
        reader.fail("artifactType", artifact_type)
    layers = reader.items("layers")
    if len(layers) != 1:
        reader.fail("layers", "one blob")
    found = _descriptor.from_json(layers[0], f"{where}: $.layers[0]")
    text = document.Reader(layers[0], f"{where}: $.layers[0]").text("data", "")
    if not text:
        return found, None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise IntegrityError(f"{where}: $.layers[0].data: no base64") from exc
    return found, checked(data, found, where)


def checked(data: bytes, wanted: Descriptor, where: str) -> bytes:
    """*data*, if it is what *wanted* describes.

    Raises:
        IntegrityError: it is not.
    """
    if len(data) != wanted.size or _digest.of_bytes(data) != wanted.digest:
        raise IntegrityError(f"{where}: expected {wanted.digest} of {wanted.size} bytes, got {len(data)} others")
    return data


def to_record(blob: bytes, kind: Kind, where: str) -> Record:
    """The record of that *kind* in *blob*.

    Raises:
        IntegrityError: it is none.
    """
    fields = _fields(unzipped(blob, where), where)
    sound = fields.keys() == NAMED and fields["kind"] == kind and isinstance(fields["body"], dict)
    texts = sound and all(isinstance(fields[name], str) for name in ("name", "writer"))
    numbers = texts and type(fields["generation"]) is int and type(fields["written"]) in (int, float)
    if not numbers or fields["generation"] < 1:
        raise IntegrityError(f"{where}: no record of kind {kind}")
    return Record(**fields)


def unzipped(data: bytes, where: str) -> bytes:
    """What is gzipped in *data*, within bounds.

    Raises:
        IntegrityError: nothing is, or too much.
    """
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(data, _MOST)
    except zlib.error as exc:
        raise IntegrityError(f"{where}: damaged: {exc}") from exc
    if not unpacking.eof or unpacking.unused_data:
        raise IntegrityError(f"{where}: cut short, followed by something else, or over {_MOST} bytes")
    return text


def _fields(data: bytes, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise IntegrityError(f"{where}: no JSON") from exc
    if not isinstance(fields, dict):
        raise IntegrityError(f"{where}: no JSON object")
    return fields


def _described(media_type: str, data: bytes, *, embed: bool = True) -> dict[str, Any]:
    described = Descriptor(media_type, _digest.of_bytes(data), len(data)).to_json()
    if embed and len(data) <= _EMBEDDED:
        described["data"] = base64.b64encode(data).decode()
    return described


def _text(value: str) -> str:
    """*value* as JSON for every reader can hold it."""
    return value.encode(errors="replace").decode()
