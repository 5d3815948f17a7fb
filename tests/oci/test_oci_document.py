"""Strict JSON, and the documents that two readers could understand differently."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import IntegrityError
from coopery.oci import media
from coopery.oci.config import parse_config
from coopery.oci.document import MAX_DEPTH, parse, parse_array
from coopery.oci.manifest import parse_index, parse_manifest

D = "sha256:" + "a" * 64
BLOB: dict[str, Any] = {"mediaType": media.CONFIG, "digest": D, "size": 2}
LAYER: dict[str, Any] = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": D, "size": 2}
GOOD: dict[str, Any] = {"schemaVersion": 2, "mediaType": media.MANIFEST, "config": BLOB, "layers": [LAYER]}


def manifest(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


CRAFTED = {
    "manifests and layers in one": manifest(manifests=[]),
    "another media type than its descriptor's": manifest(mediaType=media.INDEX),
    "schema 1": manifest(schemaVersion=1),
    "schema version as a float": manifest(schemaVersion=2.0),
    "schema version as a boolean": manifest(schemaVersion=True),
    "a key given twice": manifest()[:-1] + b',"layers":[]}',
    "a key given twice, escaped": manifest()[:-1] + b',"l\\u0061yers":[]}',
    "a key given twice, deep inside": manifest().replace(b'"size": 2', b'"size": 2, "size": 3', 1),
    "upper-case hex": manifest(config={**BLOB, "digest": "sha256:" + "A" * 64}),
    "another algorithm": manifest(config={**BLOB, "digest": "sha512:" + "a" * 128}),
    "a digest with a line end": manifest(config={**BLOB, "digest": D + "\n"}),
    "a digest that is a path": manifest(config={**BLOB, "digest": "sha256:../../../../etc/passwd"}),
    "negative size": manifest(layers=[{**LAYER, "size": -1}]),
    "huge size": manifest(layers=[{**LAYER, "size": 1 << 63}]),
    "size as a float": manifest(layers=[{**LAYER, "size": 2.0}]),
    "size as text": manifest(layers=[{**LAYER, "size": "2"}]),
    "size of ten thousand digits": manifest().replace(b'"size": 2', b'"size": ' + b"9" * 10_000, 1),
    "a layer from elsewhere": manifest(
        layers=[{**LAYER, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]
    ),
    "no layers field": json.dumps({k: v for k, v in GOOD.items() if k != "layers"}).encode(),
    "no image's config": manifest(config={**BLOB, "mediaType": "application/vnd.oci.empty.v1+json"}),
    "a config that is a list": manifest(config=[BLOB]),
    "nested 100,000 deep": b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "arrays nested 100,000 deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested a little too deep": manifest(annotations=json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
    "over 4 MiB": manifest(annotations={"a": "x" * (4 << 20)}),
    "not UTF-8": manifest().replace(b"amd", b"\xff") + b"\xff",
    "UTF-16": manifest().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + manifest(),
    "half of a surrogate pair": manifest(annotations={"a": "\ud800"}),
    "NaN": manifest()[:-1] + b',"x":NaN}',
    "infinity": manifest()[:-1] + b',"x":-Infinity}',
    "two documents": manifest() * 2,
    "an array": b"[]",
    "nothing": b"",
    "null": b"null",
}


@pytest.mark.parametrize("document", CRAFTED.values(), ids=CRAFTED.keys())
def test_refuses_what_can_be_read_in_two_ways(document: bytes) -> None:
    with pytest.raises(IntegrityError, match="manifest x"):
        parse_manifest(document, media.MANIFEST, "manifest x")


def test_reads_the_document_that_the_crafted_ones_were_made_from() -> None:
    read = parse_manifest(manifest(), media.MANIFEST, "manifest x")
    assert (read.config.digest, read.layers[0].size) == (D, 2)


def test_an_index_with_layers_is_refused() -> None:
    document = {"schemaVersion": 2, "manifests": [], "layers": []}
    with pytest.raises(IntegrityError, match="as a manifest and as an index"):
        parse_index(json.dumps(document).encode(), media.INDEX, "index x")


def test_unknown_media_types_in_an_index_are_no_error() -> None:
    entry = {"mediaType": "application/xml", "digest": "sha512:" + "b" * 128, "size": 1}
    known = {"mediaType": media.MANIFEST, "digest": D, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}}
    document = {"schemaVersion": 2, "manifests": [entry, known]}
    (found,) = parse_index(json.dumps(document).encode(), media.INDEX, "index x")
    assert found.platform == "linux/arm64"


def test_a_message_names_place_field_and_value() -> None:
    with pytest.raises(IntegrityError, match=r"manifest x: \$\.layers\[0\]\.size: expected an integer .*, got -1"):
        parse_manifest(manifest(layers=[{**LAYER, "size": -1}]), media.MANIFEST, "manifest x")


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": ""},
        {"os": 3},
        {"rootfs": {"type": "tarsum", "diff_ids": []}},
        {"rootfs": {"type": "layers", "diff_ids": [D.upper()]}},
        {"rootfs": {"type": "layers", "diff_ids": [7]}},
        {"rootfs": {"type": "layers"}},
        {"history": {}},
        {"history": [{"empty_layer": "no"}]},
        {"history": [[]]},
    ],
    ids=str,
)
def test_refuses_configs_that_name_no_image(changes: dict[str, Any]) -> None:
    good = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [D]}}
    parse_config(json.dumps(good).encode(), "config")
    with pytest.raises(IntegrityError):
        parse_config(json.dumps({**good, **changes}).encode(), "config")


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789nulltruefalse\\u', max_size=100).map(str.encode))
def test_junk_never_raises_anything_else(data: bytes) -> None:
    for read in (parse, parse_array):
        with suppress(IntegrityError):
            read(data, "junk")


_TEXTS = st.text(max_size=8)
_VALUES = st.none() | st.booleans() | st.integers() | _TEXTS | st.lists(_TEXTS, max_size=3)


@settings(max_examples=50)
@given(st.dictionaries(_TEXTS, _VALUES | st.dictionaries(_TEXTS, _VALUES, max_size=3), max_size=4))
def test_reads_every_other_object_as_json_does(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value, ensure_ascii=False).encode(), "x") == value
