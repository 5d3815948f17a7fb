"""The directory store: where things stand, and what machines do whose view of the folder is old."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery.cache import Record
from coopery.errors import CacheError, UsageError
from coopery.leases import Lease, Outcome
from coopery.stores import leases_of, open_cache, slots
from coopery.stores.directory import DirectoryCache
from coopery.stores.shelves import spelled, where


def record(name: str = "key", generation: int = 1, writer: str = "user@host") -> Record:
    return Record("resolution", name, generation, {"by": writer, "text": name[:9] * 30}, writer, 1.5)


def entries(top: Path, name: str = "key", kind: str = "resolution-1") -> list[str]:
    shelf = where(name)
    return sorted(path.name for path in (top / kind / shelf.shard / shelf.folder).iterdir())


# --- where things stand -------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["directory:{}/a b", "directory://{}/a b?mode=private", "directory:{}/a b?mode=group"])
def test_where_records_are_kept(tmp_path, url):
    url = url.format(tmp_path)
    assert open_cache(url, tmp_path).get("resolution", "key") is None
    assert list(tmp_path.iterdir()) == [], "asking made a folder"
    open_cache(url, tmp_path).put(record(), 0)
    assert entries(tmp_path / "a b") == (["1", "made"] if "group" in url else ["1"])
    assert open_cache(url, tmp_path).get("resolution", "key") == record()
    assert leases_of(open_cache(url, tmp_path)) is not None


@pytest.mark.parametrize(
    "url", ["directory:", "directory:a/b", "directory:/a?mode=shared", "directory:/a?x=1", "directory:/a?namespace=.."]
)
def test_what_is_no_directory_store_is_refused(tmp_path, url):
    with pytest.raises(UsageError, match=r"expected an absolute path|unknown option|expected up to 64 letters"):
        open_cache(url, tmp_path)


def test_namespaces_of_one_folder_do_not_know_of_each_other(tmp_path):
    a, b, none = (
        open_cache(f"directory:{tmp_path}/top{query}", tmp_path) for query in ("?namespace=A", "?namespace=a", "")
    )
    a.put(record(writer="a"), 0)
    assert (b.get("resolution", "key"), none.get("resolution", "key")) == (None, None)
    b.put(record(writer="b"), 0)
    assert a.get("resolution", "key") == record(writer="a")
    assert (list(none.list("resolution")), list(b.list("resolution"))) == ([], [record(writer="b")])
    assert [leases_of(store).acquire("key", "me", 60).lease is not None for store in (a, b, none)] == [True] * 3


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), unique=True, max_size=20))
@settings(max_examples=50)
def test_every_name_has_a_folder_of_its_own_that_any_file_system_can_hold(names):
    folders = [where(name) for name in names]
    assert len({(shelf.shard, shelf.folder.casefold()) for shelf in folders}) == len(names)
    for name, shelf in zip(names, folders, strict=True):
        assert 0 < len(shelf.folder.encode()) <= 220
        assert set(shelf.folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_%")
        for end in range(len(name)):
            assert spelled(name).startswith(spelled(name[:end]))


def test_names_that_are_told_by_no_folder_are_listed(tmp_path):
    cache = DirectoryCache(tmp_path / "top")
    names = ["", "x" * 400, "x" * 401, "x", "y"]
    for name in names:
        cache.put(record(name), 0)
    junk = tmp_path / "top" / "resolution-1" / "zz"
    junk.mkdir()
    (tmp_path / "top" / "resolution-1" / where("x").shard / "%h00").mkdir()
    (tmp_path / "top" / "resolution-1" / "aa").mkdir(exist_ok=True)
    (tmp_path / "top" / "resolution-1" / "aa" / "x").mkdir()
    assert [found.name for found in cache.list("resolution")] == sorted(names)
    assert [found.name for found in cache.list("resolution", "x")] == ["x", "x" * 400, "x" * 401]
    assert cache.get("resolution", "") == record("")


def test_a_name_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(CacheError, match="no name of a record"):
        DirectoryCache(tmp_path / "top").get("resolution", "\ud800")


# --- the log ------------------------------------------------------------------------------------------


def test_what_is_deleted_leaves_no_bytes_and_no_way_back(tmp_path):
    cache = DirectoryCache(tmp_path / "top")
    for generation in (1, 2):
        cache.put(record(generation=generation), generation - 1)
    assert cache.delete("resolution", "key")
    folder = tmp_path / "top" / "resolution-1" / where("key").shard / "key"
    assert [(folder / str(number)).read_bytes() for number in (1, 2)] == [slots.VOID] * 2
    cache.put(record(writer="anew"), 0)
    assert [cache.get("resolution", "key", n) for n in (1, 2)] == [record(writer="anew"), None]
    cache.put(record(generation=2, writer="anew"), 1)
    assert cache.get("resolution", "key", 1) == record(writer="anew")
    assert entries(tmp_path / "top") == ["1", "2", "3", "4", "5"]


def test_a_lease_that_is_used_often_stays_small(tmp_path):
    leases = DirectoryCache(tmp_path / "top")
    for _ in range(5):
        lease = leases.acquire("key", "me", 60).lease
        assert lease is not None
        assert leases.renew(lease, 60)
        leases.release(lease, Outcome("done", lease.token))
    assert entries(tmp_path / "top", kind="lease-1") == ["10"]


def test_the_time_to_live_is_that_of_the_last_renewal(tmp_path):
    now = [0.0]
    holder = DirectoryCache(tmp_path / "top")
    waiter = DirectoryCache(tmp_path / "top", clock=lambda: now[0])
    lease = holder.acquire("key", "holder", 60).lease
    assert lease is not None
    assert holder.renew(lease, 5)
    assert waiter.acquire("key", "waiter", 60).lease is None
    now[0] = 4.9
    assert waiter.acquire("key", "waiter", 60).lease is None
    now[0] = 5.0
    assert waiter.acquire("key", "waiter", 60).lease is not None
    assert not holder.renew(lease, 5)


def test_what_dead_writers_left_goes_by_the_server_s_clock(tmp_path):
    cache = DirectoryCache(tmp_path / "top")
    cache.put(record(), 0)
    folder = tmp_path / "top" / "resolution-1" / where("key").shard / "key"
    for name, age in (("new-old", slots.LEFTOVER + 60), ("new-young", 60.0)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    cache.put(record(generation=2), 1)
    assert entries(tmp_path / "top") == ["1", "2", "new-young"]


def test_numbers_that_nobody_could_have_made_do_no_harm(tmp_path):
    cache = DirectoryCache(tmp_path / "top")
    cache.put(record(), 0)
    folder = tmp_path / "top" / "resolution-1" / where("key").shard / "key"
    for name in ("0", "01", "x", "-1", "1e3", "²", "9" * 30):
        (folder / name).write_bytes(b"junk")
    assert cache.get("resolution", "key") == record()
    (folder / "999999999").write_bytes(slots.VOID)
    assert cache.get("resolution", "key") == record()
    with pytest.raises(CacheError, match="no entry can follow"):
        cache.put(record(generation=2), 1)


def test_a_file_system_without_hard_links_is_named_as_the_cause(tmp_path, monkeypatch):
    def link(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", link)
    with pytest.raises(CacheError, match="no hard links"):
        DirectoryCache(tmp_path / "top").put(record(), 0)
    assert entries(tmp_path / "top") == []


def test_a_link_whose_answer_was_lost_is_ours(tmp_path, monkeypatch):
    """A file server's client asks again when no answer came, and is told that the name is taken: by itself."""
    link = os.link

    def twice(*args: Any, **options: Any) -> None:
        link(*args, **options)
        link(*args, **options)

    monkeypatch.setattr("os.link", twice)
    cache = DirectoryCache(tmp_path / "top")
    assert cache.put(record(), 0) == record()
    assert cache.acquire("key", "me", 60).lease is not None


