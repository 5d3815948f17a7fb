"""One key, many places: what is known is put into another place with no solve and no step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coopery.errors import UnsupportedError, UsageError
from coopery.home import Home
from coopery.records import Placement, placement_name


def test_an_image_of_the_layout_comes_into_an_engine(builder, define, stages, tmp_path):
    first = builder().build(define())
    assert stages() == ["base", "steps", "image"]
    there = builder(backend="house").build(define())
    assert stages() == ["image"]
    assert (there.id, there.key, there.generation) == (first.id, first.key, first.generation)
    assert there.place.startswith("house:")
    assert not there.hit
    assert there.made.layers_made == 0
    again = builder(backend="house").build(define())
    assert again.hit
    assert stages() == []
    assert builder().build(define()).hit, "it is still where it was"


def test_an_image_of_an_engine_comes_into_the_layout(builder, define, stages):
    first = builder(backend="house").build(define({"run": "say x"}))
    stages()
    made = builder()
    brought = made.at("oci").image(first.key)
    assert brought.id == first.id
    assert brought.place.startswith(("oci:", "house:"))
    named = builder(backend="oci").image(first.key)
    assert named.place.startswith("oci:")
    assert named.id == first.id
    assert stages() == ["image"]


def test_the_placement_is_recorded(builder, define):
    builder().build(define())
    made = builder(backend="house")
    image = made.build(define())
    assert made.cache.get("placement", placement_name(image.id, image.place)).body["digest"] == image.digest


def test_an_image_that_somebody_removed_is_put_back_without_a_build(builder, define, stages):
    first = builder(backend="house").build(define({"run": "say x"}))
    stages()
    Path(first.place.partition(":")[2], first.id.partition(":")[2]).unlink()
    assert builder(backend="house").build(define({"run": "say x"})).id == first.id
    assert stages() == ["image"]


def test_where_a_layer_is_gone_it_is_built_again(builder, define, stages, tmp_path):
    first = builder(backend="house").build(define({"run": "say x"}))
    stages()
    layer = builder().details(first.key).layers[-1]
    Home(tmp_path / "home").blobs.path(layer.digest).unlink()
    Path(first.place.partition(":")[2], first.id.partition(":")[2]).unlink()
    assert builder(backend="house").build(define({"run": "say x"})).id == first.id
    assert stages() == ["base", "steps", "image"]


def test_a_pulled_or_built_image_can_be_exported_from_any_place(builder, define, tmp_path):
    made = builder(backend="house")
    image = made.build(define({"run": "say x"}))
    assert made.export(image, f"oci:{tmp_path / 'out'}:v1").endswith(":v1")
    assert Home(tmp_path / "nothing").blobs.size(image.id) is None
    assert (tmp_path / "out" / "blobs" / "sha256" / image.id.partition(":")[2]).is_file()


# --- what cannot be built here may be had from elsewhere ------------------------------------------


def test_a_backend_that_lacks_an_ability_gets_the_image_by_transfer(builder, define, stages):
    step = {"run": "say x"}
    first = builder(backend="house").build(define(step))
    stages()
    there = builder(backend="oci").build(define(step))
    assert (there.id, there.generation, there.hit) == (first.id, first.generation, False)
    assert there.place.startswith("oci:")
    assert stages() == ["image"]
    assert builder(backend="oci").build(define(step)).hit


def test_it_is_still_refused_where_nobody_has_it(builder, define, stages):
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[1\]\.run"):
        builder(backend="oci").build(define({"run": "say x"}))
    assert stages() == []


def test_a_rebuild_is_refused_whoever_has_an_older_one(builder, define):
    builder(backend="house").build(define({"run": "say x"}))
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[1\]\.run"):
        builder(backend="oci").build(define({"run": "say x"}), rebuild=True)


def test_it_is_refused_where_its_bytes_are_gone(builder, define, tmp_path):
    builder(backend="house").build(define({"run": "say x"}))
    layer = builder().details(builder().key(define({"run": "say x"}))).layers[-1]
    Home(tmp_path / "home").blobs.path(layer.digest).unlink()
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[1\]\.run"):
        builder(backend="oci").build(define({"run": "say x"}))


def test_a_plan_says_that_it_would_be_brought(builder, define, stages):
    step = {"run": "say x"}
    builder(backend="house").build(define(step))
    stages()
    there = builder(backend="oci")
    plan = there.plan(define(step))
    assert plan.stages == (f"image: from the cache folder into {there.place.name}, as it was built before",)
    assert (plan.known, plan.image, plan.backend) == (True, None, "oci")
    assert stages() == []
    image = there.build(define(step))
    assert stages() == ["image"]
    assert there.plan(define(step)).stages == (f"nothing: the image is at {image.reference}",)


def test_a_plan_refuses_what_a_build_would(builder, define, tmp_path):
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[1\]\.run"):
        builder(backend="oci").plan(define({"run": "say x"}))
    builder(backend="house").build(define({"run": "say x"}))
    layer = builder().details(builder().key(define({"run": "say x"}))).layers[-1]
    Home(tmp_path / "home").blobs.path(layer.digest).unlink()
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[1\]\.run"):
        builder(backend="oci").plan(define({"run": "say x"}))


@pytest.mark.parametrize("place", ["registry://127.0.0.1:9/train", "oci:{near}"])
def test_a_plan_believes_what_is_recorded_of_other_places(builder, define, tmp_path, place):
    near = tmp_path / "near"
    first = builder(backend="house").build(define({"run": "say x"}))
    builder(backend="house").export(first, f"oci:{near}:v1")
    layer = builder().details(first.key).layers[-1]
    Home(tmp_path / "home").blobs.path(layer.digest).unlink()
    there = builder(backend="oci")
    where = place.format(near=near)
    there.ledger.record(first.id, Placement(where, first.digest, first.size, where))
    plan = there.plan(define({"run": "say x"}))
    assert plan.stages == (
        f"image: from {where}, which is recorded to have it, into {there.place.name}, as it was built before",
    )


def test_no_secret_is_asked_for_what_is_only_brought(builder, define, stages):
    step = {"run": "say x", "secrets": ["token"]}
    first = builder(backend="house", secrets={"token": "squeamish"}).build(define(step))
    stages()
    Path(first.place.partition(":")[2], first.id.partition(":")[2]).unlink()
    assert builder(backend="house").build(define(step)).id == first.id
    assert stages() == ["image"]
    with pytest.raises(UsageError, match="no value was given for a build secret"):
        builder(backend="house").build(define(step), rebuild=True)


def test_many_who_ask_for_a_key_bring_it_once(builder, define, stages):
    first = builder(backend="house").build(define({"run": "say x"}))
    stages()
    one = builder(backend="oci")
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(one.image, [first.key] * 24))
    assert {image.id for image in images} == {first.id}
    assert stages() == ["image"]
