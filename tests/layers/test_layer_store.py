"""What was cut is found again, and nothing damaged ever is."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import CacheError
from coopery.layers.cut import cut_into
from coopery.layers.store import LayerStore, Shape
from layers.forest import file, tree

KEY = "0123abcd" * 8


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "home" / "layers"


def test_what_is_put_is_got(store: LayerStore) -> None:
    layer, _ = cut_into(store.blobs, [tree("p", file("a", b"x"))])
    assert store.get(KEY) is None
    store.put(KEY, layer)
    found = store.get(KEY)
    assert found is not None
    assert (found.digest, found.diff_id, found.size, found.packages) == (layer.digest, layer.digest, layer.size, ("p",))
    assert found.made is False


@pytest.mark.parametrize("paths", [(), ("a",), ("opt/ä b\n", "opt/empty/"), ("\0", "\udc80", "")])
def test_shapes(store: LayerStore, paths: tuple[str, ...]) -> None:
    assert store.shape(KEY) is None
    shape = Shape(paths, paths[:1], 1 << 40)
    store.put_shape(KEY, shape)
    assert store.shape(KEY) == shape


def test_a_missing_or_cut_blob_is_a_miss(store: LayerStore) -> None:
    layer, _ = cut_into(store.blobs, [tree("p", file("a", b"x"))])
    store.put(KEY, layer)
    blob = store.blobs.path(layer.digest)
    data = blob.read_bytes()
    blob.write_bytes(data[:-1])
    assert store.get(KEY) is None
    blob.unlink()
    assert store.get(KEY) is None
    blob.write_bytes(data)
    assert store.get(KEY) is not None


def test_every_damage_is_a_miss(store: LayerStore, index: Path) -> None:
    layer, _ = cut_into(store.blobs, [tree("p", file("a", b"x"))])
    store.put(KEY, layer)
    store.put_shape(KEY, Shape(("a", "b"), (), 2048))
    assert store.get(KEY) is not None
    assert store.shape(KEY) is not None
    for record, get in [(index / "cut" / KEY, store.get), (index / "shapes" / KEY, store.shape)]:
        whole = record.read_bytes()
        for at in range(0, len(whole), 5):
            record.write_bytes(whole[:at])
            assert get(KEY) is None
            record.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert get(KEY) is None
        record.write_bytes(whole + b"x")
        assert get(KEY) is None


def test_a_folder_in_the_way_is_an_error_of_the_cache(store: LayerStore, index: Path) -> None:
    (index / "cut" / KEY).mkdir(parents=True)
    with pytest.raises(CacheError):
        store.get(KEY)
    with pytest.raises(CacheError):
        store.put(KEY, cut_into(store.blobs, [tree("p", file("a"))])[0])
    assert list((index.parent / "staging").iterdir()) == []
