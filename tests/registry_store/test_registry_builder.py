"""Builders with homes of their own, as on machines of their own, whose cache is one repository."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripted_server import Reply

import jar_machines
from coopery import Builder, Environment
from coopery.engines.doctor import Finding
from coopery.engines.stores import stores
from coopery.events import BuildStarted, Event, StageFinished, Warned
from coopery.oci import document
from coopery.stores import attaching
from jar_machines import Machines

pytestmark = pytest.mark.slow  # together; each is quick


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    jar_machines.publish(tmp_path / "maven", "1.0", "jar")
    return jar_machines.define(tmp_path, tmp_path / "maven")


@pytest.fixture
def machines(tmp_path: Path, fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Makes builders by name of the machine; ``events`` of it is what it told."""
    with jar_machines.machines(tmp_path, monkeypatch) as made:

        def make(name: str, events: list[Event] | None = None, options: str = "", **more: object) -> Builder:
            told = events.append if events is not None else None
            return made(name, cache=f"registry://{fake.host}/team/cache{options}", on_event=told, **more)

        yield make


def stages(events: list[Event]) -> list[str]:
    return [event.stage for event in events if isinstance(event, StageFinished)]


def test_the_second_machine_finds_it_by_key_and_pulls(machines, environment, fake):
    """No other server, no ``--push``: the repository holds record and image, and nothing is solved or run again."""
    first = machines("a").build(environment)
    assert first.cached
    assert ("team/cache", first.key[:20]) in fake.manifests
    events: list[Event] = []
    second = machines("b", events).build(environment)
    assert (second.id, second.generation) == (first.id, 1)
    assert "pull" in stages(events)
    assert not {"lock", "layers", "step"} & set(stages(events)), "nothing is solved or made again"
    assert machines("b").build(environment).hit


def test_a_hit_is_one_request(machines, environment, fake):
    image = machines("a").build(environment)
    builder = machines("a")
    fake.requests.clear()
    assert builder.build(environment).hit
    assert [(one.method, one.path) for one in fake.requests] == [("GET", f"/v2/team/cache/manifests/{image.key}")]


def test_what_was_returned_stays_pullable(machines, environment, fake):
    """Each generation has a tag of its own, and its digest is in the record."""
    images = [machines("a").build(environment, rebuild=again) for again in (False, True)]
    assert [image.generation for image in images] == [1, 2]
    for number, image in enumerate(images, 1):
        tag = image.key[:20] + ("" if number == 1 else "-g2")
        manifest = document.parse(fake.manifests["team/cache", tag][1], tag)
        assert manifest["config"]["digest"] == image.id
        assert all(("team/cache", layer["digest"]) in fake.blobs for layer in manifest["layers"])
    assert machines("c").build(environment).generation == 2


def test_lock_and_log_are_attached(machines, environment):
    builder = machines("a")
    image = builder.build(environment)
    store = attaching(machines("b").cache)
    assert store is not None
    lock = store.attached("resolution", image.key, "lock")
    assert lock is not None
    assert b"org.example" in lock
    log = store.attached("resolution", image.key, "log")
    assert log is not None
    assert image.key[:12] in log.decode() or b"layers" in log
    assert machines("b").log(image.key) == log.decode()
    assert machines("b").log(environment) == log.decode()


def test_images_can_be_kept_out(machines, environment, fake):
    image = machines("a", options="?images=false").build(environment)
    assert ("team/cache", image.key[:20]) not in fake.manifests
    assert ("team/cache", image.key) in fake.manifests


def test_an_image_that_was_pushed_there_by_hand(machines, environment, fake):
    """``coopery push`` and the store share the repository: others find it by key, and pull it."""
    builder = machines("a", options="?images=false")
    builder.push(builder.build(environment), f"{fake.host}/team/cache:v1")
    events: list[Event] = []
    machines("b", events, options="?images=false").build(environment)
    assert "pull" in stages(events)
    assert not {"lock", "layers", "step"} & set(stages(events)), "nothing is solved or made again"


