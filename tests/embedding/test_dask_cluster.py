"""`Builder.build_many` on a real Dask cluster, of which a worker is killed, with leases in a real Redis."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopery import Builder, Environment
from real_redis import RealRedis
from soak import rounds

pytestmark = [pytest.mark.processes, pytest.mark.needs("redis"), pytest.mark.filterwarnings("ignore")]

WORKERS = 4


@pytest.fixture
def records() -> Iterator[str]:
    """The URL of a store on a server of the test's own."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket
        server = RealRedis(Path(folder), durable=False)
        server.start()
        yield server.url("cluster")
        server.stop()


def test_each_definition_is_built_once_though_a_worker_dies(cluster, records, tmp_path, monkeypatch, request):
    """Each worker is a machine with a disk of its own; who dies in a build is replaced when its lease has expired."""
    from distributed import Client, get_task_stream
    from waiting import until

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    count = rounds(60, 200)
    (tmp_path / "data").write_bytes(os.urandom(rounds(100_000, 8_000_000)))
    workers = [cluster.worker(COOPERY_HOME=f"{tmp_path}/worker-{number}") for number in range(WORKERS)]
    definitions = [
        Environment.from_dict({"base": "scratch", "steps": [{"copy": "data", "to": f"/data-{number}"}]}, tmp_path)
        for number in range(count)
    ]
    with (
        Client(scheduler_file=str(cluster.file), set_as_default=False) as client,
        Builder(cache=records, backend="oci", lease_seconds=2.0) as builder,
    ):
        client.wait_for_workers(WORKERS)

        def kill() -> None:
            until(lambda: len(builder.list()) >= count // 4)
            workers[0].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        started = time.monotonic()
        with get_task_stream(client=client) as tasks:
            results = builder.build_many(definitions, client.get_executor())
            wall = time.monotonic() - started
        killer.join()
        recorded = builder.list()
    images = [result.result() for result in results]
    assert len({image.id for image in images}) == count
    assert {image.generation for image in images} == {1}
    assert sorted(details.key for details in recorded) == sorted(image.key for image in images)
    built = sum("base: started" in log.read_text() for log in tmp_path.glob("worker-*/logs/*/*.log"))
    assert built - count in (0, 1), "only what the killed one was at is built a second time"
    alive = 0.25 / WORKERS + 0.75 / (WORKERS - 1)  # seconds of an ideal split, for each second of work
    inside = sum(dict(image.made.seconds).get("total", 0.0) for image in images)
    asked = sum(
        one["stop"] - one["start"] for task in tasks.data for one in task["startstops"] if one["action"] == "compute"
    )
    told = f"{wall:.1f} s; of an ideal split over those alive: {wall / (asked * alive):.2f} by what calls of build took"
    told += f" there, {wall / (inside * alive):.2f} by what was between their first and last event"
    if count == 200:
        alone = _alone(tmp_path) * count / min(WORKERS - 1, os.cpu_count() or 1)
        told += f", {wall / alone:.2f} by what they take alone, over the processors"
    message = f"{count} definitions, {WORKERS} workers, one killed: {told}\n"
    with request.getfixturevalue("capsys").disabled():
        sys.stdout.write(message)


def _alone(folder: Path) -> float:
    """Seconds of one such build where nothing else runs, the first ones, which import and make folders, left out."""
    definitions = [
        Environment.from_dict({"base": "scratch", "steps": [{"copy": "data", "to": f"/alone-{number}"}]}, folder)
        for number in range(24)
    ]
    with Builder(home=folder / "alone", backend="oci") as builder:
        for definition in definitions[:4]:
            builder.build(definition)
        started = time.monotonic()
        for definition in definitions[4:]:
            builder.build(definition)
        return (time.monotonic() - started) / len(definitions[4:])
