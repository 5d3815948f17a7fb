"""A SIF as a base: what comes out of it is what went in, whoever compressed it and how."""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery import platform
from coopery.errors import BaseError, CooperyError, IntegrityError
from coopery.home import Home
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.oci.limits import Limits
from coopery.oci.validate import validate
from coopery.sif.base import read_sif
from coopery_singularity import sif as _sif

pytestmark = [pytest.mark.needs("mksquashfs"), pytest.mark.processes]

AMD64 = "linux/amd64"
LARGE = random.Random(1).randbytes(300_000) + b"end"
Sif = Callable[..., Path]


def members(make: SimpleNamespace) -> list[tuple[str, dict[str, object]]]:
    return [
        ("bin", make.link("usr/bin")),
        ("etc", make.folder()),
        ("etc/passwd", {"content": b"root:x:0:0::/root:/bin/sh\n", "mtime": 12}),
        ("etc/ünï \n\x01", {"content": b"odd"}),
        ("home", make.folder()),
        ("home/app", make.folder(uid=1000, gid=1001, mode=0o700, mtime=77)),
        ("home/app/again", {"type": tarfile.LNKTYPE, "linkname": "home/app/large"}),
        ("home/app/large", {"content": LARGE, "uid": 1000, "gid": 1001, "mode": 0o640}),
        ("tmp", make.folder(mode=0o1777)),
        ("usr", make.folder()),
        ("usr/bin", make.folder()),
        ("usr/bin/su", {"content": b"\x7fELF", "mode": 0o4755}),
        ("usr/empty", {"content": b""}),
        ("usr/pipe", {"type": tarfile.FIFOTYPE, "mode": 0o600}),
        ("usr/sparse", {"content": bytes(5 << 20)}),
    ]


def tar_in(image: Assembled, home: Home) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(home.blobs.path(image.layers[0].digest)) as tar:
        return {member.name: member for member in tar}


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "lzma"])
def test_every_kind_of_file_comes_out_as_it_went_in(
    make: SimpleNamespace, sif: Sif, home: Home, compression: str
) -> None:
    wanted = members(make)
    wanted.sort(key=lambda one: one[0] == "home/app/again")  # a tar names the file first
    image = read_sif(sif(wanted, "-comp", compression), AMD64, home.blobs)
    validate(image)
    found = tar_in(image, home)
    assert list(found) == sorted(found, key=lambda name: name.split("/"))
    assert found.keys() == {path for path, _ in wanted}
    for path, given in members(make):
        one = found[path]
        if path == "home/app/large":
            assert (one.type, one.linkname) == (tarfile.LNKTYPE, "home/app/again"), "the first name has the content"
            continue
        for name in ("mode", "uid", "gid", "mtime"):
            if name in given:
                assert getattr(one, name) == given[name], (path, name)
        assert one.linkname == ("" if path == "home/app/again" else given.get("linkname", ""))
    files = LayersFiles(image.layers, home.blobs)
    assert files.read("/home/app/large", 1 << 20) == LARGE
    assert files.read("/home/app/again", 1 << 20) == LARGE
    assert files.read("/usr/sparse", 6 << 20) == bytes(5 << 20)
    assert files.read("/etc/ünï \n\x01", 9) == b"odd"


def test_many_files_in_one_folder(make: SimpleNamespace, sif: Sif, home: Home) -> None:
    """More names than one run of a folder and one block of a table hold."""
    wanted = [("many", make.folder())] + [(f"many/{number:05}", {"content": b"%d" % number}) for number in range(3000)]
    files = LayersFiles(read_sif(sif(wanted), AMD64, home.blobs).layers, home.blobs)
    assert len(files.listdir("/many")) == 3000
    assert [files.read(f"/many/{number:05}", 9) for number in (0, 1234, 2999)] == [b"0", b"1234", b"2999"]


@pytest.mark.parametrize("options", [("-no-fragments",), ("-b", "4096"), ("-b", "1M"), ("-noI", "-noD", "-noF")])
def test_forms_of_a_squashfs_give_one_layer(
    make: SimpleNamespace, sif: Sif, home: Home, options: tuple[str, ...]
) -> None:
    wanted = members(make)
    wanted.sort(key=lambda one: one[0] == "home/app/again")
    plain = read_sif(sif([(path, {**given}) for path, given in wanted]), AMD64, home.blobs)
    assert read_sif(sif(wanted, *options), AMD64, home.blobs) == plain


