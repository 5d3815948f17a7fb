"""The bytes of a tar: what other readers make of them, and what a source may not do."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery import digest
from coopery.errors import IntegrityError, PackageError
from coopery.layer import Entry
from coopery.layers.header import BLOCK, FIXED_TIME, header
from coopery.layers.tar import CHUNK, TarWriter
from layers.forest import file, folder, hardlink, read, symlink, unpack

GOLDEN = "sha256:f3a4868fbac5eaabe523f2ac1642ab8bd9beb826df703ac85b6ba9aa4841943c"
"""Of `test_golden`'s tar. It changes only with `coopery.layers.compose.RECIPE`: every layer is cut anew then."""


class Nowhere:
    size = 0

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)


def written(*entries: Entry) -> bytes:
    sink = io.BytesIO()
    tar = TarWriter(sink)
    for entry in entries:
        tar.add(entry, "p 1")
    tar.close()
    return sink.getvalue()


words = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=90)
names = words | st.text("abc.-", min_size=1, max_size=90)
paths = st.lists(names, min_size=1, max_size=4).map("/".join).filter(lambda path: len(path.encode()) < 4000)
owners = st.integers(0, 2**32 - 1)


@settings(max_examples=80, deadline=None)
@given(
    paths, st.integers(0, 0o7777), owners, owners, st.binary(max_size=1500), st.sampled_from(["file", "symlink"]), paths
)
def test_tarfile_reads_back_what_was_written(
    path: str, mode: int, uid: int, gid: int, content: bytes, kind: str, link: str
) -> None:
    if kind == "file":
        entry = file(path, content, mode, uid=uid, gid=gid)
    else:
        entry = Entry(path, "symlink", mode, target=link, uid=uid, gid=gid)
    tar = written(entry, file("last", b"untouched"))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        member, last = archive.getmembers()
        assert (member.name, member.uid, member.gid, member.mtime) == (path, uid, gid, FIXED_TIME)
        if kind == "file":
            assert member.isreg()
            assert member.mode == mode
            assert archive.extractfile(member).read() == content  # type: ignore[union-attr]
        else:
            assert (member.issym(), member.linkname) == (True, link)
        assert archive.extractfile(last).read() == b"untouched"  # type: ignore[union-attr]


@settings(max_examples=80, deadline=None)
@given(
    paths, st.sampled_from(["file", "symlink", "hardlink", "directory"]), st.integers(0, 0o7777), owners, owners, paths
)
def test_headers_are_those_of_tarfile(path: str, kind: str, mode: int, uid: int, gid: int, link: str) -> None:
    types = {"file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
    link = link if kind.endswith("link") else ""
    theirs = tarfile.TarInfo(path)
    theirs.type, theirs.linkname, theirs.mode = types.get(kind, tarfile.DIRTYPE), link, mode
    theirs.uid, theirs.gid, theirs.mtime = uid, gid, FIXED_TIME
    if kind == "symlink":
        theirs.mode = 0o777
    ours = header(Entry(path, kind, mode, target=link, uid=uid, gid=gid))  # type: ignore[arg-type]
    plain = path.isascii() and link.isascii() and len(link) <= 100 and max(uid, gid) < 8**7
    if plain and 100 < len(path) + (kind == "directory") <= 256:
        try:
            assert ours == theirs.tobuf(tarfile.USTAR_FORMAT)
        except ValueError:  # no slash where one is needed
            assert ours == theirs.tobuf(tarfile.PAX_FORMAT)
    else:
        assert ours == theirs.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 200, 254, 255, 256, 257, 300, 1000])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_names_of_every_length(length: int, kind: str) -> None:
    path = ("d" * 49 + "/") * (length // 50 + 1)
    path = path[:length].rstrip("/").ljust(length, "x")
    entry = file(path, b"1") if kind == "file" else folder(path)
    assert list(read(written(entry))) == [path]


def test_pax_records_only_where_ustar_cannot_hold_it() -> None:
    plain = [file("a" * 100), file("d" * 155 + "/" + "n" * 100), symlink("s", "t" * 100), folder("d" * 99)]
    assert [len(header(entry)) for entry in plain] == [BLOCK] * 4
    assert all(block[257:265] == b"ustar\x0000" for block in map(header, plain))
    special = [file("a" * 101), file("ä"), symlink("s", "t" * 101), folder("d" * 100), Entry("big", size=8**11)]
    assert all(len(header(entry)) > BLOCK for entry in special)


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 10**13])
def test_sizes_around_8_gib(size: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(header(Entry("big", size=size)))) as archive:
        member = archive.next()  # reads the header and no further
    assert member is not None
    assert (member.name, member.size) == ("big", size)


