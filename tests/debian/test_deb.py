from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from coopery.errors import BaseError
from coopery.layer import Entry
from coopery_debian.merge_usr import leads_to, merged
from coopery_debian.unpack import unpack
from debian.miniature import PACK, Item, ar, deb, tar

CONTROL = "Package: hello\nVersion: 1.0\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def laid_out(data: bytes, scratch: Path, package: str = "hello") -> dict[str, Entry]:
    path = scratch.parent / "package.deb"
    path.write_bytes(data)
    return {entry.path: entry for entry in unpack(path, package, scratch)}


def content(entry: Entry) -> bytes:
    return entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()


@pytest.mark.parametrize("suffix", PACK)
def test_every_compression(suffix: str, scratch: Path) -> None:
    items = [Item("./usr/"), Item("./usr/bin/"), Item("./usr/bin/hello", b"hi", 0o4755, uid=3, gid=50)]
    entries = laid_out(deb(CONTROL, items, suffix), scratch)
    hello = entries["usr/bin/hello"]
    assert (content(hello), hello.mode, hello.uid, hello.gid) == (b"hi", 0o4755, 3, 50)
    assert entries["usr/bin"].kind == "directory"


def test_status_is_kept_and_scripts_are_not(scratch: Path) -> None:
    entries = laid_out(deb(CONTROL, []), scratch)
    assert sorted(entries) == ["var/lib/dpkg/status.d/hello", "var/lib/dpkg/status.d/hello.md5sums"]
    assert content(entries["var/lib/dpkg/status.d/hello"]) == CONTROL.encode()


def test_large_files_go_through_the_disk(scratch: Path) -> None:
    data = bytes(range(256)) * 4096
    entry = laid_out(deb(CONTROL, [Item("./big", data)]), scratch)["big"]
    assert isinstance(entry.source, Path)
    assert content(entry) == data


def test_usr_is_merged(scratch: Path) -> None:
    items = [
        Item("./bin/"),
        Item("./bin/sh", link="dash"),
        Item("./lib64/"),
        Item("./lib64/ld.so", link="/lib/ld.so"),
        Item("./lib/"),
        Item("./lib/ld.so", b"elf", 0o755),
        Item("./usr/"),
        Item("./usr/lib/"),
        Item("./usr/lib/other", b""),
        Item("./lib/same", hard="./lib/ld.so"),
    ]
    entries = laid_out(deb(CONTROL, items), scratch)
    assert not [path for path in entries if path.split("/")[0] in ("bin", "lib", "lib64")]
    assert entries["usr/bin/sh"].target == "dash"
    assert entries["usr/lib64/ld.so"].target == "/lib/ld.so"
    assert entries["usr/lib/same"].target == "usr/lib/ld.so"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("target", ["/bin/touch", "../../bin/touch"])
def test_a_link_between_the_two_halves_of_usr_never_replaces_the_file(order: int, target: str, scratch: Path) -> None:
    items = [Item("./bin/touch", b"elf", 0o755), Item("./usr/bin/touch", link=target)][::order]
    assert laid_out(deb(CONTROL, items), scratch)["usr/bin/touch"].kind == "file"


def test_the_later_of_two_files_stays(scratch: Path) -> None:
    assert (
        content(laid_out(deb(CONTROL, [Item("./bin/x", b"1"), Item("./usr/bin/x", b"2")]), scratch)["usr/bin/x"])
        == b"2"
    )


def test_the_links_themselves_are_the_base_layouts(scratch: Path) -> None:
    assert "bin" not in laid_out(deb(CONTROL, [Item("./bin", link="usr/bin")]), scratch)


def test_where_paths_lead() -> None:
    assert merged("lib") == "lib"
    assert merged("lib/x") == "usr/lib/x"
    assert merged("library/x") == "library/x"
    assert leads_to("usr/bin/x", "../../bin/x") == "usr/bin/x"
    assert leads_to("bin/x", "../../../../sbin/y") == "usr/sbin/y"


HOSTILE_ITEMS = {
    "dot-dot": Item("./../x", b""),
    "dot-dot inside": Item("./a/../../x", b""),
    "absolute": Item("/etc/passwd", b""),
    "empty part": Item("./a//b", b""),
    "whiteout": Item("./etc/.wh.passwd", b""),
    "opaque": Item("./etc/.wh..wh..opq", b""),
    "device": Item("./dev/null", kind=tarfile.CHRTYPE),
    "pipe": Item("./pipe", kind=tarfile.FIFOTYPE),
    "hard link out": Item("./x", hard="../../etc/passwd"),
    "line end in a target": Item("./x", link="a\nb"),
}


@pytest.mark.parametrize("name", HOSTILE_ITEMS)
def test_hostile_paths_are_refused(name: str, scratch: Path) -> None:
    with pytest.raises(BaseError, match="hello"):
        laid_out(deb(CONTROL, [HOSTILE_ITEMS[name]]), scratch)
    assert not any(scratch.iterdir())


def test_a_file_below_a_link_is_refused(scratch: Path) -> None:
    with pytest.raises(BaseError, match="lies below a, which is no directory"):
        laid_out(deb(CONTROL, [Item("./a", link="/etc"), Item("./a/passwd", b"")]), scratch)


def test_another_packages_name_is_refused(scratch: Path) -> None:
    with pytest.raises(BaseError, match="says that it is 'other'"):
        laid_out(deb("Package: other\n", []), scratch)


GOOD = deb(CONTROL, [Item("./x", b"y" * 5000)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>\n",
        b"PK\3\4" + bytes(100),
        GOOD[:100],
        GOOD[:-40],
        GOOD.replace(b"`\n", b"`!"),
        ar([("debian-binary", b"2.0\n"), ("control.tar.xz", b"not xz"), ("data.tar.xz", b"")]),
        ar([("debian-binary", b"2.0\n"), ("control.tar.rar", b""), ("data.tar.rar", b"")]),
        ar([("debian-binary", b"2.0\n"), ("control.tar", tar([Item("./control", CONTROL.encode())]))]),
        ar([("debian-binary", b"2.0\n"), ("control.tar", tar([])), ("data.tar", tar([]))]),
        ar([("a", b"")] * 100),
        ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar", tar([Item("./control", CONTROL.encode())])),
                ("data.tar", b"x" * 1024),
            ]
        ),
    ],
)
def test_damaged_packages_are_refused(data: bytes, scratch: Path) -> None:
    with pytest.raises(BaseError, match="hello"):
        laid_out(data, scratch)


@pytest.mark.parametrize("at", range(0, len(GOOD), 61))
def test_cut_short_anywhere(at: int, scratch: Path) -> None:
    with pytest.raises(BaseError):
        laid_out(GOOD[:at], scratch)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".xz", ".zst", ".gz"])
def test_a_bomb_is_bounded(suffix: str, scratch: Path) -> None:
    bomb = deb(CONTROL, [Item("./zeros", bytes(48 << 20))], suffix)
    with pytest.raises(BaseError, match="far more than a package of its size"):
        laid_out(bomb, scratch)
