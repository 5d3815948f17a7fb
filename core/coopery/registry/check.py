"""What a registry gives as a manifest or an index is believed only after this."""

from __future__ import annotations

from typing import Final

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci import descriptor as _descriptor
from coopery.oci import document, media
from coopery.oci.descriptor import Descriptor
from coopery.oci.document import Reader
from coopery.oci.manifest import parse_index

KNOWN: Final = media.MANIFESTS | media.INDEXES
_VAGUE: Final = frozenset({"", "application/json", "application/octet-stream", "text/plain"})
_OLD: Final = "application/vnd.docker.distribution.manifest.v1"


def check(data: bytes, content_type: str, stated: str, wanted: Digest | None, where: str) -> Descriptor:
    """The descriptor of a manifest or index.

    Args:
        data: the document as it came.
        content_type: header ``Content-Type``.
        stated: header ``Docker-Content-Digest``; empty where there was none.
        wanted: the digest that was asked for.
        where: for messages.

    Raises:
        IntegrityError: it is not what was asked for, or what the headers say; or could be read in two ways (a manifest
            and an index, a key twice); or one of its descriptors is malformed.
    """
    digest = _digest.of_bytes(data)
    if wanted is not None and digest != wanted:
        raise IntegrityError(f"{where}: expected {wanted}, got {digest} ({len(data)} bytes)")
    if stated.startswith("sha256:") and stated != digest:
        raise IntegrityError(f"{where}: stated as {stated}, but the bytes have the digest {digest}")
    reader = Reader(document.parse(data, where), f"{where}: $")
    media_type = _media_type(reader, content_type, where)
    if media_type in media.INDEXES:
        parse_index(data, media_type, where)
    else:
        _check_manifest(reader, f"{where}: $")
    return Descriptor(media_type, digest, len(data))


def _media_type(reader: Reader, content_type: str, where: str) -> str:
    """The header's word and the document's own must agree: each is what some program goes by."""
    header = content_type.partition(";")[0].strip().lower()
    if header.startswith(_OLD):
        raise IntegrityError(f"{where}: an image in a format of 2015 (schema 1), which no digest names")
    stated = "" if header in _VAGUE else header
    own = reader.text("mediaType", "")
    if stated and own and stated != own:
        reader.fail("mediaType", f"{stated}, as the header Content-Type says")
    found = own or stated
    if found not in KNOWN:
        raise IntegrityError(f"{where}: expected an image's manifest or index, got {found[:100] or 'no media type'}")
    return found


def _check_manifest(reader: Reader, where: str) -> None:
    """More than images have manifests (signatures, logs), so only what all of them share is looked at."""
    reader.whole("schemaVersion", 2, 2)
    if "manifests" in reader:
        reader.fail("manifests", "no such field: it could be read as a manifest and as an index")
    _descriptor.from_json(reader.get("config"), f"{where}.config")
    for number, value in enumerate(reader.items("layers")):
        _descriptor.from_json(value, f"{where}.layers[{number}]")
    if "subject" in reader:
        _descriptor.from_json(reader.get("subject"), f"{where}.subject")