@pytest.mark.processes
def test_gnu_tar_reads_every_kind(tmp_path: Path) -> None:
    deep = "/".join(["long directory name"] * 12)
    tar = written(
        folder("d", 0o750),
        file("d/b", b"content", 0o755),
        hardlink("d/h", "d/b"),
        symlink("d/s", "../ünïcode " + "x" * 120),
        file("d/é\n", b"1"),
        folder("long directory name"),
        file(deep, b"deep"),
        file("x" * 200, bytes(3 * CHUNK + 1)),
    )
    root = unpack([tar], tmp_path / "root")
    assert (root / "d").stat().st_mode & 0o7777 == 0o750
    assert (root / "d/h").samefile(root / "d/b")
    assert os.access(root / "d/b", os.X_OK)
    assert os.readlink(root / "d/s") == "../ünïcode " + "x" * 120
    assert (root / "d/é\n").read_bytes() == b"1"
    assert (root / deep).read_bytes() == b"deep"
    assert (root / ("x" * 200)).stat().st_size == 3 * CHUNK + 1
    assert (root / "d/b").stat().st_mtime == FIXED_TIME
    verbose = subprocess.run(["tar", "-tvf", "-"], input=tar, capture_output=True, check=True)
    assert not verbose.stderr


def test_golden() -> None:
    tar = written(folder("opt"), file("opt/a", b"a\n", 0o755), symlink("opt/l", "a"), file("opt/" + "é" * 60, b"last"))
    assert digest.of_bytes(tar) == GOLDEN
    assert len(tar) % BLOCK == 0
    assert tar.endswith(bytes(2 * BLOCK))
    assert not tar.endswith(bytes(3 * BLOCK))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, CHUNK - 512, CHUNK - 511, CHUNK, CHUNK + 1, 3 * CHUNK + 700])
def test_bytes_and_files_of_every_size_give_the_same_tar(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    before, after = file("a", b"before"), file("z", b"after")
    from_file = written(before, Entry("b", source=source, size=size), after)
    assert from_file == written(before, file("b", data), after)
    with tarfile.open(fileobj=io.BytesIO(from_file)) as archive:
        assert archive.extractfile("b").read() == data  # type: ignore[union-attr]


def test_a_large_file_needs_one_buffer(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with open(source, "wb") as stream:
        stream.truncate(64 << 20)
    sink = Nowhere()
    tracemalloc.start()
    try:
        tar = TarWriter(sink)
        tar.add(Entry("large", source=source, size=64 << 20))
        tar.close()
        assert tracemalloc.get_traced_memory()[1] < 4 * CHUNK
    finally:
        tracemalloc.stop()
    assert sink.size == (64 << 20) + 3 * BLOCK


@pytest.mark.parametrize("says", [0, 4, 6, 10_000])
def test_a_source_of_another_size_is_refused(tmp_path: Path, says: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"12345")
    for content in (source, b"12345"):
        with pytest.raises(IntegrityError, match=f"a: expected {says} bytes in .*, got 5"):
            written(Entry("a", source=content, size=says))


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite"])
def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    source = tmp_path / "source"
    size = 3 * CHUNK
    source.write_bytes(bytes(size))
    os.utime(source, ns=(1, 1))

    class Meddling(Nowhere):
        def write(self, data: bytes | memoryview) -> None:
            super().write(data)
            if change == "rewrite":
                source.write_bytes(b"x" * size)
            else:
                os.truncate(source, size + 1 if change == "grow" else CHUNK)

    tar = TarWriter(Meddling())
    with pytest.raises(IntegrityError, match="a: "):
        tar.add(Entry("a", source=source, size=size))


def test_links_pipes_folders_and_nothing_are_no_sources(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"of the host")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, why in [("link", "symbolic link"), ("pipe", "no regular"), ("folder", "no regular"), ("none", "No such")]:
        with pytest.raises(PackageError, match=why) as caught:
            written(Entry("a", source=tmp_path / name, size=11))
        assert caught.value.package == "p 1"


@pytest.mark.parametrize(
    "entry",
    [
        file("a\0b"),
        symlink("a", "b\0c"),
        file(""),
        file("a", mode=0o10000),
        file("a", mode=-1),
        file("a", uid=-1),
        file("a", gid=2**32),
        Entry("a", size=-1),
        file("\udc80"),
    ],
)
def test_what_no_header_can_hold_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError):
        header(entry)