def test_extended_attributes_that_belong_to_an_image_stay(make: SimpleNamespace, sif: Sif, home: Home) -> None:
    capability = "\x01\x00\x00\x02\x00\x04\x00\x00" + "\x00" * 12
    kept = {"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "x" * 300}
    given = {"content": b"", "pax_headers": {**kept, "SCHILY.xattr.trusted.gone": "y"}}
    image = read_sif(sif([("a", given), ("b", {"content": b""})]), AMD64, home.blobs)
    found = tar_in(image, home)
    xattrs = {name: value for name, value in found["a"].pax_headers.items() if name.startswith("SCHILY")}
    assert xattrs == kept
    assert not found["b"].pax_headers


def test_what_apptainer_put_in_for_itself_is_left_out(make: SimpleNamespace, sif: Sif, home: Home) -> None:
    wanted = [
        (".exec", make.link(".singularity.d/actions/exec")),
        (".singularity.d", make.folder()),
        (".singularity.d/runscript", {"content": b"#!/bin/sh\n"}),
        ("environment", make.link(".singularity.d/env/90-environment.sh")),
        ("kept", make.link("elsewhere")),
    ]
    assert tar_in(read_sif(sif(wanted), AMD64, home.blobs), home).keys() == {"kept"}


@pytest.mark.parametrize("whole", [True, False])
def test_the_config_of_the_image_that_it_was_made_from(sif: Sif, home: Home, whole: bool) -> None:
    """Ours is a whole config, Apptainer's the section alone."""
    section = {"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"a": "b"}, "User": "app", "Volumes": {"/v": {}}}
    document = {"config": section, "rootfs": {}} if whole else section
    image = read_sif(sif([("a", {})], config=json.dumps(document).encode()), AMD64, home.blobs)
    assert image.document["config"] == {"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"a": "b"}, "User": "app"}


@pytest.mark.parametrize(
    "config",
    [b"{", b"[]", b'"x"', b'{"Env": "A"}', b'{"Env": [1]}', b'{"User": 1}', b'{"Labels": {"a": 1}}', b"[" * 99_999],
)
def test_a_config_that_is_none(sif: Sif, home: Home, config: bytes) -> None:
    with pytest.raises(BaseError, match=r"oci-config\.json is no image config"):
        read_sif(sif([("a", {})], config=config), AMD64, home.blobs)


def test_the_platform_is_the_files_own(sif: Sif, home: Home) -> None:
    assert read_sif(sif([("a", {})], architecture=b"04"), AMD64, home.blobs).document["architecture"] == "arm64"
    assert read_sif(sif([("a", {})], architecture=b"00"), AMD64, home.blobs).document["architecture"] == "amd64"


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["lz4", "lzo"])
def test_a_compression_that_cannot_be_read(sif: Sif, home: Home, compression: str) -> None:
    with pytest.raises(BaseError, match=f"compressed by {compression}, which cannot be read here") as caught:
        read_sif(sif([("a", {"content": b"x" * 9000})], "-comp", compression), AMD64, home.blobs)
    assert "apptainer build" in caught.value.remedy


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"kind": 2}, "its file system is ext3"),
        ({"kind": 4}, "an encrypted squashfs"),
        ({"kind": 99}, "a file system of kind 99"),
        ({"use": 4}, "no file system to start from"),
    ],
)
def test_another_file_system(sif: Sif, home: Home, how: dict[str, int], words: str) -> None:
    with pytest.raises(BaseError, match=words):
        read_sif(sif([("a", {})], **how), AMD64, home.blobs)


def test_what_is_no_sif(tmp_path: Path, home: Home, make: SimpleNamespace) -> None:
    for data in (b"", b"text", make.tar([("a", {})]), bytes(40_000)):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(BaseError, match="no SIF"):
            read_sif(tmp_path / "x", AMD64, home.blobs)
    (tmp_path / "x").write_bytes(make.frame(b"no squashfs" * 99))
    with pytest.raises(BaseError, match="no squashfs"):
        read_sif(tmp_path / "x", AMD64, home.blobs)
    with pytest.raises(BaseError, match="cannot be read"):
        read_sif(tmp_path / "absent", AMD64, home.blobs)


def test_a_name_that_means_a_deletion(sif: Sif, home: Home) -> None:
    with pytest.raises(IntegrityError, match="deletion"):
        read_sif(sif([(".wh.etc", {})]), AMD64, home.blobs)


def test_a_bomb_is_cut_off(sif: Sif, home: Home) -> None:
    path = sif([("zeros", {"content": bytes(8 << 20)})])
    with pytest.raises(IntegrityError, match="more than its size can explain"):
        read_sif(path, AMD64, home.blobs, limits=Limits(floor=1 << 20, ratio=2))
    with pytest.raises(IntegrityError, match="more than 2 entries"):
        read_sif(sif([("a", {}), ("b", {})]), AMD64, home.blobs, limits=Limits(entries=2))


def test_a_file_that_is_cut_short(sif: Sif, home: Home, make: SimpleNamespace) -> None:
    path = sif(members(make)[:2])
    whole = path.read_bytes()
    for size in (*range(0, len(whole), 4999), 32768 + 100, len(whole) - 4096):
        path.write_bytes(whole[:size])
        with pytest.raises((BaseError, IntegrityError)):
            read_sif(path, AMD64, home.blobs)


def test_whatever_is_flipped_it_ends_in_words(sif: Sif, home: Home, make: SimpleNamespace) -> None:
    """Tables stand plain here, so that flipped bits reach what reads them and not only the decompressor."""
    wanted = [*members(make)[:6], ("a", {"content": b"x", "pax_headers": {"SCHILY.xattr.user.a": "b"}})]
    path = sif(wanted, "-noI", "-noX", "-noF", "-noD")
    whole = path.read_bytes()
    chance = random.Random(7)
    places = [*range(32, 128), *range(4096, 4096 + 80), *range(32768, 32768 + 96)]
    places += [chance.randrange(32768, len(whole)) for _ in range(300)]
    limits = Limits(size=64 << 20, floor=8 << 20, entries=1000)
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            read_sif(path, AMD64, home.blobs, limits=limits)
        except CooperyError:
            continue


def test_our_own_sif_comes_back(tmp_path: Path, home: Home, make: SimpleNamespace) -> None:
    config = json.dumps({"config": {"Env": ["A=1"]}, "rootfs": {}}).encode()
    system = make.squash(tmp_path / "made.sqfs", [("a", {"content": b"1"})], "-comp", "zstd")
    path = tmp_path / "own.sif"
    path.write_bytes(bytes(_sif.squashfs_at(config)) + system)
    _sif.write_frame(path, config, platform.of_host())
    image = read_sif(path, platform.of_host(), home.blobs)
    assert image.document["config"] == {"Env": ["A=1"]}
    assert LayersFiles(image.layers, home.blobs).read("/a", 9) == b"1"