def test_a_hit_asks_little_and_imports_little(tmp_path):
    DirectoryCache(tmp_path / "top").put(record(), 0)
    code = (
        "import sys, pathlib, coopery.stores;"
        f"coopery.stores.open_cache('directory:{tmp_path}/top', pathlib.Path('/none')).get('resolution', 'key');"
        "heavy = 'sqlite3 logging urllib.request tempfile random pwd click rattler pluggy socket subprocess "
        "coopery.stores.claim_log';"
        "print(*sorted(set(heavy.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


# --- machines that see what was ------------------------------------------------------------------------


class Machine:
    """A store on a machine that answers questions about a folder from memory, until it writes there itself."""

    current: Machine | None = None

    def __init__(self, top: Path) -> None:
        self.store = DirectoryCache(top)
        self.held: list[Lease] = []
        self.memory: dict[int, list[int]] = {}
        self._written: set[int] = set()

    def acting(self, fresh: bool) -> Machine:
        """For one call; with *fresh*, the memory has just expired."""
        self._written = set()
        if fresh:
            self.memory = {}
        return self

    def __enter__(self) -> DirectoryCache:
        Machine.current = self
        return self.store

    def __exit__(self, *_exc: object) -> None:
        Machine.current = None

    def wrote(self, folder: int) -> None:
        self._written.add(os.fstat(folder).st_ino)

    def listed(self, folder: int, truth: list[int]) -> list[int]:
        inode = os.fstat(folder).st_ino
        if inode in self._written or inode not in self.memory:
            self.memory[inode] = truth
        return self.memory[inode]


@pytest.fixture
def machines(tmp_path_factory, monkeypatch):
    numbers, append = slots.numbers, slots.append

    def remembered(folder: int) -> list[int]:
        truth = numbers(folder)
        return truth if Machine.current is None else Machine.current.listed(folder, truth)

    def appended(folder: int, *args: Any, **options: Any) -> bool:
        made = append(folder, *args, **options)
        if Machine.current is not None:
            Machine.current.wrote(folder)
        return made

    monkeypatch.setattr(slots, "numbers", remembered)
    monkeypatch.setattr(slots, "append", appended)
    monkeypatch.setattr("os.fsync", lambda _handle: None)  # of no matter here, and most of the time

    def three() -> list[Machine]:
        top = tmp_path_factory.mktemp("shared") / "top"
        return [Machine(top) for _ in range(3)]

    return three


_SEEN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _moves(*names: str) -> st.SearchStrategy[list[tuple[int, bool, str]]]:
    return st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from(names)), max_size=30)


