"""The tar reader against Python's own writer, in every format, and against what no writer writes."""

import io
import tarfile
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import IntegrityError
from coopery.oci.limits import Limits
from coopery.oci.stream import Stream
from coopery.oci.tar import Member, TarReader

Tar = Callable[..., bytes]
FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def read(data: bytes, limits: Limits | None = None) -> list[tuple[Member, bytes]]:
    stream = Stream(io.BytesIO(data))
    found = []
    for member in TarReader(stream, limits or Limits(), "x.tar"):
        found.append((member, b"".join(bytes(piece) for piece in stream.pieces(member.size))))
    return found


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_reads_all_kinds_in_every_format(tar: Tar, form: int) -> None:
    fields = {"uid": 1000, "gid": 50, "mode": 0o6751, "mtime": 1_700_000_000}
    data = tar(
        [
            ("d/", None),
            ("d/file", b"content" * 100, fields),
            ("d/link", "->../away"),
            ("d/hard", "=>d/file"),
            ("d/pipe", b"", {"type": tarfile.FIFOTYPE}),
            ("long/" * 30 + "name", b"x"),
            ("d/far", "->" + "up/" * 40),
        ][: 5 if form == tarfile.USTAR_FORMAT else 7],
        form,
    )
    members = {member.path: (member, content) for member, content in read(data)}
    file, content = members["d/file"]
    assert content == b"content" * 100
    assert (file.uid, file.gid, file.mode, file.mtime) == (1000, 50, 0o6751, 1_700_000_000 * 10**9)
    assert data[file.offset : file.offset + file.size] == content
    assert members["d/link"][0].target == "../away"
    assert members["d/hard"][0].target == "d/file"
    assert [members[path][0].kind for path in ("d", "d/pipe")] == ["directory", "other"]


_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
_PATHS = (
    st.lists(_NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=8)
    .map("/".join)
    .filter(lambda path: path == path.strip("/") and len(path.encode()) < 3000)
)


