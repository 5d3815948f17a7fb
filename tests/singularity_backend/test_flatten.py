"""A layer stack as one tar: what ``tarfile`` reads back is what the tree says."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import IntegrityError
from coopery.layer import Layer
from coopery.oci.flatten import Added, flatten

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

LONG = "deep/" * 40 + "ü" * 60


def plain(workshop, members) -> Layer:
    """A layer made by ``tarfile``: times, names and owners that cutting would not write."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields in members:
            member = tarfile.TarInfo(name)
            content = fields.pop("content", b"")
            member.size = len(content)
            for field, value in fields.items():
                setattr(member, field, value)
            tar.addfile(member, io.BytesIO(content))
    digest = workshop.blobs.put(stream.getvalue())
    return Layer(digest, digest, len(stream.getvalue()))


def flat(workshop, *layers, added=()):
    stream = io.BytesIO()
    flatten(layers, workshop.blobs, stream, added=added)
    return stream.getvalue()


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        return {member.name: member for member in tar}


def test_whiteouts_are_applied_and_the_rest_is_kept(workshop):
    low = plain(
        workshop,
        [
            ("a", {"type": tarfile.DIRTYPE, "mode": 0o2750, "uid": 7, "gid": 8, "mtime": 5}),
            ("a/gone", {"content": b"x"}),
            ("a/stays", {"content": b"stays", "mode": 0o4755, "mtime": 1_700_000_000}),
            ("b/all", {"content": b"x"}),
            ("link", {"type": tarfile.SYMTYPE, "linkname": "a/stays"}),
        ],
    )
    top = plain(workshop, [("a/.wh.gone", {}), ("b/.wh..wh..opq", {}), ("b/new", {"content": b"new"})])
    data = flat(workshop, low, top)
    found = read(data)
    assert sorted(found) == ["a", "a/stays", "b", "b/new", "link"]
    assert (found["a"].mode, found["a"].uid, found["a"].gid, found["a"].mtime) == (0o2750, 7, 8, 5)
    assert (found["a/stays"].mode, found["a/stays"].mtime, found["a/stays"].size) == (0o4755, 1_700_000_000, 5)
    assert found["link"].linkname == "a/stays"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.extractfile("b/new").read() == b"new"


def test_what_no_field_of_a_header_holds(workshop):
    members = [
        (LONG, {"content": b"deep"}),
        ("to", {"type": tarfile.SYMTYPE, "linkname": "t" * 300}),
        ("owner", {"uid": 3_000_000, "gid": 2**31, "mtime": -5}),
    ]
    found = read(flat(workshop, plain(workshop, members)))
    assert found[LONG].size == 4
    assert found["to"].linkname == "t" * 300
    assert (found["owner"].uid, found["owner"].gid, found["owner"].mtime) == (3_000_000, 2**31, -5)


def test_names_that_are_no_utf8(workshop):
    layer = plain(workshop, [("caf\udce9", {"content": b"1"})])
    assert list(read(flat(workshop, layer))) == ["caf\udce9"]


def test_a_hard_link_is_one_file(workshop):
    layer = plain(workshop, [("z", {"content": b"one"}), ("a", {"type": tarfile.LNKTYPE, "linkname": "z"})])
    found = read(flat(workshop, layer))
    assert found["a"].isreg()
    assert (found["z"].islnk(), found["z"].linkname) == (True, "a")


def test_devices_are_left_out_and_counted(workshop):
    layer = plain(workshop, [("null", {"type": tarfile.CHRTYPE}), ("pipe", {"type": tarfile.FIFOTYPE}), ("f", {})])
    assert flatten([layer], workshop.blobs, io.BytesIO()).skipped == 2


def test_what_is_added_lies_on_top(workshop):
    layer = plain(workshop, [("etc/x", {"content": b"old"}), ("tmp", {"type": tarfile.SYMTYPE, "linkname": "var/tmp"})])
    added = [Added("etc/x", content=b"new", mode=0o755), Added("tmp", "directory"), Added("n/e/w", content=b"1")]
    data = flat(workshop, layer, added=added)
    found = read(data)
    assert found["tmp"].issym(), "a folder of ours replaces nothing"
    assert (found["etc/x"].size, found["etc/x"].mode) == (3, 0o755)
    assert found["n/e/w"].mtime == 0
    with pytest.raises(IntegrityError, match="a folder above it is a symlink"):
        flat(workshop, layer, added=[Added("tmp/x", content=b"")])
    assert "tmp/x" not in read(flat(workshop, layer, added=[Added("tmp/x", "directory")]))


def test_a_damaged_layer_is_refused(workshop):
    layer = plain(workshop, [("f", {"content": b"content"})])
    flat(workshop, layer)
    path = workshop.blobs.path(layer.digest)
    path.write_bytes(path.read_bytes().replace(b"content", b"CONTENT"))
    with pytest.raises(IntegrityError):
        flat(workshop, layer)
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        flat(workshop, layer)


NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "c/d/f", "g"])


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(NAMES, st.binary(max_size=700)), max_size=4), max_size=3))
def test_it_is_what_unpacking_gives(tmp_path_factory, make, stacks):
    from coopery.oci.extract import extract

    workshop = make.shop(tmp_path_factory.mktemp("home"), lambda _event: None)
    layers = []
    for stack in stacks:
        folders = {"/".join(name.split("/")[:end]) for name, _ in stack for end in range(1, name.count("/") + 1)}
        files = {name: content for name, content in stack if name not in folders}
        layers.append(plain(workshop, [(name, {"content": content}) for name, content in files.items()]))
    target = tmp_path_factory.mktemp("extracted") / "root"
    extract(layers, workshop.blobs, target)
    data = flat(workshop, *layers)
    found = read(data)
    there = {str(path.relative_to(target)): path for path in target.rglob("*")}
    assert sorted(found) == sorted(there)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for name, path in there.items():
            if path.is_file():
                assert tar.extractfile(name).read() == path.read_bytes()