def test_a_registry_that_takes_no_image(machines, environment, fake):
    """The image is made and returned, not recorded, and that is said: no record names what others cannot have."""
    fake.fault("POST .*/blobs/uploads", reply=Reply(403), times=99)
    events: list[Event] = []
    image = machines("a", events).build(environment)
    assert not image.cached
    assert ("team/cache", image.key) not in fake.manifests
    told = [event.message for event in events if isinstance(event, Warned)]
    assert any("could not be recorded" in message for message in told)
    assert any("403" in message for message in told)


def test_leases_that_are_elsewhere(machines, environment, tmp_path):
    """``Builder(cache="registry://…", leases="sqlite:/…")``."""
    builder = machines("a", leases=f"sqlite:{tmp_path}/leases.sqlite")
    assert builder.leases is not None
    assert not builder.build(environment).hit
    assert (tmp_path / "leases-leases.sqlite").exists()


def test_who_shares_a_folder_builds_once_though_nobody_named_leases(machines, environment, fake, tmp_path):
    """As processes of one machine do: a registry has no leases, and theirs are in the cache folder then."""
    events: list[Event] = []
    builders = [machines("a", events) for _ in range(6)]
    gate = threading.Barrier(len(builders))

    def build(builder: Builder) -> str:
        gate.wait()
        return builder.build(environment).id

    with ThreadPoolExecutor(len(builders)) as pool:
        images = set(pool.map(build, builders))
    assert len(images) == 1
    assert [type(event) for event in events].count(BuildStarted) == 1
    assert builders[0].leasing.agreed is None, "other machines know nothing of it, which doctor and builds say"


def test_leases_of_a_folder_are_apart_for_each_store(machines):
    """Who waits for a builder with another store of records would be told how that ended, and find nothing."""
    first, second = machines("a").leases, machines("a", options="?namespace=other").leases
    assert first is not None
    assert second is not None
    held = first.acquire("name", "first", 60.0).lease
    assert held is not None
    other = second.acquire("name", "second", 60.0).lease
    assert other is not None
    same = machines("a").leases
    assert same is not None
    assert same.acquire("name", "third", 60.0).holder == "first"


def test_what_it_promises_is_told_once(machines, environment):
    events: list[Event] = []
    builder = machines("a", events)
    builder.build(environment)
    builder.build(environment, rebuild=True)
    told = [event.message for event in events if isinstance(event, Warned)]
    assert len([message for message in told if "no compare-and-set" in message]) == 1


def test_a_near_copy_of_the_registry(machines, environment, fake, tmp_path):
    """``sqlite: registry://…``: the registry decides and keeps images; what is near is asked first."""
    url = f"sqlite:{tmp_path}/near.sqlite registry://{fake.host}/team/cache"
    with Builder(cache=url, home=tmp_path / "n", backend="oci", plugins=machines("a").plugins_loaded) as builder:
        image = builder.build(environment)
        assert ("team/cache", image.key) in fake.manifests
        assert ("team/cache", image.key[:20]) in fake.manifests
        fake.requests.clear()
        assert builder.build(environment).hit
        assert fake.requests == []
    second = machines("b").build(environment)
    assert second.id == image.id


def test_nothing_that_speaks_http_is_imported_before_it_is_asked(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom coopery.stores import open_cache\n"
        "store = open_cache('registry://h.example/a/b?namespace=x', Path('/'))\nrepr(store)\nstore.close()\n"
        "assert not {'urllib3', 'ssl', 'concurrent.futures', 'cryptography', 'click', 'rich'} & sys.modules.keys()\n"
        "import coopery\nassert 'coopery.stores' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_doctor_asks_both_stores(machines, environment, fake, tmp_path):
    builder = machines("a", leases=f"sqlite:{tmp_path}/leases.sqlite")
    found = {one.name: one for one in stores(builder, Finding)}
    assert found["records"].works
    assert "no compare-and-set" in " ".join(found["records"].details)
    assert found["leases"].works
    assert "leases.sqlite" in " ".join(found["leases"].details)
    fake.fault("GET .*/manifests/", reply=Reply(403), times=99)
    records, leases = stores(machines("a"), Finding)
    assert not records.works
    assert "403" in records.problem
    assert "log in" in records.remedy
    assert "several machines may build one key" in leases.details[0]
    assert "no compare-and-set" in builder.settings_report().promise
