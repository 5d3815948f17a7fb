"""Layouts as bases whose tag names an index: images for several platforms, or with attestations beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from coopery import Builder, Environment, digest
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.oci import media
from coopery.oci.archive import leads_to
from coopery.seal import seal
from coopery.snapshots import base as bases

PLATFORM = "linux/amd64"


def put(layout: Path, document: dict, media_type: str, **more: object) -> dict:
    data = encode(document)
    name = digest.of_bytes(data)
    (layout / "blobs" / "sha256" / digest.hex_of(name)).write_bytes(data)
    return {"mediaType": media_type, "digest": name, "size": len(data), **more}


def nest(layout: Path, depth: int) -> Digest:
    """Put the only image of *layout* into indexes, with an attestation, as BuildKit writes it; the outer's digest."""
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    kept = entry.pop("annotations")
    statement = put(layout, {"a": "statement"}, "application/vnd.in-toto+json")
    attestation = {"schemaVersion": 2, "mediaType": media.MANIFEST, "config": statement, "layers": [statement]}
    unknown = {"architecture": "unknown", "os": "unknown"}
    beside = put(layout, attestation, media.MANIFEST, platform=unknown)
    for _ in range(depth):
        entry = put(layout, {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [entry, beside]}, media.INDEX)
    (layout / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [{**entry, "annotations": kept}]}))
    return digest.parse(entry["digest"])


@pytest.fixture
def layout(builder: Builder, tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("content\n")
    document = {"base": {"scratch": True}, "steps": [{"copy": "file", "to": "/file"}]}
    builder.export(builder.build(Environment.from_dict(document, tmp_path)), f"oci:{tmp_path / 'layout'}:v1")
    return tmp_path / "layout"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    with Builder(home=tmp_path / "home", backend="oci") as made:
        yield made


@pytest.mark.parametrize("depth", [1, 2])
def test_the_platforms_image_is_the_base(builder: Builder, layout: Path, depth: int) -> None:
    plain = builder.build(Environment.from_dict({"base": {"layout": "layout"}}, layout.parent))
    nest(layout, depth)
    environment = Environment.from_dict({"base": {"layout": "layout", "tag": "v1"}}, layout.parent)
    image = builder.build(environment)
    assert (image.id, image.key != plain.key) == (plain.id, True)
    assert builder.build(environment).hit


def test_another_index_than_the_key_names_is_refused(builder: Builder, layout: Path) -> None:
    environment = Environment.from_dict({"base": {"layout": "layout"}}, layout.parent)
    sealed = seal(environment).base
    named = nest(layout, 1)
    workshop = builder.workshop(builder.emit)
    found = bases.fetch(workshop, sealed, PLATFORM, "oci")  # the manifest that the key names is there as before
    assert found.digest == sealed.content
    assert leads_to(layout, named, PLATFORM, found.digest)
    assert not leads_to(layout, named, "linux/arm64", found.digest)
    for other in (digest.of_bytes(b"gone"), found.digest):
        assert not leads_to(layout, other, PLATFORM, found.digest)
    with pytest.raises(IntegrityError, match="changed since the key was made"):
        bases.fetch(workshop, evolve(sealed, content=digest.of_bytes(b"gone")), PLATFORM, "oci")
