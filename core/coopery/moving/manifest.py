"""What a bundle says of itself: ``coopery/bundle.json``, and records as JSON. Read strictly: one reading, or none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from coopery import digest as _digest
from coopery import encoding, key, records
from coopery.cache import Kind, Record
from coopery.digest import Digest
from coopery.errors import IntegrityError, UsageError
from coopery.image import encode
from coopery.moving.cargo import BLOBS, FILES, RECORDS, TREES, Cargo, Carried, History, Part
from coopery.oci import document
from coopery.oci.descriptor import MAX_SIZE, Descriptor
from coopery.oci.document import Reader
from coopery.oci.manifest import make_index
from coopery.oci.media import MANIFESTS, REF_NAME
from coopery.oci.reference import check_ref_name
from coopery.platform import KNOWN
from coopery.stores.rows import named

NAME: Final = "coopery/bundle.json"
_VERSION: Final = 1
_LONGEST: Final = 512


def encode_cargo(cargo: Cargo) -> bytes:
    """The document that lists everything in *cargo*.

    Raises:
        IntegrityError: it would be longer than readers take.
    """
    data = encode(
        {
            "version": _VERSION,
            "images": [_image_to_json(image) for image in cargo.images],
            "parts": {part.name: [part.digest, part.size] for part in cargo.parts},
        }
    )
    if len(data) > document.MAX_BYTES:
        raise IntegrityError(
            f"{len(cargo.parts)} blobs, records and packages are more than one bundle lists",
            remedy="make several: name the keys of each",
        )
    return data


def decode_cargo(data: bytes, where: str) -> Cargo:
    """The cargo that *data* lists, without histories and content.

    Raises:
        IntegrityError: damaged, or of another version.
    """
    reader = Reader(document.parse(data, where), f"{where}: $")
    reader.whole("version", _VERSION, _VERSION)
    images = tuple(_image(Reader(one, f"{where}: $.images[{n}]")) for n, one in enumerate(reader.items("images")))
    listed = reader.get("parts")
    if not isinstance(listed, dict):
        reader.fail("parts", "an object")
    return Cargo(images=images, parts=tuple(_part(name, listed[name], where) for name in sorted(listed)))


def index(images: Iterable[Carried]) -> bytes:
    """The ``index.json`` of a layout that lists *images*."""
    return make_index(entry for image in images if image.listed for entry in entries(image))


def entries(image: Carried) -> list[dict[str, Any]]:
    """The entries of *image* in an index: one for each tag."""
    names: Iterable[tuple[tuple[str, str], ...]] = [((REF_NAME, tag),) for tag in image.tags] or [()]
    return [Descriptor(image.media_type, image.manifest, image.size, image.platform, name).to_json() for name in names]


def encode_record(record: Record) -> bytes:
    """*record* as JSON."""
    return encode(named(record))


def decode_record(data: bytes, where: str) -> Record:
    """The record that *data* is; one whose key is not that of what it was computed from is none.

    Raises:
        IntegrityError: damaged, or no record.
    """
    reader = Reader(document.parse(data, where), f"{where}: $")
    kind, name = reader.text("kind"), reader.text("name")
    if kind not in ("resolution", "placement") or not 0 < len(name) <= _LONGEST or not name.isprintable():
        raise IntegrityError(f"{where}: {kind[:20]!r} {name[:80]!r} is no record")
    body, written = reader.get("body"), reader.get("written")
    if not isinstance(body, dict) or not isinstance(written, int | float) or not math.isfinite(written):
        raise IntegrityError(f"{where}: a field of the record {name[:80]!r} is of another type")
    generation = reader.whole("generation", 1, 1 << 53)
    record = Record(cast(Kind, kind), name, generation, body, reader.text("writer", ""), float(written))
    (_check_resolution if kind == "resolution" else _check_placement)(record, where)
    return record


def histories(read: Iterable[Record], where: str) -> tuple[History, ...]:
    """*read*, by name and generation.

    Raises:
        IntegrityError: a generation twice.
    """
    found: dict[tuple[str, str], dict[int, Record]] = {}
    for record in read:
        one = found.setdefault((record.kind, record.name), {})
        if record.generation in one:
            raise IntegrityError(f"{where}: generation {record.generation} of {record.name[:80]!r} is there twice")
        one[record.generation] = record
    return tuple(tuple(one[number] for number in sorted(one)) for _, one in sorted(found.items()))


def _check_resolution(record: Record, where: str) -> None:
    known = records.resolution(record)
    try:
        if known is None:
            raise ValueError("a field is missing or of another type")
        for digest in (known.image, known.base, *(d for layer in known.layers for d in (layer.digest, layer.diff_id))):
            _digest.parse(digest)
        if encoding.digest(key.KEY_TAG, known.identity) != known.key:
            raise ValueError("its key is not that of what it was computed from")
    except (ValueError, TypeError) as exc:
        raise IntegrityError(f"{where}: the record {record.name[:80]!r} is refused: {exc}") from exc


def _check_placement(record: Record, where: str) -> None:
    placed = records.placement(record)
    try:
        if placed is None or not isinstance(placed.place, str) or not isinstance(placed.size, int):
            raise ValueError("a field is missing or of another type")
        _digest.parse(placed.digest)
        image, _, place = record.name.partition("@")
        _digest.parse(image)
        if place != placed.place:
            raise ValueError("its name has another place")
    except (ValueError, TypeError) as exc:
        raise IntegrityError(f"{where}: the record {record.name[:80]!r} is refused: {exc}") from exc


def _image_to_json(image: Carried) -> dict[str, Any]:
    return {
        "manifest": image.manifest,
        "mediaType": image.media_type,
        "size": image.size,
        "image": image.image,
        "platform": image.platform,
        "tags": list(image.tags),
        "listed": image.listed,
    }


def _image(reader: Reader) -> Carried:
    tags = reader.items("tags")
    if not all(isinstance(tag, str) and _is_tag(tag) for tag in tags):
        reader.fail("tags", "tags of a layout")
    if not isinstance(listed := reader.get("listed"), bool):
        reader.fail("listed", "true or false")
    media_type, platform = reader.text("mediaType"), reader.text("platform")
    if media_type not in MANIFESTS:
        reader.fail("mediaType", "a manifest's")
    if platform not in KNOWN:
        reader.fail("platform", "one that images are made for")
    return Carried(
        manifest=_parsed(reader, "manifest"),
        media_type=media_type,
        size=reader.whole("size", 1, document.MAX_BYTES),
        image=_parsed(reader, "image"),
        platform=platform,
        tags=tuple(tags),
        listed=listed,
    )


def _is_tag(text: str) -> bool:
    try:
        return check_ref_name(text) == text
    except UsageError:
        return False


def _parsed(reader: Reader, field: str) -> Digest:
    try:
        return _digest.parse(reader.text(field))
    except ValueError as exc:
        raise IntegrityError(f"{field}: {exc}") from exc


def _part(name: str, value: Any, where: str) -> Part:
    """One line of ``parts``; its name must be one that we would give it."""
    try:
        text, size = value
        digest = _digest.parse(text)
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
            raise ValueError(f"no size: {size!r}")
    except (TypeError, ValueError) as exc:
        raise IntegrityError(f"{where}: part {name[:80]!r}: {exc}") from exc
    if name not in _names(digest) and not _inside(name):
        raise IntegrityError(f"{where}: part {name[:80]!r} has a name that no part of a bundle has")
    return Part(name, digest, size)


def _names(digest: Digest) -> tuple[str, str]:
    return f"{BLOBS}{_digest.hex_of(digest)}", f"{RECORDS}{_digest.hex_of(digest)}.json"


def _inside(name: str) -> bool:
    """Whether *name* is that of a file or tree. Whether a shelf here keeps such a thing is seen when it lands."""
    for prefix in (FILES, TREES):
        if name.startswith(prefix):
            rest = name.removeprefix(prefix).split("/")
            return len(name) <= _LONGEST and name.isprintable() and all(part.strip(".") for part in rest)
    return False


def parts_of(read: Iterable[Record]) -> Mapping[str, Part]:
    """*read* as parts, by name."""
    made: dict[str, Part] = {}
    for record in read:
        data = encode_record(record)
        digest = _digest.of_bytes(data)
        name = f"{RECORDS}{_digest.hex_of(digest)}.json"
        made[name] = Part(name, digest, len(data), data)
    return made