@settings(max_examples=60)
@given(
    path=_PATHS,
    content=st.binary(max_size=1500),
    mode=st.integers(0, 0o7777),
    owner=st.integers(0, 2**32 - 2),
    mtime=st.integers(0, 2**40),
    form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_reads_what_tarfile_writes(path: str, content: bytes, mode: int, owner: int, mtime: int, form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        member = tarfile.TarInfo(path)
        member.size, member.mode, member.uid, member.gid, member.mtime = len(content), mode, owner, owner, mtime
        archive.addfile(member, io.BytesIO(content))
    ((found, bytes_found),) = read(buffer.getvalue())
    assert (found.path, bytes_found, found.mode, found.uid) == (path, content, mode, owner)
    assert found.mtime == mtime * 10**9


def test_keeps_fractions_of_seconds_before_and_after_1970(tar: Tar) -> None:
    data = tar([("a", b"", {"mtime": 1.25}), ("b", b"", {"mtime": -0.5})])
    assert [member.mtime for member, _ in read(data)] == [1_250_000_000, -500_000_000]


def test_keeps_names_that_are_no_utf8() -> None:
    member = tarfile.TarInfo("caf\udce9")
    data = member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape") + bytes(1024)
    assert read(data)[0][0].path.encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_normalizes_paths(tar: Tar) -> None:
    data = tar([("./", None), ("./a//b/./c", b""), ("/absolute", b"")])
    assert [member.path for member, _ in read(data)] == ["", "a/b/c", "absolute"]


def test_an_archive_without_end_mark_is_read_and_said_so(tar: Tar) -> None:
    data = tar([("a", b"1")])[:1024]
    reader = TarReader(Stream(io.BytesIO(data)), Limits(), "x")
    assert [member.path for member in reader] == ["a"]
    assert not reader.ended


def record(text: bytes) -> bytes:
    """An extended header with *text* as it stands."""
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, len(text)
    return member.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % 512)


def pax(**records: str) -> bytes:
    return record(b"".join(_record(f" {name}={value}\n".encode()) for name, value in records.items()))


def _record(text: bytes) -> bytes:
    """*text* with its length, which counts its own digits, in front."""
    return next(b"%d" % size + text for size in range(len(text), len(text) + 9) if len(b"%d" % size + text) == size)


FILE = tarfile.TarInfo("file").tobuf(tarfile.USTAR_FORMAT)
END = bytes(1024)


def with_field(start: int, value: bytes, header_before: bytes = FILE) -> bytes:
    """A header with one field overwritten and the checksum made to fit."""
    header = bytearray(header_before)
    header[start : start + len(value)] = value
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


BAD = {
    "checksum": FILE.replace(b"file", b"FILE") + END,
    "no tar at all": b"<html>" * 1000,
    "half a header": FILE + FILE[:100],
    "header cut": FILE[:300],
    "content cut": with_field(124, b"00000002000") + bytes(512),
    "padding cut": with_field(124, b"00000000001") + b"x",
    "entries behind a lone zero block": FILE + bytes(512) + FILE + END,
    "sparse, GNU": with_field(156, b"S") + END,
    "sparse, pax": pax(**{"GNU.sparse.major": "1"}) + FILE + END,
    "multi-volume": with_field(156, b"M") + END,
    "unknown type": with_field(156, b"Z") + END,
    "a number with a sign": with_field(100, b"-000644\0") + END,
    "a number with an underscore": with_field(100, b"0_00644\0") + END,
    "a number with a prefix": with_field(100, b"0o00644\0") + END,
    "a number that is not octal": with_field(100, b"0000689\0") + END,
    "negative size, base 256": with_field(124, b"\xff" * 12) + END,
    "size of 2^90, base 256": with_field(124, b"\x80\x04" + bytes(10)) + END,
    "owner of 2^40": with_field(108, b"\x80\0\x01" + bytes(5)) + END,
    "owner -1": pax(uid="-1") + FILE + END,
    "owner that chown takes for nobody": pax(uid=str(2**32 - 1)) + FILE + END,
    "dot-dot": with_field(0, b"../x") + END,
    "dot-dot in the middle": with_field(0, b"a/../../x\0") + END,
    "empty name": with_field(0, bytes(5)) + END,
    "a name of 256 bytes": pax(path="x" * 256) + FILE + END,
    "a name of 256 bytes in 64 characters": pax(path="\U0001f600" * 64) + FILE + END,
    "a path of 5,000 bytes": pax(path="abcd/" * 1000) + FILE + END,
    "a NUL in a pax path": pax(path="a\0b") + FILE + END,
    "a file with a slash at its end": with_field(0, b"dir/") + END,
    "pax without a length": record(b"path=x\n") + FILE + END,
    "pax with a short length": record(b"3 path=x\n") + FILE + END,
    "pax with a long length": record(b"99 path=x\n") + FILE + END,
    "pax without an equals sign": record(b"8 pathx\n") + FILE + END,
    "pax without a name": record(b"5 =x\n") + FILE + END,
    "pax with a size that is no number": pax(size="1e3") + FILE + END,
    "pax with a time that is no number": pax(mtime="1.x") + FILE + END,
    "pax of 2 MiB": with_field(156, b"x", with_field(124, b"00010000000")) + bytes(2 << 20) + FILE + END,
    "pax and then nothing": pax(path="x") + END,
    "global pax with a path": with_field(156, b"g", pax(path="x")[:512]) + pax(path="x")[512:] + FILE + END,
    "empty symlink": with_field(156, b"2") + END,
    "symlink with a NUL": pax(linkpath="a\0b") + with_field(156, b"2") + END,
    "hard link out": pax(linkpath="../../etc/passwd") + with_field(156, b"1") + END,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_refuses_what_engines_could_read_differently(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"x\.tar: "):
        read(data)


def test_a_size_in_an_extended_header_is_the_size() -> None:
    data = pax(size="3") + FILE + b"abc" + bytes(509) + END
    assert read(data)[0][1] == b"abc"


def test_counts_entries(tar: Tar) -> None:
    data = tar([(f"f{n}", b"") for n in range(11)])
    assert len(read(data, Limits(entries=11))) == 11
    with pytest.raises(IntegrityError, match="more than 10 entries"):
        read(data, Limits(entries=10))


@settings(max_examples=80)
@given(st.data())
def test_damage_is_read_as_something_or_refused(data: st.DataObject) -> None:
    good = bytearray(FILE + pax(path="other") + FILE + END)
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with suppress(IntegrityError):
        for member, _ in read(bytes(good)):
            assert ".." not in member.path.split("/")
