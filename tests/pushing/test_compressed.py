"""Compressed twins of plain layers: right, equal everywhere, made once, and never believed when damaged."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from typing import Any

import pytest
import zstandard
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci import compressed, compressor
from coopery.oci.intake import known
from coopery.oci.layer_blob import opened
from coopery.oci.media import LAYER_OF

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

METHODS = ("gzip", "zstd")


def stored(blobs: BlobStore, data: bytes) -> Layer:
    digest = blobs.put(data)
    return Layer(digest, digest, len(data))


def inflate(data: bytes, method: str) -> bytes:
    return gzip.decompress(data) if method == "gzip" else zstandard.decompress(data)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, (5 << 20) + 7])
def test_other_programs_read_it(blobs: BlobStore, method: Any, size: int) -> None:
    data = (os.urandom(1000) + bytes(9000)) * (size // 10_000 + 1)
    layer = stored(blobs, data[:size])
    twin = compressed.compress(layer, blobs, method)
    assert inflate(blobs.read(twin.digest), method) == data[:size]
    assert (twin.diff_id, twin.size) == (layer.diff_id, blobs.size(twin.digest))
    assert twin.media_type == LAYER_OF[method]
    with opened(twin, blobs) as stream:
        assert stream.skip(size + 1) == size


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.binary(max_size=3000), max_size=5), repeat=st.integers(1, 300))
def test_nothing_is_lost(blobs: BlobStore, method: Any, pieces: list[bytes], repeat: int) -> None:
    data = b"".join(pieces) * repeat
    twin = compressed.compress(stored(blobs, data), blobs, method)
    assert inflate(blobs.read(twin.digest), method) == data


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_processors_changes_nothing(
    blobs: BlobStore, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 30_000 + os.urandom(1 << 20)
    digests = set()
    for processors in (1, 2, 5):
        monkeypatch.setattr(compressor, "_processors", lambda count=processors: count)
        twin = compressed.compress(stored(blobs, data), blobs, method)
        digests.add(twin.digest)
        blobs.path(twin.digest).unlink()
    assert len(digests) == 1


def test_the_header_names_nobody_and_no_time(blobs: BlobStore) -> None:
    twin = compressed.compress(stored(blobs, b"x" * 100), blobs, "gzip")
    assert blobs.read(twin.digest)[:8] == b"\x1f\x8b\x08" + bytes(5), "no flags, no time"


def test_zlib_serves_where_isal_is_missing(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    twin = compressed.compress(stored(blobs, b"plain" * 1000), blobs, "gzip")
    data = blobs.read(twin.digest)
    assert gzip.decompress(data) == b"plain" * 1000
    assert data[:8] == b"\x1f\x8b\x08" + bytes(5)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_made_once(blobs: BlobStore, method: Any) -> None:
    layer = stored(blobs, b"once" * 1000)
    assert compressed.twin(layer, blobs, method) is None
    first = compressed.compress(layer, blobs, method)
    before = blobs.path(first.digest).stat().st_ino
    assert compressed.compress(layer, blobs, method) == first
    assert compressed.twin(layer, blobs, method) == first
    assert blobs.path(first.digest).stat().st_ino == before
    assert known(first, blobs), "its diff id is noted too: pulling it again looks at nothing"


def test_a_collected_twin_is_still_known_and_made_again(blobs: BlobStore) -> None:
    layer = stored(blobs, b"again" * 1000)
    first = compressed.compress(layer, blobs, "gzip")
    blobs.path(first.digest).unlink()
    assert compressed.twin(layer, blobs, "gzip") == first
    assert compressed.compress(layer, blobs, "gzip") == first
    assert blobs.size(first.digest) == first.size


@pytest.mark.parametrize("media_type", [TAR_GZIP, TAR_ZSTD])
@pytest.mark.parametrize("method", METHODS)
def test_what_came_compressed_stays_as_it_came(blobs: BlobStore, media_type: str, method: Any) -> None:
    layer = Layer(_digest.of_bytes(b"tar"), blobs.put(b"whatever"), 8, media_type)
    assert compressed.twin(layer, blobs, method) is layer
    assert compressed.compress(layer, blobs, method) is layer


def test_the_twin_that_a_registry_gave_is_used(blobs: BlobStore) -> None:
    layer = stored(blobs, b"given" * 1000)
    theirs = gzip.compress(b"given" * 1000, 9, mtime=7)
    came = evolve(layer, digest=blobs.put(theirs), size=len(theirs), media_type=TAR_GZIP)
    compressed.note(came, blobs)
    assert compressed.compress(layer, blobs, "gzip") == came


def test_the_first_twin_stays(blobs: BlobStore) -> None:
    layer = stored(blobs, b"first" * 1000)
    ours = compressed.compress(layer, blobs, "gzip")
    theirs = gzip.compress(b"first" * 1000, 9, mtime=7)
    compressed.note(evolve(layer, digest=blobs.put(theirs), size=len(theirs), media_type=TAR_GZIP), blobs)
    assert compressed.twin(layer, blobs, "gzip") == ours


@pytest.mark.parametrize("method", METHODS)
def test_every_damaged_note_is_no_note(blobs: BlobStore, method: Any) -> None:
    layer = stored(blobs, b"note" * 1000)
    made = compressed.compress(layer, blobs, method)
    path = blobs.beside(layer.diff_id, compressed.FOLDERS[method])
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, 5):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        assert compressed.twin(layer, blobs, method) is None, bit
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert compressed.twin(layer, blobs, method) is None, length
    assert compressed.compress(layer, blobs, method) == made


def test_a_note_counts_only_for_its_own_layer(blobs: BlobStore) -> None:
    one, other = stored(blobs, b"one" * 1000), stored(blobs, b"other" * 1000)
    compressed.compress(one, blobs, "gzip")
    folder = compressed.FOLDERS["gzip"]
    blobs.beside(one.diff_id, folder).rename(blobs.beside(other.diff_id, folder))
    assert compressed.twin(other, blobs, "gzip") is None


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_layer_is_not_compressed(blobs: BlobStore, method: Any) -> None:
    layer = stored(blobs, b"sound" * 1_000_000)
    path = blobs.path(layer.digest)
    path.write_bytes(b"s0und" + path.read_bytes()[5:])
    before = sorted(path.parent.iterdir())
    with pytest.raises(IntegrityError, match="expected digest"):
        compressed.compress(layer, blobs, method)
    assert sorted(path.parent.iterdir()) == before
    assert list(blobs.staging.iterdir()) == []
    assert compressed.twin(layer, blobs, method) is None


@pytest.mark.processes
@pytest.mark.parametrize("method", METHODS)
def test_another_process_makes_the_same_bytes(blobs: BlobStore, method: Any) -> None:
    layer = stored(blobs, bytes(range(256)) * 40_000)
    here = compressed.compress(layer, blobs, method)
    blobs.path(here.digest).unlink()
    code = (
        "import sys; from pathlib import Path; from coopery.blobs import BlobStore; from coopery.layer import Layer\n"
        "from coopery.oci.compressed import compress\n"
        "root, digest, size, method = sys.argv[1:]\n"
        "store = BlobStore(Path(root) / 'images' / 'blobs', Path(root) / 'staging')\n"
        "print(compress(Layer(digest, digest, int(size)), store, method).digest)"
    )
    root = blobs.staging.parent
    argv = [sys.executable, "-c", code, root, layer.digest, str(layer.size), method]
    environ = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here.digest
