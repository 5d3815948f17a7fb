"""Many builders, one real registry: with leases of a Redis server one build per key; without any, one result."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from coopery.cache import Record
from coopery.errors import CacheError
from coopery.testing.scene import Scene
from real_redis import RealRedis
from soak import rounds

pytestmark = [pytest.mark.needs("registry", "redis"), pytest.mark.processes]


@pytest.fixture(scope="module")
def server() -> Iterator[RealRedis]:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket
        running = RealRedis(Path(folder), durable=False)
        running.start()
        yield running
        running.stop()


@pytest.fixture
def leased(tmp_path, open_real, server) -> Iterator[Scene]:
    from coopery_redis.address import parse
    from coopery_redis.store import RedisCache

    leases = RedisCache(parse(server.url(open_real.repository.partition("/")[2])))
    scene = Scene(tmp_path, open_real(), leases)
    yield scene
    scene.end()
    leases.close()


@pytest.fixture
def alone(tmp_path, open_real) -> Iterator[Scene]:
    scene = Scene(tmp_path, open_real())
    assert scene.leases is None
    yield scene
    scene.end()


def test_with_leases_one_missing_key_is_built_once(leased):
    crowd = rounds(8, 32)
    for number in range(rounds(1, 20)):
        results = leased.crowd(crowd, crowd, f"key {number}", 0.5)
        assert results == [leased.recorded(f"key {number}")] * crowd**2
        assert (leased.noted("build"), leased.noted("published")) == (number + 1, number + 1)


def test_without_leases_all_readers_converge(alone):
    """At least one build, at most one for each process; afterwards everybody gets one of them."""
    crowd = rounds(8, 32)
    results = alone.crowd(crowd, 4, "key", 0.2)
    settled = alone.recorded("key")
    assert settled in results
    assert 1 <= alone.noted("build") <= crowd
    assert all(isinstance(result, dict) for result in results), "nobody gets an error"
    assert alone.crowd(4, 2, "key", 0.0) == [settled] * 8
    assert 1 <= alone.noted("build") <= crowd


def test_a_killed_holder_is_replaced(leased):
    holder = leased.start(lambda: leased.in_threads(1, "key", 60, 1.0))
    leased.await_note("build")
    waiters = [leased.start(lambda: leased.in_threads(2, "key", 0.1, 1.0)) for _ in range(3)]
    leased.await_note("waiting", 3)
    os.kill(holder, signal.SIGKILL)
    assert leased.result(holder) == "SIGKILL"
    assert [result for pid in waiters for result in leased.result(pid)] == [leased.recorded("key")] * 6
    assert (leased.noted("build"), leased.noted("published")) == (2, 1)


def test_writers_killed_at_random(alone):
    """Whenever one is killed, the next gets it done, and everybody sees one record."""
    chance = random.Random(9)
    for number in range(rounds(8, 200)):
        key = f"key {number}"
        doomed = alone.start(lambda key=key: alone.in_threads(2, key, 0.0, 0.3))  # type: ignore[misc]  # its default is its type
        time.sleep(chance.uniform(0, 0.15))
        with suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGKILL)
        alone.result(doomed)
        assert alone.in_threads(2, key, 0.0) == [alone.recorded(key)] * 2
        assert alone.recorded(key) is not None


@pytest.mark.parametrize("point", ["record-put", "record-point", "record-done"])
def test_killed_at_each_point(alone, point):
    from coopery import faults

    def doomed() -> None:
        faults.configure(f"{point}:kill")
        alone.store.put(Record("resolution", "key", 1, {"by": "doomed"}, "w", 1.0), 0)

    assert alone.result(alone.start(doomed)) == "SIGKILL"
    late = Record("resolution", "key", 1, {"by": "late"}, "w", 2.0)
    kept = alone.store.put(late, 0)
    assert alone.recorded("key") == dict(kept.body)
    assert (kept == late) == (point == "record-put"), "a claim that was made counts"


def test_bits_that_flip_on_the_registry_s_disk(alone, real_open, open_real):
    """Whatever file of the repository is bent: never another record, and what is put then counts."""
    alone.store.put(Record("resolution", "key", 1, {"by": "me"}, "w", 1.0), 0)
    chance = random.Random(14)
    files = [
        path
        for path in real_open.storage.rglob("data")
        if path.is_file() and b"coopery.record" in path.read_bytes()[:600] and b'"key"' in path.read_bytes()
    ]
    assert files
    for _ in range(rounds(40, 500)):
        path = chance.choice(files)
        whole = path.read_bytes()
        bent = bytearray(whole)
        place = chance.randrange(len(bent) * 8)
        bent[place // 8] ^= 1 << place % 8
        path.write_bytes(bent)
        with suppress(CacheError):  # the registry may notice first, and refuse to give it
            found = alone.store.get("resolution", "key")
            assert found is None or found.body == {"by": "me"}
        path.write_bytes(whole)
    assert alone.recorded("key") == {"by": "me"}
    assert json.loads(json.dumps(alone.recorded("key"))) == {"by": "me"}
