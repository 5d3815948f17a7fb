"""Which backend builds: the named one, else oci where it can, else the first that has the abilities and works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from house import BrokenBackend, HouseBackend, Registers, examined

from coopery import Environment
from coopery.errors import NotFound, PluginError, UnsupportedError
from coopery.events import BackendChosen, Event
from coopery.place import RunRequest
from coopery_oci.backend import OciBackend

Define = Callable[..., Environment]


def test_what_needs_no_engine_gets_none(builder, define, events):
    image = builder().build(define())
    assert image.place.startswith("oci:")
    assert "house" not in examined
    assert not any(isinstance(event, BackendChosen) for event in events)


def test_a_run_step_gets_the_first_that_works_and_the_reason_is_told(builder, define, events):
    image = builder(HouseBackend, BrokenBackend).build(define({"run": "say hello"}))
    assert image.place.startswith("house:")
    assert examined == ["docker", "house"]
    told = [event for event in events if isinstance(event, BackendChosen)]
    assert [(event.backend, event.reason) for event in told] == [
        ("house", "oci lacks run; docker: the daemon does not answer")
    ]


def test_a_known_image_is_found_where_it_is_and_no_engine_is_tried(builder, define):
    first = builder().build(define({"run": "true"}))
    examined.clear()
    again = builder(HouseBackend, BrokenBackend).build(define({"run": "true"}))
    assert again.hit
    assert again == first
    assert examined == []


def test_who_built_it_is_asked_before_the_others(builder, define):
    class Working(HouseBackend):
        name = "docker"

    image = builder().build(define({"run": "true"}))
    place = Path(image.place.partition(":")[2])
    next(place.iterdir()).unlink()  # somebody has removed the image
    assert builder(HouseBackend, Working).build(define({"run": "true"})).place == image.place


def test_when_none_works_each_is_told(builder, define, tmp_path):
    with pytest.raises(PluginError) as caught:
        builder(BrokenBackend).build(define({"run": "true"}))
    assert caught.value.exit_code == 3
    assert "$.steps[1].run: " in caught.value.message
    assert "docker: the daemon does not answer" in caught.value.message
    assert "coopery doctor" in caught.value.remedy
    assert not (tmp_path / "home" / "images").exists()


def test_when_nobody_has_it_what_to_install_is_told(builder, define):
    with pytest.raises(UnsupportedError) as caught:
        builder(OciBackend.__class__("Other", (OciBackend,), {"name": "other"})).build(define({"run": "true"}))
    assert (caught.value.ability, caught.value.needed_by) == ("run", "$.steps[1].run")
    assert "pip install coopery-docker" in caught.value.remedy


def test_a_named_backend_is_never_replaced(builder, define):
    with pytest.raises(UnsupportedError) as caught:
        builder(backend="oci").build(define({"run": "true"}))
    assert caught.value.others == ("house",)
    assert builder(backend="house").build(define()).place.startswith("house:")


def test_without_oci_whatever_is_installed_builds(tmp_path, define, events):
    from coopery import Builder
    from coopery.plugins import Plugins

    plugins = Plugins([("house", Registers(HouseBackend))], discover=False)
    with Builder(home=tmp_path / "home", plugins=plugins) as alone:
        assert alone.build(define()).place.startswith("house:")
        assert alone.build(define()).hit


def test_plan_names_the_backend_that_would_build(builder, define):
    assert builder().plan(define()).backend == "oci"
    assert builder().plan(define({"run": "true"})).backend == "house"


def test_run_goes_where_the_image_is_and_where_gpus_can_be_passed(builder, define):
    made = builder()
    image = made.build(define({"run": "true"}))
    ran = Path(image.place.partition(":")[2]) / "ran"
    assert made.run(image.key, RunRequest(["x"])) == 7
    assert json.loads(ran.read_text()) == [image.digest, ["x"], False]
    plain = made.build(define())
    assert plain.place.startswith("oci:")
    assert made.run(define(), RunRequest(["y"], gpu=True)) == 7
    assert json.loads(ran.read_text()) == [plain.id, ["y"], True]
    assert made.run(plain.key, RunRequest(["z"], gpu=True)) == 7


def test_details_and_list_look_where_the_image_is(builder, define):
    made = builder()
    image = made.build(define({"run": "true"}))
    found = made.details(image.key)
    assert found.exists
    assert [one.place for one in found.placements] == [image.place]
    assert [one.exists for one in made.list()] == [True]
    Path(image.place.partition(":")[2], "down").touch()
    assert [one.exists for one in made.list()] == [False], "an engine that is down spoils no list"


def test_an_unknown_key_is_told(builder):
    with pytest.raises(NotFound):
        builder().run("0" * 64, RunRequest(["x"]))


def test_events_of_the_chosen_backend_reach_the_listener(builder, define, events: list[Event]):
    builder().build(define({"run": "say hello"}))
    assert any(getattr(event, "line", "") == "hello" for event in events)
