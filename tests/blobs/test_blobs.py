"""The blob store: what is there is whole, whatever the disk, other writers or a kill did."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery import digest as _digest
from coopery import faults
from coopery.blobs import BlobStore, BlobWriter
from coopery.errors import CacheError, IntegrityError, StoreFull
from soak import rounds

DATA = b"some bytes " * 1000
DIGEST = _digest.of_bytes(DATA)


@pytest.fixture
def store(tmp_path) -> BlobStore:
    return BlobStore(tmp_path / "blobs", tmp_path / "staging")


@pytest.fixture(autouse=True)
def _no_faults():
    yield
    faults.configure("")


def staged(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "staging").glob("*"))


def write(store: BlobStore, data: bytes = DATA, piece: int = 1000, expected=None) -> None:
    with store.create(expected) as writer:
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])


def test_what_is_put_is_read(store, tmp_path):
    assert store.put(DATA) == DIGEST
    assert store.read(DIGEST) == DATA
    assert store.size(DIGEST) == len(DATA)
    assert store.path(DIGEST) == tmp_path / "blobs" / "sha256" / _digest.hex_of(DIGEST)
    assert staged(tmp_path) == []


def test_an_empty_blob_is_a_blob(store):
    assert store.read(store.put(b"")) == b""


def test_what_is_not_here(store):
    assert store.size(DIGEST) is None
    with pytest.raises(FileNotFoundError):
        store.read(DIGEST)
    for hostile in ("sha256:../../etc/passwd", "md5:x", f"{DIGEST}/..", DIGEST.upper()):
        with pytest.raises(ValueError, match="expected sha256"):
            store.path(hostile)


def test_a_writer_knows_its_digest_at_the_end(store):
    with store.create() as writer:
        assert writer.write(memoryview(DATA)) == len(DATA)
        assert writer.digest is None
    assert (writer.digest, writer.size) == (DIGEST, len(DATA))


@pytest.mark.parametrize(
    "wrong", [DATA[:-1], DATA + b"x", b"", b"X" + DATA[1:]], ids=["short", "long", "none", "other"]
)
def test_other_bytes_than_expected_are_not_kept(store, tmp_path, wrong):
    with pytest.raises(IntegrityError, match=f"expected {DIGEST}"):
        write(store, wrong, expected=DIGEST)
    assert store.size(DIGEST) is None
    assert store.size(_digest.of_bytes(wrong)) is None
    assert staged(tmp_path) == []


def test_an_error_of_the_caller_keeps_nothing(store, tmp_path):
    for error in (RuntimeError("the mirror is gone"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            _break_off(store, error)
    assert staged(tmp_path) == []
    assert store.size(DIGEST) is None


def _break_off(store: BlobStore, error: BaseException) -> None:
    with store.create() as writer:
        writer.write(DATA)
        raise error


class Partial(io.RawIOBase):
    """A disk that takes at most *most* bytes at a time, and *space* in all."""

    def __init__(self, most: int, space: int) -> None:
        self.kept = bytearray()
        self._most = most
        self._space = space

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        size = min(len(data), self._most, self._space - len(self.kept))
        if size == 0 and len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        self.kept += data[:size]
        return size


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(max_size=50), max_size=20), most=st.integers(1, 60), space=st.integers(0, 500))
def test_a_disk_that_takes_a_part_is_asked_for_the_rest_or_says_so(pieces, most, space):
    disk = Partial(most, space)
    writer = BlobWriter(disk)
    whole = b"".join(pieces)
    try:
        for piece in pieces:
            writer.write(piece)
    except OSError:
        assert len(whole) > space
    else:
        assert bytes(disk.kept) == whole
        assert writer.finish() == _digest.of_bytes(whole)


@pytest.mark.parametrize("offset", range(50))
def test_a_full_disk_at_each_offset_leaves_nothing(store, tmp_path, offset):
    faults.configure(f"blob-write:enospc:{offset + 1}")
    with pytest.raises(StoreFull, match="no space left"):
        write(store, DATA[:500], piece=10)
    assert staged(tmp_path) == []
    assert not list((tmp_path / "blobs").rglob("*"))
    faults.configure("")
    write(store)
    assert store.read(DIGEST) == DATA


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.processes
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    try:
        store = BlobStore(disk / "blobs", disk / "staging")
        kept = store.put(b"small")
        with pytest.raises(StoreFull):
            store.put(os.urandom(300_001))  # in one write, of which the disk takes a part
        assert list((disk / "staging").iterdir()) == []
        assert [path.name for path in (disk / "blobs" / "sha256").iterdir()] == [_digest.hex_of(kept)]
        assert store.read(store.put(DATA)) == DATA
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("point", ["blob-open", "blob-fsync", "blob-rename", "blob-dirsync"])
@pytest.mark.parametrize(("action", "error"), [("eio", CacheError), ("enospc", StoreFull)])
def test_a_disk_that_fails_is_an_error(store, tmp_path, point, action, error):
    faults.configure(f"{point}:{action}")
    with pytest.raises(error):
        store.put(DATA)
    # A rename that could not be synced may stay: the blob is whole. Nothing else does.
    assert store.size(DIGEST) == (len(DATA) if point == "blob-dirsync" else None)
    assert staged(tmp_path) == []
    faults.configure("")
    store.put(DATA)
    assert store.read(DIGEST) == DATA


def test_the_order_of_syncs(store, monkeypatch):
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def traced_fsync(handle: int) -> None:
        done.append("fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file")
        fsync(handle)

    def traced_replace(source, target) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "replace", traced_replace)
    store.put(DATA)
    assert done == ["fsync file", "rename", "fsync folder"]


WRITER = """
import sys
from pathlib import Path
from coopery.blobs import BlobStore
store = BlobStore(Path(sys.argv[1], "blobs"), Path(sys.argv[1], "staging"))
with store.create() as writer:
    for _ in range(1000):
        writer.write(b"some bytes ")
