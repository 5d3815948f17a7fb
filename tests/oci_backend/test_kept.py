from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from coopery.errors import IntegrityError
from coopery.layer import Entry
from coopery.snapshots import kept

NAME = "ab" * 32


@pytest.fixture
def snapshot(workshop, make):
    layers = [make.layer(workshop, [Entry("a")]), make.layer(workshop, [Entry("b")])]
    return make.snapshot(make.image(layers, {"User": "ä"}))


def test_what_is_kept_is_found(workshop, snapshot):
    assert kept.load(workshop, NAME, "oci") is None
    kept.save(workshop, snapshot, NAME)
    assert kept.load(workshop, NAME, "oci") == snapshot
    assert list(workshop.staging.iterdir()) == []


def test_the_newest_is_found(workshop, snapshot, make):
    kept.save(workshop, snapshot, NAME)
    other = make.snapshot(make.image([]))
    kept.save(workshop, other, NAME)
    assert kept.load(workshop, NAME, "oci") == other


def test_without_its_layers_it_is_none(workshop, snapshot):
    kept.save(workshop, snapshot, NAME)
    workshop.blobs.path(snapshot.layers[1].digest).write_bytes(b"short")
    assert kept.load(workshop, NAME, "oci") is None


def test_no_damage_is_believed(workshop, snapshot):
    kept.save(workshop, snapshot, NAME)
    path = workshop.home / "snapshots" / f"{NAME}.json"
    whole = path.read_bytes()
    seeded = random.Random(1)
    for _ in range(200):
        data = bytearray(whole)
        data[seeded.randrange(len(data))] ^= 1 << seeded.randrange(8)
        path.write_bytes(data)
        assert kept.load(workshop, NAME, "oci") is None
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert kept.load(workshop, NAME, "oci") is None
    path.write_bytes(b"[" * 100_000)
    assert kept.load(workshop, NAME, "oci") is None


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 200, "a\n"])
def test_a_name_is_no_path(workshop, snapshot, name):
    with pytest.raises(IntegrityError):
        kept.save(workshop, snapshot, name)
    with pytest.raises(IntegrityError):
        kept.load(workshop, name, "oci")


def test_many_may_keep_one_at_once(workshop, snapshot):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: kept.save(workshop, snapshot, NAME), range(32)))
    assert kept.load(workshop, NAME, "oci") == snapshot
