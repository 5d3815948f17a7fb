"""Descriptors: media type, digest and size of a blob. Source: OCI image spec v1.1, descriptor.md."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci.document import Reader

MAX_SIZE: Final = (1 << 63) - 1

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


@frozen
class Descriptor:
    """Where a blob is found, and how it is known to be that blob.

    Attributes:
        media_type: what the bytes are.
        digest: sha256 of them; no other algorithm is read.
        size: bytes.
        platform: ``linux/amd64``, in an index; empty where it does not say.
        annotations: sorted pairs.
    """

    media_type: str
    digest: Digest
    size: int
    platform: str = ""
    annotations: tuple[tuple[str, str], ...] = ()

    def annotation(self, name: str) -> str:
        """The annotation *name*, or an empty string."""
        return dict(self.annotations).get(name, "")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as the spec has it; what is empty is left out."""
        document: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            system, _, architecture = self.platform.partition("/")
            document["platform"] = {"architecture": architecture, "os": system}
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document


def from_json(value: Any, where: str) -> Descriptor:
    """Read one descriptor.

    Raises:
        IntegrityError: a field is absent, of another type, out of range, or the digest is not lower-case sha256.
    """
    reader = Reader(value, where)
    text = reader.text("digest")
    try:
        digest = _digest.parse(text)
    except ValueError as exc:
        raise IntegrityError(f"{where}.digest: {exc}") from exc
    return Descriptor(
        media_type=media_type(reader),
        digest=digest,
        size=reader.whole("size", 0, MAX_SIZE),
        platform=_platform(reader),
        annotations=tuple(sorted(reader.texts("annotations").items())),
    )


def media_type(reader: Reader) -> str:
    """The field ``mediaType``, by RFC 6838's grammar."""
    text = reader.text("mediaType")
    if not _MEDIA_TYPE.fullmatch(text):
        reader.fail("mediaType", "a media type")
    return text


def _platform(reader: Reader) -> str:
    # The variant is left out: no two of the platforms that we make differ in it alone, and Docker writes v8 for
    # every arm64 image where others write nothing.
    if "platform" not in reader:
        return ""
    platform = reader.at("platform")
    return f"{platform.text('os')}/{platform.text('architecture')}"