@_SEEN
@given(_moves("put", "put", "get", "delete"))
def test_an_old_view_never_makes_a_second_winner(machines, moves):
    """Whoever is told that its record holds is the only one for that generation, and everybody with eyes sees it."""
    crowd = machines()
    truth: Record | None = None
    for number, (who, fresh, move) in enumerate(moves):
        with crowd[who].acting(fresh) as store:
            seen = store.get("resolution", "key")
            if move == "put":
                mine = record(generation=seen.generation + 1 if seen else 1, writer=f"{number}")
                try:
                    kept = store.put(mine, mine.generation - 1)
                except CacheError:
                    continue  # what it saw had been deleted
                if kept == mine:
                    assert mine.generation == (truth.generation + 1 if truth else 1)
                    truth = mine
            elif move == "delete" and store.delete("resolution", "key"):
                truth = None
        assert crowd[0].store.get("resolution", "key") == truth


@_SEEN
@given(_moves("acquire", "acquire", "renew", "release"))
def test_an_old_view_never_makes_a_second_holder(machines, moves):
    crowd = machines()
    holder: Lease | None = None
    for who, fresh, move in moves:
        machine = crowd[who]
        with machine.acting(fresh) as store:
            if move == "acquire":
                claim = store.acquire("key", f"{who}", 3600)
                if claim.lease is not None:
                    assert holder is None
                    holder = claim.lease
                    machine.held.append(holder)
            elif machine.held and move == "renew":
                assert store.renew(machine.held[-1], 3600) == (machine.held[-1] == holder)
            elif machine.held:
                store.release(machine.held[-1], Outcome("done", machine.held[-1].token))
                holder = None if machine.held[-1] == holder else holder
        left = crowd[0].store.outcome("key", 0)
        assert left is None or left.state == "done"
