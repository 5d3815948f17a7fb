"""The main job without packages: definition in, image out, once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from coopery import Builder, Environment
from coopery.errors import DefinitionError, IntegrityError, NotFound, PluginError, UnsupportedError, UsageError
from coopery.events import BuildFinished, BuildStarted, Event, Hit
from coopery.home import Home
from coopery.oci.layout import Layout
from coopery.oci.validate import validate_layout

Define = Callable[..., Environment]


def test_a_build_makes_a_valid_image_and_the_second_is_a_hit(
    builder: Builder, define: Define, events: list[Event], home: Path
) -> None:
    first = builder.build(define())
    assert not first.hit
    assert first.generation == 1
    assert first.reference.startswith("oci:")
    validate_layout(Home(home).images)
    events.clear()
    second = builder.build(define())
    assert second.hit
    assert second == first
    assert [type(event) for event in events] == [Hit]


def test_names_and_versions_are_in_no_key_and_in_no_image(builder: Builder, define: Define, home: Path) -> None:
    canary = "canary-7e1f"
    one = builder.build(define(name=canary, version=canary, description=canary, tags={canary: canary}))
    two = builder.build(define(runtime={"env": {"CANARY": canary}}))
    assert two.hit
    assert one == two
    blobs = [path.read_bytes() for path in (Home(home).images / "blobs").rglob("*") if path.is_file()]
    assert blobs
    assert not [blob for blob in blobs if canary.encode() in blob]


def test_two_homes_give_one_image_id(define: Define, tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        with Builder(home=tmp_path / name) as builder:
            ids.add(builder.build(define()).id)
    assert len(ids) == 1


def test_a_changed_copied_file_is_another_key(builder: Builder, define: Define) -> None:
    environment = define()
    before = builder.build(environment)
    (environment.root / "data" / "one.txt").write_text("two\n")
    after = builder.build(environment)
    assert not after.hit
    assert after.key != before.key
    assert after.id != before.id


def test_content_that_changes_between_key_and_use_is_noticed(define: Define, home: Path, tmp_path: Path) -> None:
    environment = define()

    def edit(event: Event) -> None:
        if isinstance(event, BuildStarted):
            (environment.root / "data" / "one.txt").write_text("edited meanwhile\n")

    with Builder(home=home, on_event=edit) as builder:
        with pytest.raises(IntegrityError, match="changed since the key was made"):
            builder.build(environment)
        assert builder.list() == ()


def test_rebuild_makes_a_generation_beside_the_first(builder: Builder, define: Define, home: Path) -> None:
    first = builder.build(define())
    again = builder.build(define(), rebuild=True)
    assert (first.generation, again.generation) == (1, 2)
    assert not again.hit
    assert again.id == first.id, "nothing in it can move"
    assert builder.build(define()).generation == 2
    record = builder.cache.get("resolution", first.key, 1)
    assert record is not None
    assert record.body["image"] == first.id
    tags = Layout(Home(home).images, Home(home).staging).tags()
    assert len(tags) == 2


def test_an_image_removed_behind_our_back_is_put_back(builder: Builder, define: Define, home: Path) -> None:
    first = builder.build(define())
    shutil.rmtree(Home(home).images)
    assert not builder.details(first.key).exists
    again = builder.build(define())
    assert not again.hit
    assert (again.id, again.generation) == (first.id, 1)
    assert builder.build(define()).hit


def test_a_damaged_manifest_is_never_a_hit(builder: Builder, define: Define, home: Path) -> None:
    first = builder.build(define())
    path = Home(home).blobs.path(first.digest)
    path.write_bytes(path.read_bytes().replace(b"sha256", b"sha257", 1))
    again = builder.build(define())
    assert not again.hit
    assert again.id == first.id
    validate_layout(Home(home).images)


def test_what_the_backend_lacks_is_refused_before_anything_happens(
    define: Define, events: list[Event], home: Path
) -> None:
    builder = Builder(home=home, backend="oci", on_event=events.append)
    steps = [{"env": {"A": "b"}}, {"run": "true"}]
    with pytest.raises(UnsupportedError) as caught:
        builder.build(define(steps=steps))
    assert (caught.value.ability, caught.value.needed_by) == ("run", "$.steps[1].run")
    (define().root / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(UnsupportedError, match=r"\$\.base\.dockerfile.*dockerfile"):
        builder.build(define(base={"dockerfile": "Dockerfile"}, steps=None))
    assert events == []
    assert not (home / "images").exists()


def test_a_section_without_its_materializer_says_what_is_missing(builder: Builder, define: Define) -> None:
    with pytest.raises(PluginError, match=r"\$\.spark: no plugin"):
        builder.build(define(spark={"packages": ["org.apache.spark:spark-avro_2.12:3.5.0"]}))


def test_nothing_at_all_is_refused(builder: Builder, define: Define) -> None:
    with pytest.raises(DefinitionError, match=r"\$\.base: scratch, with no files and no packages"):
        builder.build(define(steps=[{"env": {"A": "b"}}]))


def test_user_managed_skips_stage_two(builder: Builder, define: Define) -> None:
    image = builder.build(define(python={"user_managed": True, "interpreter": "/data/run.sh"}))
    assert image.lock is None
    assert image.interpreter == "/data/run.sh"


def test_plan_fetches_and_makes_nothing(builder: Builder, define: Define, home: Path) -> None:
    plan = builder.plan(define())
    assert not plan.known
    assert any("copy data to /data" in line for line in plan.stages)
    assert not home.exists() or not any((home / name).exists() for name in ("images", "logs", "snapshots"))
    builder.build(define())
    plan = builder.plan(define())
    assert plan.known
    assert plan.image is not None
    assert plan.stages[0].startswith("nothing: the image is at oci:")


def test_details_list_and_find(builder: Builder, define: Define) -> None:
    with pytest.raises(NotFound, match="nothing is recorded"):
        builder.details(define())
    image = builder.build(define(name="train"))
    details = builder.details(image.key[:12])
    assert details.exists
    assert (details.key, details.name, details.generation) == (image.key, "train", 1)
    assert len(details.layers) == image.layers
    assert [one.key for one in builder.list()] == [image.key]
    with pytest.raises(NotFound, match="no key begins with"):
        builder.find("f" * 64)


def test_why_names_the_input_that_differs(builder: Builder, define: Define) -> None:
    built = builder.build(define())
    other = define(steps=[{"copy": "data", "to": "/elsewhere"}])
    found = builder.why(built.key, other)
    assert found
    assert any(difference.path.startswith("steps") for difference in found)
    assert builder.why(define(name="a"), define(name="b")) == ()


def test_the_log_of_a_build_is_found_by_key(builder: Builder, define: Define) -> None:
    image = builder.build(define(name="train"))
    log = builder.log(image.key[:10])
    assert "build started: train" in log
    assert "build finished" in log
    assert image.id in log
    with pytest.raises(NotFound):
        builder.log("0" * 64)


def test_a_failed_build_keeps_its_log_and_is_never_found(builder: Builder, define: Define) -> None:
    environment = define(steps=[{"copy": "data", "to": "/data"}, {"user": "nobody-of-that-name"}])
    with pytest.raises(Exception, match="nobody-of-that-name") as caught:
        builder.build(environment)
    assert Path(caught.value.log).is_file()
    assert "build failed" in builder.log(environment)
    assert builder.list() == ()
    with pytest.raises(Exception, match="nobody-of-that-name"):
        builder.build(environment)


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_export_writes_what_other_tools_read(builder: Builder, define: Define, tmp_path: Path, transport: str) -> None:
    image = builder.build(define())
    target = tmp_path / f"out-{transport}"
    tag = "train:v1" if transport == "docker-archive" else "v1"
    assert builder.export(image, f"{transport}:{target}:{tag}") == f"{transport}:{target}:{tag}"
    assert target.exists()
    with pytest.raises(UsageError, match="no place that images are written to"):
        builder.export(image, "docker://somewhere")
    with pytest.raises(UsageError):
        builder.export(image, f"oci:{tmp_path / 'x'}:-bad tag")


def test_events_tell_the_whole_build(builder: Builder, define: Define, events: list[Event]) -> None:
    image = builder.build(define())
    assert isinstance(events[0], BuildStarted)
    assert isinstance(events[-1], BuildFinished)
    assert events[-1].image == image.id
    assert {event.key for event in events} == {image.key}


def test_a_record_that_does_not_read_back_is_a_miss(builder: Builder, define: Define) -> None:
    image = builder.build(define())
    record = builder.cache.get("resolution", image.key)
    assert record is not None
    damaged = evolve(record, generation=2, body={"image": image.id})
    builder.cache.put(damaged, 1)
    again = builder.build(define())
    assert not again.hit
    assert again.id == image.id
    assert builder.build(define()).hit


SCRIPT = """
import json, sys
from coopery import Builder, Environment
with Builder(home=sys.argv[1]) as builder:
    image = builder.build(Environment.load(sys.argv[2]))
print(json.dumps([image.id, image.hit, image.generation]))
"""


@pytest.mark.processes
def test_eight_processes_make_one_build(define: Define, home: Path, tmp_path: Path) -> None:
    environment = define()
    path = environment.root / "environment.json"
    path.write_text(json.dumps({"base": "scratch", "steps": [{"copy": "data", "to": "/data"}]}))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, home, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    outcomes = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 8, outcomes
    answers = [json.loads(out) for out, _ in outcomes]
    assert len({answer[0] for answer in answers}) == 1
    assert {answer[2] for answer in answers} == {1}
    assert len(list((home / "logs").rglob("*.log"))) == 1, "one build, one log"
