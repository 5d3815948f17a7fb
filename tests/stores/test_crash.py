"""Processes that are killed, disks that fail, forks in the middle: what was told is kept, nothing else is harmed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from coopery import faults, processes
from coopery.cache import Record
from coopery.errors import CacheError, StoreFull
from coopery.leases import Outcome
from coopery.stores import holder
from coopery.stores.database import Database
from coopery.stores.directory import DirectoryCache
from coopery.stores.schema import RECORDS
from coopery.stores.sqlite import SqliteCache
from soak import rounds

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


def record(name: str, generation: int = 1) -> Record:
    return Record("resolution", name, generation, {"text": name * 50}, "user@host", 1.5)


@pytest.fixture(autouse=True)
def _no_faults():
    yield
    faults.configure("")


@pytest.mark.parametrize(
    ("point", "kept"), [("record-put", False), ("record-done", True)], ids=["record-put", "record-done"]
)
def test_killed_at_a_point(tmp_path, child, point, kept):
    path = tmp_path / "records.sqlite"
    SqliteCache(path).put(record("before"), 0)

    def work() -> None:
        faults.configure(f"{point}:kill")
        SqliteCache(path).put(record("key"), 0)

    for _ in range(5):
        assert child(work) == "SIGKILL"
    cache = SqliteCache(path)
    assert cache.get("resolution", "before") == record("before")
    assert cache.get("resolution", "key") == (record("key") if kept else None)
    assert cache.put(record("key"), 0) == record("key")
    assert [found.name for found in tmp_path.iterdir()] == ["records.sqlite"]


@pytest.mark.parametrize("point", ["claim", "renew", "release"])
def test_a_holder_killed_at_a_point_is_replaced_at_once(tmp_path, child, point):
    path = tmp_path / "records.sqlite"

    def work() -> None:
        faults.configure(f"{point}:kill")
        cache = SqliteCache(path)
        lease = cache.acquire("key", "victim", 3600).lease
        assert lease is not None
        cache.renew(lease, 3600)
        cache.release(lease, Outcome("done", lease.token))

    for _ in range(5):
        assert child(work) == "SIGKILL"
    claim = SqliteCache(path).acquire("key", "next", 3600)
    assert claim.lease is not None
    assert claim.outcome is None


@pytest.mark.parametrize(("action", "error"), [("enospc", StoreFull), ("eio", CacheError)])
def test_a_failing_disk_stores_nothing(tmp_path, action, error):
    cache = SqliteCache(tmp_path / "records.sqlite")
    cache.put(record("key"), 0)
    faults.configure(f"record-put:{action}")
    with pytest.raises(error):
        cache.put(record("key", 2), 1)
    faults.configure("")
    assert cache.get("resolution", "key") == record("key")
    assert cache.put(record("key", 2), 1) == record("key", 2)


def test_a_full_database_is_store_full(tmp_path):
    cache = SqliteCache(tmp_path / "records.sqlite")
    cache.put(record("small"), 0)
    connection = cache._files[0]._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to meet a full disk
    with pytest.raises(StoreFull, match="no space left"):
        cache.put(Record("resolution", "large", 1, {"text": "x" * 100_000}), 0)
    assert cache.get("resolution", "large") is None
    assert cache.get("resolution", "small") == record("small")


WRITER = """
import sys
from pathlib import Path
from coopery.cache import Record
from coopery.stores.directory import DirectoryCache
from coopery.stores.sqlite import SqliteCache
cache = {"sqlite": SqliteCache, "directory": DirectoryCache}[sys.argv[3]](Path(sys.argv[1]))
start = int(sys.argv[2])
for number in range(start, start + 1000):
    cache.put(Record("resolution", str(number), 1, {"number": number, "text": "x" * 6000}), 0)
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    "times", [pytest.param(4, id="short"), pytest.param(rounds(60, 2000), id="long", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("store", [SqliteCache, DirectoryCache])
def test_killed_at_random_loses_nothing_that_was_told(tmp_path, times, store):
    path = tmp_path / "records"
    rng = random.Random(7)
    told: list[str] = []
    notices: list[str] = []
    for number in range(times):
        argv = [sys.executable, "-c", WRITER, str(path), str(number * 1000), store.scheme]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            new = [writer.stdout.readline().strip()]
            time.sleep(rng.random() * 0.06)
            writer.kill()
            new += writer.stdout.read().split("\n")[:-1]
        told += new
        last = number == times - 1
        cache = store(path, notices.append)
        for name in told if last else (*new, *rng.sample(told, min(20, len(told)))):
            found = cache.get("resolution", name)
            assert found is not None, f"{name} was told and is lost"
            assert found.body == {"number": int(name), "text": "x" * 6000}
        if last:
            assert {found.name for found in cache.list("resolution")} >= set(told)
        cache.close()
    assert notices == []
    assert len(told) > times


@pytest.mark.parametrize(
    "forks", [pytest.param(5, id="short"), pytest.param(rounds(30, 100), id="long", marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # that is what is tested
def test_forks_beside_busy_threads(tmp_path, child, forks):
    cache = SqliteCache(tmp_path / "records.sqlite")
    cache.put(record("key"), 0)
    stop = threading.Event()
    written: list[int] = []
    failed: list[Exception] = []

    def write(first: int) -> None:
        number = first
        while not stop.is_set():
            try:
                cache.put(record(f"parent {number}"), 0)
                written.append(number)
            except CacheError as exc:
                failed.append(exc)
                return
            number += 2
            time.sleep(0.002)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(forks):

            def work(number: int = number) -> bool:
                assert cache._files[0]._connection is None, "the parent's connection is still in use"
                assert cache.get("resolution", "key") == record("key")
                name = f"child {number}"
                return cache.put(record(name), 0) == cache.get("resolution", name) == record(name)

            assert child(work) is True
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    names = {found.name for found in cache.list("resolution")}
    assert names == {"key", *(f"parent {n}" for n in written), *(f"child {n}" for n in range(forks))}
    assert not list(tmp_path.glob("*corrupt*"))


def test_who_holds_a_lease_and_whether_it_lives(child):
    assert not holder.is_dead(holder.me())
    gone = child(holder.me)
    assert gone != holder.me()
    assert holder.is_dead(gone)
    world, pid, started = holder.me().rpartition(" ")[0].rpartition(" ")[0], os.getpid(), holder.me().split()[-1]
    assert holder.is_dead(f"{world} {pid} {int(started) - 1}"), "another process of the same pid"
    assert not holder.is_dead(f"other-boot 1 {pid} 1")
    assert not holder.is_dead(f"{world} 1 {processes.began(1)}")
    for unknown in ("", "x", "a b c", f"{world} x 1", f"{world} {2**70} 1", f"{world} {pid} "):
        assert not holder.is_dead(unknown)


def test_a_zombie_is_dead_and_a_stopped_process_is_not():
    with subprocess.Popen(["sleep", "60"]) as process:
        name = f"{holder._world()} {process.pid} {processes.began(process.pid)}"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        assert not holder.is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet waited for
        assert holder.is_dead(name)


def test_a_process_that_holds_the_lock_is_named_as_the_cause(tmp_path, monkeypatch):
    monkeypatch.setattr("coopery.stores.database.BUSY_SECONDS", 0.1)
    path = tmp_path / "records.sqlite"
    first, second = SqliteCache(path), SqliteCache(path)
    first.put(record("key"), 0)
    connection = first._files[0]._connection
    assert connection is not None
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CacheError, match="was locked for"):
        second.put(record("other"), 0)
    connection.execute("ROLLBACK")
    assert second.put(record("other"), 0) == record("other")


def test_an_old_connection_cannot_write_into_what_was_set_aside(tmp_path):
    path = tmp_path / "records.sqlite"
    old = SqliteCache(path)
    old.put(record("key"), 0)
    Path(path).rename(tmp_path / "aside")
    assert SqliteCache(path).put(record("key", 1), 0) == record("key")
    assert old.put(record("other"), 0) == record("other")
    assert SqliteCache(path).get("resolution", "other") == record("other")
    assert SqliteCache(tmp_path / "aside").get("resolution", "other") is None


def test_a_database_that_is_set_aside_during_a_transaction_is_left(tmp_path):
    path = tmp_path / "records.sqlite"
    SqliteCache(path).put(record("key"), 0)
    database = Database(path, RECORDS, pytest.fail)
    runs = []

    def change(connection) -> None:
        runs.append(connection)
        if len(runs) == 1:
            path.rename(tmp_path / "aside")
        connection.execute("INSERT INTO records_1 VALUES ('resolution', 'other', x'', x'')")

    database.write(change)
    assert len(runs) == 2
    kept = "SELECT name FROM records_1"
    assert database.read(lambda connection: connection.execute(kept).fetchall(), []) == [("other",)]
    assert SqliteCache(tmp_path / "aside").get("resolution", "key") == record("key")
