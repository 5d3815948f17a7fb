"""Whose a store is, and what happens where it cannot be trusted, or not be written."""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from coopery import private
from coopery.cache import Record
from coopery.errors import CacheError
from coopery.leases import Outcome
from coopery.stores import leases_of, network_fs, open_cache, schema

RECORD = Record("resolution", "key", 1, {"a": 1}, "user@host", 1.5)
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to other users")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_folder_and_file_are_their_owner_s(tmp_path, umask):
    old = os.umask(umask)
    try:
        home = tmp_path / "a" / "home"
        cache = open_cache("sqlite:", home)
        assert cache.get("resolution", "key") is None
        assert not home.exists(), "asking made a folder"
        cache.put(RECORD, 0)
        assert (mode(home), mode(home / "records.sqlite")) == (0o700, 0o600)
        assert mode(home.parent) == 0o777 & ~umask
    finally:
        os.umask(old)


def test_our_own_folder_is_tightened_and_a_person_s_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o775)
    with pytest.raises(CacheError, match="others may write here"):
        open_cache(f"sqlite:{home}/records.sqlite", tmp_path).put(RECORD, 0)
    assert mode(home) == 0o775
    open_cache("sqlite:", home).put(RECORD, 0)
    assert mode(home) == 0o700


def test_links_are_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for target in (victim, tmp_path / "nowhere"):
        (home / "records.sqlite").symlink_to(target)
        cache = open_cache("sqlite:", home)
        with pytest.raises(CacheError, match="symlink"):
            cache.get("resolution", "key")
        with pytest.raises(CacheError, match="symlink"):
            cache.put(RECORD, 0)
        (home / "records.sqlite").unlink()
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(CacheError, match="symlink"):
        open_cache("sqlite:", tmp_path / "link").put(RECORD, 0)
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "nowhere").exists()
    assert list(home.iterdir()) == []


def test_a_link_that_appears_between_check_and_use_is_noticed(tmp_path):
    open_cache(f"sqlite:{tmp_path}/real.sqlite", tmp_path).put(RECORD, 0)
    (tmp_path / "records.sqlite").symlink_to(tmp_path / "real.sqlite")
    with pytest.raises(CacheError, match="it leads to"):
        schema.connect(tmp_path.resolve() / "records.sqlite")