print("done", flush=True)
"""


@pytest.mark.parametrize("point", ["blob-open", "blob-write:kill:500", "blob-fsync", "blob-rename", "blob-dirsync"])
@pytest.mark.processes
def test_killed_at_each_point(store, tmp_path, point):
    fault = point if ":" in point else f"{point}:kill"
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], env={**os.environ, "COOPERY_FAULT": fault}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert store.size(DIGEST) == (len(DATA) if point == "blob-dirsync" else None)
    write(store)
    assert store.read(DIGEST) == DATA


def test_many_writers_of_one_blob(store, tmp_path):
    gate = threading.Barrier(8)
    failed = []

    def work() -> None:
        gate.wait()
        try:
            write(store, piece=100)
            assert store.read(DIGEST) == DATA
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert staged(tmp_path) == []
    assert len(list((tmp_path / "blobs" / "sha256").iterdir())) == 1


def test_every_flipped_bit_is_noticed_and_put_mends_it(store):
    rng = random.Random(5)
    for number in range(rounds(200, 1000)):
        data = rng.randbytes(rng.randrange(1, 2000))
        digest = store.put(data)
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        store.path(digest).write_bytes(damaged)
        with pytest.raises(IntegrityError, match="holds other bytes"):
            store.read(digest)
        if number % 10 == 0:
            assert store.put(data) == digest
            assert store.read(digest) == data


def test_a_blob_larger_than_expected_is_not_read(store):
    digest = store.put(DATA)
    with pytest.raises(IntegrityError, match="larger than 10 bytes"):
        store.read(digest, limit=10)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_of_a_blob_does_not_depend_on_the_umask(store, umask):
    old = os.umask(umask)
    try:
        store.put(DATA)
    finally:
        os.umask(old)
    assert store.path(DIGEST).stat().st_mode & 0o777 == 0o644


@pytest.mark.processes
def test_faults_are_off_unless_asked_for():
    code = "from coopery import faults; [faults.point(name) for name in faults.POINTS]; print('unharmed')"
    environ = {name: value for name, value in os.environ.items() if name != "COOPERY_FAULT"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "unharmed\n")


@pytest.mark.parametrize(
    "text", ["nowhere:kill", "claim", "claim:", "claim:explode", "claim:kill:x", "claim:kill,nowhere:eio", "kill"]
)
def test_a_misspelt_fault_is_an_error(text):
    with pytest.raises(ValueError, match="COOPERY_FAULT"):
        faults.configure(text)


def test_the_nth_passage_is_hit_and_no_other():
    faults.configure("blob-write:eio:3,blob-open:sleep=0.001")
    faults.point("blob-open")
    faults.point("blob-fsync")
    for passage in (1, 2, 3, 4):
        if passage == 3:
            with pytest.raises(OSError, match="injected") as caught:
                faults.point("blob-write")
            assert caught.value.errno == errno.EIO
        else:
            faults.point("blob-write")
