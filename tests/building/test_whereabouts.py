"""The name of a cache folder, by which its places are told from others; and what stands in there for an image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve

from coopery import records
from coopery.flights.whereabouts import whereabouts


def test_a_folder_has_no_name_before_it_needs_one(tmp_path):
    assert whereabouts(tmp_path, f"oci:{tmp_path}/images") == ""
    assert list(tmp_path.iterdir()) == []


def test_all_who_make_it_get_one_name(tmp_path):
    place = f"oci:{tmp_path}/images"
    with ThreadPoolExecutor(16) as pool:
        names = set(pool.map(lambda _: whereabouts(tmp_path, place, make=True), range(64)))
    assert names == {whereabouts(tmp_path, place)}
    assert list((tmp_path / "staging").iterdir()) == []


def test_folders_of_one_path_are_told_apart(tmp_path):
    place, found = f"oci:{tmp_path}/home/images", set()
    for number in range(3):
        found.add(whereabouts(tmp_path / "home", place, make=True))
        (tmp_path / "home").rename(tmp_path / f"disk {number}")
    assert len(found) == 3


@pytest.mark.parametrize("damage", [b"", b"x", b"f" * 1000, "ä\n".encode()])
def test_a_damaged_name_is_none_and_made_anew(tmp_path, damage):
    place = f"oci:{tmp_path}/images"
    first = whereabouts(tmp_path, place, make=True)
    (tmp_path / "name").write_bytes(damage)
    assert whereabouts(tmp_path, place) == ""
    assert whereabouts(tmp_path, place, make=True) not in ("", first)


def test_a_link_in_its_place_is_not_followed(tmp_path):
    target = tmp_path / "somebody else's"
    target.write_text("0" * 32 + "\n")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "name").symlink_to(target)
    assert whereabouts(tmp_path / "home", "docker:") == ""
    assert whereabouts(tmp_path / "home", "docker:", make=True) != ""
    assert target.read_text() == "0" * 32 + "\n"


@pytest.fixture
def known(machine, define):
    builder = machine()
    return builder.ledger.resolution(builder.build(define()).key)


def test_a_stand_in_comes_back_as_it_was(known):
    made = evolve(known, image=f"sha256:{'1' * 64}", generation=9)
    record = records.stand_in_record(known, made, "abc", 1)
    assert record.kind == "placement"
    assert record.name == f"{known.image}@{made.placement.place} abc"
    assert records.stand_in(record, known) == evolve(made, generation=known.generation)
    assert records.placement(record) is None, "to all others it is no placement"


@pytest.mark.parametrize("body", [{}, {"instead": 1}, {"instead": {}}, {"instead": {"generation": 1, "image": "x"}}])
def test_what_does_not_read_back_is_none(known, body):
    record = records.stand_in_record(known, known, "abc", 1)
    assert records.stand_in(evolve(record, body=body), known) is None


def test_what_stood_for_an_earlier_generation_does_not_for_this(known):
    record = records.stand_in_record(evolve(known, generation=7), known, "abc", 1)
    assert records.stand_in(record, known) is None
    assert records.stand_in(None, known) is None
