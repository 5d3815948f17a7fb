"""Trees into one tar: parents, order, hard links, and what strangers' packages may not do."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest

from coopery.errors import IntegrityError, PackageError
from coopery.layer import Entry
from coopery.layers.cut import cut_into, lay_out
from coopery.layers.store import LayerStore
from coopery.target import Parent
from layers.forest import contents, file, folder, hardlink, listing, read, symlink, tar_of, tree, unpack


def test_every_parent_is_listed_once_and_before_its_children() -> None:
    tar = tar_of(tree("p", file("opt/env/lib/b"), file("opt/env.d/x"), file("opt/env/lib/a")))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        found = archive.getnames()
    assert found == ["opt", "opt/env", "opt/env.d", "opt/env.d/x", "opt/env/lib", "opt/env/lib/a", "opt/env/lib/b"]


def test_parents_keep_what_the_base_has_and_others_are_plain() -> None:
    parents = (Parent("/srv", 0o1777, 3, 4), Parent("/srv/private", 0o700, 1000, 1000), Parent("/unused", 0o700))
    tar = tar_of(tree("p", folder("srv", 0o755), file("srv/private/env/a")), parents=parents)
    found = {name: (oct(member.mode), member.uid, member.gid) for name, member in read(tar).items()}
    assert found == {
        "srv": ("0o1777", 3, 4),
        "srv/private": ("0o700", 1000, 1000),
        "srv/private/env": ("0o755", 0, 0),
        "srv/private/env/a": ("0o644", 0, 0),
    }


def test_a_directory_that_a_tree_lists_keeps_its_mode() -> None:
    tar = tar_of(tree("p", file("a/b/c"), folder("a/b", 0o2775, gid=8), folder("a/empty", 0o700)))
    assert [(m.name, oct(m.mode), m.gid) for m in read(tar).values() if m.isdir()] == [
        ("a", "0o755", 0),
        ("a/b", "0o2775", 8),
        ("a/empty", "0o700", 0),
    ]


def test_the_order_of_entries_does_not_matter() -> None:
    entries = [file(f"d{n % 7}/f{n}", b"%d" % n) for n in range(50)]
    entries += [hardlink("d0/a-link", "d0/f0"), hardlink("d9/z-link", "d0/a-link"), symlink("d0/s", "f0")]
    tars = set()
    for seed in range(5):
        random.Random(seed).shuffle(entries)
        tars.add(tar_of(tree("p", *entries)))
    assert len(tars) == 1


@pytest.mark.processes
def test_hard_links_stay_hard_links(tmp_path: Path) -> None:
    tar = tar_of(tree("p", file("z", b"content", 0o755), hardlink("a", "z"), hardlink("m", "a")))
    assert [(m.name, m.type, m.linkname) for m in read(tar).values()] == [
        ("a", tarfile.REGTYPE, ""),
        ("m", tarfile.LNKTYPE, "a"),
        ("z", tarfile.LNKTYPE, "a"),
    ]
    root = unpack([tar], tmp_path / "root")
    assert (root / "a").samefile(root / "z")
    assert listing(root)["m"][1:] == (0o755, b"content")


def test_a_hard_link_outlives_the_name_that_is_omitted() -> None:
    linked = tree("p", file("a", b"content"), hardlink("b", "a"), hardlink("c", "b"))
    tar = tar_of(linked, omit=[{"a", "b"}])
    assert contents(tar) == {"c": b"content"}
    assert tar_of(linked, omit=[{"a", "b", "c"}]) == bytes(1024)


def test_what_is_omitted_is_gone_and_nothing_else() -> None:
    tar = tar_of(tree("p", file("d/a"), file("e/b"), symlink("l", "a")), omit=[{"d/a", "l"}])
    assert list(read(tar)) == ["e", "e/b"]


def test_two_trees_share_directories_and_the_later_one_says_their_mode() -> None:
    one, two = tree("one", folder("d", 0o700), file("d/a")), tree("two", folder("d", 0o750), file("d/b"))
    assert [(name, oct(m.mode)) for name, m in read(tar_of(one, two)).items()] == [
        ("d", "0o750"),
        ("d/a", "0o644"),
        ("d/b", "0o644"),
    ]


def test_size_is_of_the_tree_alone_and_counts_what_is_omitted() -> None:
    parts = lay_out([tree("p", file("deep/down/a", b"x" * 513), symlink("b", "a"))], omit=[{"b"}]).parts
    assert [(part.size, part.listed) for part in parts] == [(512 + 1024 + 512, {"deep/down/a", "b"})]


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a/b/", "a\0b"),
        *(".wh.a", "a/.wh.b", "a/.wh..wh..opq", ".wh./b", "a\0", "\udcff", "n" * 256, "a/" + "é" * 128 + "/b"),
        "/".join(["d" * 100] * 41),
    ],
)
def test_paths_that_no_layer_may_have(path: str) -> None:
    with pytest.raises(PackageError) as caught:
        tar_of(tree("hostile", file("fine"), file(path)))
    assert caught.value.package == "hostile 1"


@pytest.mark.parametrize(
    "path", ["...", "..a", "a..", ".hidden", "a/.w", "wh.a", "a/b.wh.c", "a b", "-x", "a\nb", "\\", "*"]
)
def test_odd_paths_that_are_fine(path: str) -> None:
    assert path in read(tar_of(tree("p", file(path))))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([file("a"), file("a")], "comes twice"),
        ([folder("a"), folder("a")], "comes twice"),
        ([file("a"), file("a/b")], "'a/b' below it"),
        ([symlink("lib64", "lib"), file("lib64/b")], "a symlink, but"),
        ([hardlink("a", "/etc/passwd")], "no file of this package"),
        ([hardlink("a", "a")], "no file of this package"),
        ([hardlink("a", "b"), hardlink("b", "a")], "no file of this package"),
        ([folder("d"), hardlink("a", "d")], "no file of this package"),
        ([symlink("s", "x"), hardlink("a", "s")], "no file of this package"),
        ([symlink("s", "")], "target of a symlink"),
        ([symlink("s", "a\0b")], "target of a symlink"),
        ([file("a", mode=0o100644)], "0o7777"),
        ([file("a", uid=-1)], "out of range"),
        ([Entry("a", "device")], "got 'device'"),
        ([file("opt", b"x")], "the base has a directory there"),
    ],
)
def test_trees_that_contradict_themselves(entries: list[Entry], words: str) -> None:
    with pytest.raises(PackageError, match=words) as caught:
        tar_of(tree("hostile", *entries), parents=[Parent("/opt")])
    assert caught.value.package == "hostile 1"


def test_two_trees_that_contradict_each_other() -> None:
    for entries in ([file("a")], [file("a/b")], [folder("a")]):
        with pytest.raises(PackageError, match=r"(one|two) 1: 'a': .*(one|two) 1 has "):
            tar_of(tree("one", file("a")), tree("two", *entries))


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (Entry("a", source=Path("absent"), size=4), PackageError),
        (Entry("a", source=b"12345", size=4), IntegrityError),
    ],
)
def test_a_cut_that_fails_leaves_nothing(
    store: LayerStore, tmp_path: Path, entry: Entry, error: type[Exception]
) -> None:
    with pytest.raises(error):
        cut_into(store.blobs, [tree("p", file("b", bytes(1 << 21)), entry)])
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_a_blob_names_its_packages(store: LayerStore) -> None:
    layer, _ = cut_into(store.blobs, [tree("one", file("a")), tree("two", file("b"))])
    assert (layer.created_by, layer.packages, layer.made) == ("coopery: one 1, two 1", ("one", "two"), True)
    assert layer.digest == layer.diff_id
    assert store.blobs.size(layer.digest) == layer.size == len(store.blobs.read(layer.digest))
