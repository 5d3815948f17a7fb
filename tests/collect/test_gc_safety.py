"""gc beside builds, and gc that is killed: nobody misses anything, and nothing wrong is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from collect_tools import DAY, HOUR, age, blobs

from coopery import Builder, Environment, use
from coopery.home import Home
from coopery.oci.validate import validate_layout
from trunk import health

Define = Callable[..., Environment]
DEFINITION = {"base": "scratch", "steps": [{"copy": "common", "to": "/common"}, {"copy": "own", "to": "/own"}]}


def write(folder: Path, count: int) -> list[Path]:
    """*count* definitions, of which each has a file of its own and one that all share."""
    files = []
    for number in range(count):
        place = folder / f"definition-{number}"
        place.mkdir(parents=True)
        (place / "common").write_bytes(b"c" * 50_000)
        (place / "own").write_bytes(bytes([number % 256]) * 20_000)
        (place / "environment.json").write_text(json.dumps({**DEFINITION, "name": f"n{number % 5}"}))
        files.append(place / "environment.json")
    return files


@pytest.mark.processes
@pytest.mark.parametrize("rounds", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_builds_beside_collections_miss_nothing(tmp_path: Path, rounds: int) -> None:
    """PROMISES 16: 200 builds and reads, a collection every 50 ms that takes all that it may; 0 images missing."""
    count = 25 if rounds > 1 else 8
    home, files = tmp_path / "home", [str(file) for file in write(tmp_path, count)]
    builders = 4 if rounds > 1 else 2
    argv = [sys.executable, str(Path(__file__).with_name("builds_and_reads.py")), str(home)]
    jobs = [
        subprocess.Popen([*argv, *(files[start::2] + files) * rounds], stdout=subprocess.PIPE, text=True)
        for start in range(builders)
    ]
    taken = 0
    try:
        with Builder(home=home) as builder:
            while any(job.poll() is None for job in jobs):
                taken += len(builder.gc(keep_last=0, unused_for=0, max_size=0, grace=1.5).images)
                time.sleep(0.05)
    except BaseException:
        for job in jobs:
            job.kill()
            job.communicate()
        raise
    told = [(job.communicate()[0], job.returncode) for job in jobs]
    assert told == [("", 0)] * builders
    with Builder(home=home) as builder:
        age(home, HOUR)
        assert taken + len(builder.gc(keep_last=0, grace=0).images) >= count, "nothing was ever taken"
    assert blobs(home) == set()


@pytest.mark.processes
def test_a_build_keeps_old_layers_that_it_uses_again(tmp_path: Path) -> None:
    """A layer is old and its image goes, while a build that has found it is still at work on the next one."""
    home = tmp_path / "home"
    first, second = write(tmp_path, 2)
    with Builder(home=home) as builder:
        image = builder.build(Environment.load(first))
        common = builder.details(image.key).layers[0].digest
    age(home, DAY)
    argv = [sys.executable, "-m", "coopery", "build", str(second), "--home", str(home)]
    environ = {**os.environ, "COOPERY_FAULT": "blob-open:sleep=2:1"}
    with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert any(line.startswith("steps") for line in running.stderr)
        time.sleep(0.3)
        with Builder(home=home) as builder:
            done = builder.gc(keep_last=0, unused_for=0, max_size=0, grace=0)
        assert running.poll() is None, "it was over before the collection"
        assert running.wait() == 0, running.stderr.read()
    assert [gone.why for gone in done.images] == ["not used for that long"]
    assert common[7:] in blobs(home)
    with Builder(home=home) as builder:
        assert builder.build(Environment.load(second)).hit
    validate_layout(home / "images")


def test_who_builds_is_seen(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    assert use.since(tmp_path) is None
    with use.working(tmp_path):
        first = use.since(tmp_path)
        assert first is not None
        with use.working(tmp_path):
            assert use.since(tmp_path) == first
    assert use.since(tmp_path) is None
    assert list((tmp_path / use.ACTIVE).iterdir()) == []


def test_a_mark_waits_for_the_gate_and_sees_what_went(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    thing = tmp_path / "thing"
    thing.write_text("")
    seen: list[bool] = []
    marker = threading.Thread(target=lambda: seen.append(use.mark(thing, tmp_path / "staging")))
    with use.alone(tmp_path / "staging"):
        marker.start()
        marker.join(0.1)
        assert seen == []
        thing.unlink()
    marker.join()
    assert seen == [False]


def test_what_is_held_is_not_collected(builder: Builder, define: Define, home: Path) -> None:
    """An image unpacked for a run that lasts for days."""
    image = builder.build(define("a"))
    folder = home / "rootfs" / image.id[7:]
    (folder / "root").mkdir(parents=True)
    age(home, DAY)
    with use.holding(folder) as there:
        assert there
        builder.gc(keep_last=0, unused_for=0)
        assert folder.is_dir()
    builder.gc(unused_for=0)
    assert not folder.exists()
    with use.holding(folder) as there:
        assert not there


def test_what_is_used_by_path_stays_while_anybody_builds(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    package = home / "packages" / ("0" * 64)
    package.mkdir(parents=True)
    age(home, DAY)
    with use.working(home):
        done = builder.gc()
        assert package.is_dir()
        assert done.waiting > 0
    builder.gc()
    assert not package.exists()


@pytest.mark.processes
@pytest.mark.parametrize("point", ["index-replace", "gc-delete", "gc-empty"])
def test_a_collection_that_is_killed_leaves_a_sound_folder(tmp_path: Path, point: str) -> None:
    home, files = tmp_path / "home", write(tmp_path, 3)
    environments = [Environment.load(file) for file in files]
    argv = [sys.executable, "-m", "coopery", "gc", "--home", str(home), "--keep-last", "0", "--grace", "0s"]
    for passage in (1, 3, 9):
        with Builder(home=home) as builder:
            for environment in environments:
                builder.build(environment)
            builder.pin(environments[0], f"pin-{passage}")
        age(home, DAY)
        environ = {**os.environ, "COOPERY_FAULT": f"{point}:kill:{passage}"}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        killed = done.returncode == -signal.SIGKILL
        assert killed or done.returncode == 0, done.stderr
        with Builder(home=home) as builder:
            whole = [details.exists for details in builder.list()]
            assert sum(whole) >= 1, "what is pinned is whole"
            assert builder.build(environments[0]).hit
        if not killed:
            break
    assert passage > 1, f"{point} was never passed"
    with Builder(home=home) as builder:
        builder.gc(keep_last=0, grace=0)
        time.sleep(0.05)
        assert len(builder.disk().images) == 1
        needed = {name for image in builder.disk().images for name in [image.image]}
        assert len(needed) == 1
        assert list(Home(home).staging.iterdir()) == []
        assert builder.build(environments[0]).hit
    health.check_tidy(home)


@pytest.mark.processes
@pytest.mark.slow
def test_leftovers_of_killed_builds_go_and_live_blobs_stay(tmp_path: Path) -> None:
    """PROMISES 11: after kills, all staging and all orphan blobs go, and no blob of an image."""
    home, files = tmp_path / "home", write(tmp_path, 9)
    points = ("blob-write", "blob-fsync", "blob-rename", "blob-dirsync", "index-replace", "record-put", "claim")
    for number, file in enumerate(files):
        fault = f"{points[number % len(points)]}:kill:{1 + number // 4}" if number % 3 else ""
        argv = [sys.executable, "-m", "coopery", "build", str(file), "--home", str(home)]
        subprocess.run(argv, env={**os.environ, "COOPERY_FAULT": fault}, capture_output=True, check=False)
    time.sleep(0.1)
    with Builder(home=home) as builder:
        known = [details for details in builder.list() if details.exists]
        builder.gc(grace=0)
        assert list(Home(home).staging.iterdir()) == []
        assert list((home / use.ACTIVE).iterdir()) == []
        assert [details.exists for details in builder.list()] == [True] * len(known)
        used = builder.disk()
        assert {kind.kind for kind in used.kinds}.isdisjoint({"loose blobs"})
        assert len(known) >= 3
    health.check(home)
