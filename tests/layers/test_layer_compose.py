"""All layers of stage 2: their union, what is reused, and what a failure leaves."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from coopery.blobs import BlobStore, BlobWriter
from coopery.errors import CacheError, IntegrityError, PackageError, StoreFull
from coopery.events import Event, LayerDone, Progress
from coopery.layer import Entry, Tree
from coopery.layers.store import LayerStore
from coopery.target import Parent
from layers import forest
from layers.forest import SITE, file, folder, made, many, read, small_environment, target, tree

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


def unread(tree: Tree) -> Tree:
    """*tree*, failing the test when it is laid out again."""

    def entries() -> Iterator[Entry]:
        raise AssertionError(f"{tree.name} was laid out again")

    return evolve(tree, entries=entries, paths=entries)


def test_the_union_of_the_layers_is_the_union_of_the_trees(store: LayerStore, tmp_path: Path) -> None:
    trees = small_environment()
    layers = made(trees, store)
    assert [layer.packages[0] for layer in layers[-2:]] == ["wheel", "history"]
    found = forest.unpacked(layers, store, tmp_path / "root")
    # As a plain installation does it: one after the other, what is written later stands.
    order = sorted(trees, key=lambda tree: (tree.last, tree.floor, tree.rank))
    expected = forest.listing(forest.unpack((forest.tar_of(tree) for tree in order), tmp_path / "plain"))
    assert found == expected
    assert found["opt/env/etc/x"][1:] == (0o600, b"one")
    assert found["opt/env/share/b"][2] == b"of the wheel"
    assert found["opt/env/share/a"][2] == b"same"


def test_no_path_is_in_two_layers(store: LayerStore) -> None:
    layers = made(small_environment(), store)
    tars = [read(store.blobs.read(layer.digest)) for layer in layers]
    files = [name for tar in tars for name, member in tar.items() if not member.isdir()]
    assert len(files) == len(set(files))


def test_a_second_time_nothing_is_laid_out(store: LayerStore) -> None:
    trees = small_environment()
    first = made(trees, store)
    second = made([unread(tree) for tree in trees], store)
    assert second == first
    assert {layer.made for layer in first} == {True}
    assert {layer.made for layer in second} == {False}


def test_one_package_that_changes_is_one_layer_made(store: LayerStore) -> None:
    trees = small_environment()
    before = made(trees, store)
    trees[0] = tree("numpy", file(f"{SITE}/numpy/new.py", b"2"), version="2", rank=3)
    after = made([trees[0], *map(unread, trees[1:])], store)
    assert [layer.packages for layer in after if layer.made] == [("numpy",)]
    assert len(set(before) - set(after)) == 1


def test_the_same_bytes_whatever_the_order_the_workers_and_what_was_known(tmp_path: Path) -> None:
    trees = small_environment()
    stores = [forest.store(tmp_path / name) for name in "abc"]
    one = made(trees, stores[0], workers=1)
    assert made(trees[::-1], stores[1], workers=4) == one
    for each in trees:  # each known alone, clashes undecided
        made([each], stores[2])
    assert made(trees, stores[2]) == one


def test_a_loser_has_another_identity_and_comes_back_when_the_winner_goes(store: LayerStore) -> None:
    one, two = small_environment()[3:5]
    both, alone = made([one, two], store), made([two], store)
    loser = next(layer for layer in both if layer.packages == ("two",))
    assert loser.digest != alone[0].digest
    assert f"{SITE}/shared/__init__.py" in read(store.blobs.read(alone[0].digest))
    assert not [name for name, member in read(store.blobs.read(loser.digest)).items() if member.isfile()]
    again = made([unread(one), unread(two)], store)
    assert again == both


def test_parents_of_the_base_are_part_of_a_layers_identity(store: LayerStore) -> None:
    [one] = made([tree("p", file("opt/env/a"))], store, target=target(Parent("/opt")))
    [plain] = made([tree("p", file("opt/env/a"))], store, target=target())
    [private] = made([tree("p", file("opt/env/a"))], store, target=target(Parent("/opt", 0o700, 5, 6)))
    assert one == plain
    assert not plain.made
    assert private.made
    member = read(store.blobs.read(private.digest))["opt"]
    assert (member.mode, member.uid, member.gid) == (0o700, 5, 6)


def test_above_the_budget_small_packages_share_layers(store: LayerStore, tmp_path: Path) -> None:
    trees = many(170)
    layers = made(trees, store, below=20)
    assert len(layers) <= 105
    assert sorted(name for layer in layers for name in layer.packages) == [tree.package for tree in trees]
    assert len(forest.unpacked(layers, store, tmp_path / "root")) == 172
    assert made([unread(tree) for tree in trees], store, below=20) == layers
    changed = [*map(unread, trees[1:]), tree("p000", file("opt/env/p000", b"2"), version="2")]
    trees_of_bucket = next(layer.packages for layer in layers if "p000" in layer.packages)
    changed = [trees[int(t.package[1:])] if t.package in trees_of_bucket[1:] else t for t in changed]
    after = made(changed, store, below=20)
    assert len(set(after) - set(layers)) == 1


def test_a_bucket_leaves_lost_paths_out(store: LayerStore, tmp_path: Path) -> None:
    trees = [
        tree(f"p{n}", file("opt/env/shared", b"%d" % n), file(f"opt/env/p{n}", bytes(n)), rank=n) for n in range(30)
    ]
    layers = made(trees, store, below=120)
    assert len(layers) <= 5
    assert forest.unpacked(layers, store, tmp_path / "root")["opt/env/shared"][2] == b"29"


def test_events_tell_of_each_layer_once(store: LayerStore) -> None:
    trees = small_environment()
    made(trees[:3], store)
    events: list[Event] = []
    layers = made(trees, store, emit=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    done = [event for event in events if isinstance(event, LayerDone)]
    assert [(event.done, event.total, event.unit) for event in progress] == [(n, 8, "layers") for n in range(1, 9)]
    assert sorted((event.size, event.made) for event in done) == sorted((layer.size, layer.made) for layer in layers)
    assert {event.name for event in done} == {tree.name for tree in trees}


def test_no_trees_no_layers(store: LayerStore) -> None:
    assert made([], store) == ()


def test_a_tree_given_twice_is_there_once(store: LayerStore) -> None:
    one = tree("p", file("opt/env/a", b"x"))
    assert made([one, one], store) == made([one], store)


def test_two_trees_of_one_identity_are_refused(store: LayerStore) -> None:
    one = tree("p", file("a"))
    with pytest.raises(PackageError, match="q 1: claims to have exactly the bytes of p 1"):
        made([one, evolve(one, name="q 1", package="q")], store)


def test_a_tree_that_lays_out_what_it_did_not_name_is_refused(store: LayerStore) -> None:
    liar = evolve(tree("p", file("opt/env/a"), file("opt/env/b")), paths=lambda: ["opt/env/a"])
    with pytest.raises(PackageError, match=r"p 1: 'opt/env/b': laid out, but not among"):
        made([liar], store)
    assert not list((store.blobs.staging.parent).glob("layers/*/*"))


def test_what_is_named_and_not_laid_out_is_nobodys(store: LayerStore) -> None:
    """As the ``.pyc`` of a module that does not compile: the loser's would not fit the winner's module."""
    loser = tree("loser", file("opt/env/m.py"), file("opt/env/m.pyc"))
    winner = evolve(tree("winner", file("opt/env/m.py"), rank=1), paths=lambda: ["opt/env/m.py", "opt/env/m.pyc"])
    for trees in ([loser, winner], [unread(loser), unread(winner)]):
        tars = [read(store.blobs.read(layer.digest)) for layer in made(trees, store)]
        assert sorted(name for tar in tars for name, member in tar.items() if member.isfile()) == ["opt/env/m.py"]


@pytest.mark.parametrize("path", ["opt/\0", "../x", "opt/\udc80", "opt//x"])
def test_a_contested_path_is_checked_before_it_is_hashed(store: LayerStore, path: str) -> None:
    trees = [evolve(tree(name, file("opt/a")), paths=lambda: ["opt/a", path]) for name in "pq"]
    with pytest.raises(PackageError, match="q 1: "):
        made(trees, store)


def test_directories_need_not_be_named(store: LayerStore, tmp_path: Path) -> None:
    quiet = evolve(tree("quiet", folder("opt/env/empty", 0o700), file("opt/env/a")), paths=lambda: ["opt/env/a"])
    found = forest.unpacked(made([quiet], store), store, tmp_path / "root")
    assert found["opt/env/empty"][1] == 0o700
    rival = tree("rival", file("opt/env/empty"))
    for trees in ([quiet, rival], [unread(rival), unread(quiet)]):
        with pytest.raises(PackageError, match="rival 1: 'opt/env/empty': a directory in quiet 1"):
            made(trees, store)


def test_a_tree_that_cannot_be_laid_out_is_no_fault_of_the_cache(store: LayerStore) -> None:
    def entries() -> Iterator[Entry]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "index.json")

    with pytest.raises(PackageError, match=r"p 1: cannot be laid out: .*index\.json"):
        made([evolve(tree("p", file("a")), entries=entries)], store)


def test_the_first_failure_is_told_and_the_next_build_works(store: LayerStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"123")
    bad = tree("bad", Entry("opt/env/bad", source=source, size=4))
    with pytest.raises(IntegrityError, match="expected 4 bytes"):
        made([*many(20), bad], store)
    assert list(store.blobs.staging.iterdir()) == []
    source.write_bytes(b"1234")
    assert len(made([*many(20), bad], store)) == 21


def test_a_failure_stops_a_large_layer_soon(store: LayerStore, tmp_path: Path) -> None:
    source = tmp_path / "large"
    with open(source, "wb") as stream:
        stream.truncate(20 << 30)
    large = tree("large", *(file(f"opt/env/{n}") for n in range(9)), Entry("opt/large", source=source, size=20 << 30))

    def entries() -> Iterator[Entry]:
        time.sleep(0.1)  # until the large layer is being cut
        raise PackageError("bad", "cannot be laid out")

    with pytest.raises(PackageError, match="bad: "):  # without a stop it would go on for 20 GiB
        made([large, evolve(tree("bad", file("opt/env/bad")), entries=entries)], store)
    assert list(store.blobs.staging.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_nothing_at_any_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    trees = [*many(3), tree("large", file("opt/env/large", bytes(3 << 20)))]
    write = BlobWriter.write
    for allowed in range(6):
        left = itertools.count()

        def limited(self: BlobWriter, data: Any, left: Iterator[int] = left, allowed: int = allowed) -> int:
            if next(left) >= allowed:
                raise OSError(code, os.strerror(code))
            return write(self, data)

        store = forest.store(tmp_path / str(allowed))
        monkeypatch.setattr(BlobWriter, "write", limited)
        with pytest.raises(CacheError if code == errno.EIO else StoreFull):
            made(trees, store)
        assert list(store.blobs.staging.iterdir()) == []
        monkeypatch.setattr(BlobWriter, "write", write)
        _check_whole(store)
        assert len(made(trees, store)) == 4
        _check_whole(store)


def test_a_limit_on_file_size_leaves_nothing(tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    child = _cutter(tmp_path, preexec_fn=limit)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert b"CacheError: the cache folder failed" in err
    assert list((tmp_path / "home" / "staging").iterdir()) == []
    _check_whole(forest.store(tmp_path / "home"))


@pytest.mark.processes
def test_killed_at_any_moment_the_next_build_works(tmp_path: Path) -> None:
    for delay in (0.0, 0.01, 0.03):
        child = _cutter(tmp_path)
        assert child.stdout is not None
        child.stdout.readline()  # about to cut
        time.sleep(delay)
        child.kill()
        child.communicate()
        _check_whole(forest.store(tmp_path / "home"))
    done = _cutter(tmp_path)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    fresh = _cutter(tmp_path / "elsewhere")
    expected, _ = fresh.communicate(timeout=60)
    assert out == expected


@pytest.mark.processes
def test_processes_that_cut_the_same_at_once_agree(tmp_path: Path) -> None:
    children = [_cutter(tmp_path) for _ in range(4)]
    outputs = {child.communicate(timeout=60)[0] for child in children}
    assert {child.returncode for child in children} == {0}
    assert len(outputs) == 1
    _check_whole(forest.store(tmp_path / "home"))
    assert list((tmp_path / "home" / "staging").iterdir()) == []


CUTTER = """
import sys
from pathlib import Path
from layers import forest
from layers.forest import made, many
store = forest.store(Path(sys.argv[1]))
trees = [*many(30), forest.tree("large", forest.file("opt/env/large", bytes(8 << 20)))]
print("ready", flush=True)
print([layer.digest for layer in made(trees, store)])
"""


def _cutter(root: Path, **options: Any) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", CUTTER, str(root / "home")],
        env={**os.environ, "PYTHONPATH": tests},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def _check_whole(store: LayerStore) -> None:
    """Every blob that is there has the bytes that its name says; every record names such a blob, or is a miss."""
    blobs: BlobStore = store.blobs
    root = blobs.staging.parent
    for blob in (root / "blobs").rglob("*"):
        if blob.is_file():
            blobs.read(f"sha256:{blob.name}")  # type: ignore[arg-type]
    for record in (root / "layers" / "cut").glob("*"):
        assert store.get(record.name) is not None
