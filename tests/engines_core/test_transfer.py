"""One key, many places: what is known is put into another place with no solve and no step."""

from __future__ import annotations

from pathlib import Path

from coopery.home import Home
from coopery.records import placement_name


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