def test_a_link_above_the_folder_is_ordinary(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    home = tmp_path / "cache" / "coopery 100% #?"
    open_cache("sqlite:", home).put(RECORD, 0)
    assert open_cache("sqlite:", home).get("resolution", "key") == RECORD


def test_a_journal_that_is_a_link_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    home = tmp_path / "home"
    cache = open_cache("sqlite:", home)
    cache.put(RECORD, 0)
    (home / "records.sqlite-journal").symlink_to(victim)
    with suppress(CacheError):
        cache.put(Record("resolution", "other", 1, {}), 0)
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize(
    "seconds", [pytest.param(0.7, id="short"), pytest.param(10.0, id="long", marks=pytest.mark.slow)]
)
def test_swapping_links_reaches_nothing_outside(tmp_path, seconds):
    victim = tmp_path / "victim"
    victim.write_bytes(b"")  # what SQLite would take for a new database, and fill
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            for name in ("records.sqlite", "records.sqlite-journal"):
                spare = home / f"spare-{name}"
                spare.symlink_to(victim)
                spare.replace(home / name)
                (home / name).unlink(missing_ok=True)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        end = time.monotonic() + seconds
        tried = 0
        while time.monotonic() < end or tried <= 10:  # a busy machine tries less in its time
            tried += 1
            try:
                open_cache("sqlite:", home, notice=lambda _text: None).put(Record("resolution", f"{tried}", 1, {}), 0)
            except CacheError:
                continue
    finally:
        stop.set()
        attacker.join()
    assert victim.read_bytes() == b""


@needs_root
def test_what_belongs_to_somebody_else_is_refused(tmp_path):
    for target in ("home", "home/records.sqlite"):
        home = tmp_path / target.replace("/", "-") / "home"
        cache = open_cache("sqlite:", home)
        cache.put(RECORD, 0)
        cache.close()
        os.chown(home.parent / target, NOBODY, NOBODY)
        with pytest.raises(CacheError, match="belongs to user 65534"):
            cache.get("resolution", "key")
        with pytest.raises(CacheError, match="belongs to user 65534"):
            cache.put(RECORD, 0)


def test_special_files_are_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.mkfifo(home / "records.sqlite")
    with pytest.raises(CacheError, match="no regular file"):
        open_cache("sqlite:", home).get("resolution", "key")
    with pytest.raises(CacheError, match="expected a folder"):
        private.check_folder(home / "records.sqlite")


def test_a_folder_that_cannot_be_written_is_read(open_folder, child):
    home = open_folder / "home"
    open_cache("sqlite:", home).put(RECORD, 0)
    lease = leases_of(open_cache("sqlite:", home)).acquire("busy", "owner", 60).lease
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    for path in (home, *home.iterdir()):
        os.chown(path, uid, -1)
        path.chmod(0o400)
    home.chmod(0o500)

    def work() -> list[str]:
        cache = open_cache("sqlite:", home)
        leases = leases_of(cache)
        assert cache.get("resolution", "key") == RECORD
        assert [found.name for found in cache.list("resolution")] == ["key"]
        assert cache.get("resolution", "other") is None
        assert leases.acquire("busy", "me", 60).lease is None
        assert leases.outcome("busy", 0) is None
        told = []
        for attempt in (
            lambda: cache.put(Record("resolution", "other", 1, {}), 0),
            lambda: cache.delete("resolution", "key"),
            lambda: leases.acquire("free", "me", 60),
            lambda: leases.renew(lease, 60),
            lambda: leases.release(lease, Outcome("done", lease.token)),
        ):
            try:
                attempt()
            except CacheError as exc:
                told.append(str(exc))
        assert cache.get("resolution", "key") == RECORD
        return told

    told = child(work, uid)
    home.chmod(0o700)
    assert len(told) == 5
    assert all("cannot be written" in text and "COOPERY_HOME" in text for text in told)
    assert sorted(found.name for found in home.iterdir()) == ["records-leases.sqlite", "records.sqlite"]


def test_a_home_that_cannot_be_made_is_a_miss_and_refuses_records(open_folder, child):
    def work() -> str:
        cache = open_cache("sqlite:", open_folder / "home")
        assert cache.get("resolution", "key") is None
        assert list(cache.list("resolution")) == []
        try:
            cache.put(RECORD, 0)
        except CacheError as exc:
            return str(exc)
        return ""

    open_folder.chmod(0o555)
    assert "cannot be written" in child(work, NOBODY)


MOUNTS = """\
22 1 252:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /net\\040home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /net\\040home/local rw - xfs /dev/sdb rw
32 22 0:42 / /scratch rw - lustre mds:/scratch rw
33 22 0:43 / /gpfs rw master:2 propagate_from:1 - gpfs fs0 rw
34 22 0:44 / /share rw - cifs //server/share rw
35 22 0:45 / /over rw - ext4 /dev/sdc rw
36 35 0:46 / /over rw - nfs server:/x rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/net home", "nfs4"),
        ("/net home/me", "nfs4"),
        ("/net homework", "ext4"),
        ("/net home/local/x", "xfs"),
        ("/scratch/me", "lustre"),
        ("/gpfs/me", "gpfs"),
        ("/share/me", "cifs"),
        ("/over/me", "nfs"),
    ],
)
def test_the_file_system_of_a_path(tmp_path, monkeypatch, path, kind):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr(network_fs, "MOUNTS", table)
    assert network_fs.type_of(path) == kind


def test_a_network_file_system_is_refused_unless_it_is_allowed(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(f"{MOUNTS}40 22 0:50 / {tmp_path} rw - nfs server:/x rw\n")
    monkeypatch.setattr(network_fs, "MOUNTS", table)
    home = tmp_path / "home"
    with pytest.raises(CacheError, match=r"network file system \(nfs\)"):
        open_cache("sqlite:", home).put(RECORD, 0)
    assert not (home / "records.sqlite").exists()
    allowed = open_cache("sqlite:?allow_network_fs=true", home)
    assert allowed.put(RECORD, 0) == RECORD
    assert (home / "records.sqlite").read_bytes()[18:20] == b"\x01\x01", "the journal mode is not DELETE"
    with pytest.raises(CacheError, match="network file system"):
        open_cache("sqlite:", home).get("resolution", "key")


def test_the_machine_s_own_table_is_read(tmp_path):
    assert network_fs.type_of(str(tmp_path.resolve()))
