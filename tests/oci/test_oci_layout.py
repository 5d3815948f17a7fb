"""Our own layout: adding, finding, the one check on a hit, and what damage does to each."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery import faults
from coopery.blobs import BlobStore
from coopery.errors import CacheError, CooperyError, IntegrityError, NotFound, StoreFull, UsageError
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.oci.layout import Layout, write_layout
from coopery.oci.validate import validate, validate_layout

AMD = "linux/amd64"
Store = Callable[..., Layer]
Assemble = Callable[..., Assembled]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home" / "images", tmp_path / "home" / "staging")


def test_adding_makes_a_valid_layout(
    layout: Layout, image: Assembled, check_schema: Callable[[str, bytes], None]
) -> None:
    entry = layout.add(image, "train-v1")
    assert (entry.platform, entry.annotation("org.opencontainers.image.ref.name")) == (AMD, "train-v1")
    for name, data in {
        "layout": (layout.root / "oci-layout").read_bytes(),
        "index": (layout.root / "index.json").read_bytes(),
        "manifest": layout.blobs.read(entry.digest),
        "config": layout.blobs.read(image.image_id),
    }.items():
        check_schema(name, data)
    (found,) = validate_layout(layout.root)
    assert found.image_id == image.image_id


def test_init_makes_an_empty_layout_and_leaves_one_that_is(layout: Layout, image: Assembled) -> None:
    layout.init()
    assert layout.tags() == ()
    assert validate_layout(layout.root) == ()
    layout.add(image, "a")
    layout.init()
    assert layout.tags() == ("a",)


def test_open_gives_back_what_was_added(layout: Layout, image: Assembled) -> None:
    entry = layout.add(image, "a")
    for name in ("a", entry.digest):
        digest, opened = layout.open(name, AMD)
        assert (digest, opened.config) == (entry.digest, image.config)
        assert [(layer.digest, layer.diff_id, layer.size, layer.media_type) for layer in opened.layers] == [
            (layer.digest, layer.diff_id, layer.size, layer.media_type) for layer in image.layers
        ]
        assert [layer.created_by for layer in opened.layers] == ["layer 0", "layer 1", "layer 2"]


def test_what_is_not_there(layout: Layout, image: Assembled) -> None:
    assert layout.find("a", AMD) is None
    entry = layout.add(image, "a")
    assert layout.find("a", AMD) == entry
    assert layout.find("a", "linux/arm64") is None
    for name, platform in (("b", AMD), ("a", "linux/arm64"), (entry.digest, "linux/arm64")):
        with pytest.raises(NotFound):
            layout.open(name, platform)


def test_a_tag_moves_and_one_image_has_many(layout: Layout, store: Store, assemble: Assemble) -> None:
    first, second = (assemble([store([("f", text)])]) for text in (b"1", b"2"))
    old = layout.add(first, "a")
    layout.add(first, "b")
    new = layout.add(second, "a")
    assert layout.tags() == ("a", "b")
    assert layout.open("a", AMD)[0] == new.digest
    assert layout.open("b", AMD)[0] == old.digest
    assert layout.remove(old.digest)
    assert not layout.remove(old.digest)
    assert layout.tags() == ("a",)
    assert not layout.complete(first.image_id, old.digest)
    assert layout.complete(second.image_id, new.digest)


def test_entries_and_fields_of_other_tools_stay(layout: Layout, image: Assembled) -> None:
    layout.init()
    foreign = {"mediaType": "application/xml", "digest": "sha512:" + "a" * 128, "size": 1, "urls": ["x:y"]}
    path = layout.root / "index.json"
    path.write_text(json.dumps({"schemaVersion": 2, "manifests": [foreign], "annotations": {"k": "v"}}))
    layout.add(image, "a")
    document = json.loads(path.read_bytes())
    assert document["manifests"][0] == foreign
    assert document["annotations"] == {"k": "v"}


@pytest.mark.parametrize("tag", ["", "a b", "-x", "a/", "a..b", "x" * 256, "a\n", "../a", "a:"])
def test_tags_that_no_layout_has_are_refused(layout: Layout, image: Assembled, tag: str) -> None:
    with pytest.raises(UsageError):
        layout.add(image, tag)
    assert not (layout.root / "index.json").exists()


def test_every_damage_makes_it_incomplete(layout: Layout, image: Assembled) -> None:
    entry = layout.add(image, "a")
    assert layout.complete(image.image_id, entry.digest)
    assert not layout.complete(entry.digest, entry.digest)
    files = [layout.blobs.path(digest) for digest in (entry.digest, image.image_id, *(x.digest for x in image.layers))]
    for path in [*files, layout.root / "index.json"]:
        good = path.read_bytes()
        for bad in (None, b"", good[:-1], good + b"x", b"{}"):
            path.unlink() if bad is None else path.write_bytes(bad)
            listed = path.name == "index.json" and entry.digest.encode() in (bad or b"")
            assert layout.complete(image.image_id, entry.digest) is listed
            path.write_bytes(good)
    assert layout.complete(image.image_id, entry.digest)


def test_flipped_bits_in_json_are_found(layout: Layout, image: Assembled) -> None:
    entry = layout.add(image, "a")
    for digest in (entry.digest, image.image_id):
        path = layout.blobs.path(digest)
        good = path.read_bytes()
        for position in range(0, len(good), 7):
            path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
            assert not layout.complete(image.image_id, entry.digest)
            with pytest.raises(IntegrityError):
                layout.open("a", AMD)
        path.write_bytes(good)


def test_a_disk_that_cannot_be_asked_is_neither_yes_nor_no(layout: Layout, image: Assembled) -> None:
    entry = layout.add(image, "a")
    path = layout.blobs.path(entry.digest)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        layout.complete(image.image_id, entry.digest)


def test_an_image_whose_layer_is_absent_is_not_added(layout: Layout, image: Assembled) -> None:
    layout.blobs.path(image.layers[1].digest).unlink()
    with pytest.raises(IntegrityError, match=image.layers[1].digest):
        layout.add(image, "a")
    assert layout.tags() == ()


def test_a_damaged_index_is_named_with_its_remedy(layout: Layout, image: Assembled) -> None:
    layout.init()
    (layout.root / "index.json").write_text('{"schemaVersion": 2}')
    with pytest.raises(IntegrityError, match=r"index\.json") as seen:
        layout.add(image, "a")
    assert "move" in seen.value.remedy


def test_a_symlink_for_a_lock_is_not_followed(layout: Layout, image: Assembled, tmp_path: Path) -> None:
    layout.init()
    (tmp_path / "victim").write_text("untouched")
    lock = layout.root / ".index.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(CacheError):
        layout.add(image, "a")
    assert (tmp_path / "victim").read_text() == "untouched"


def test_nothing_half_made_stays(layout: Layout, image: Assembled, tmp_path: Path) -> None:
    layout.add(image, "a")
    assert list((tmp_path / "home" / "staging").iterdir()) == []


def _add_many(root: Path, staging: Path, number: int) -> None:
    layout = Layout(root, staging)
    _, image = layout.open("seed", AMD)
    for turn in range(10):
        layout.add(image, f"p{number}-t{turn}")


@pytest.mark.processes
def test_processes_that_add_at_once_lose_nothing(layout: Layout, image: Assembled, tmp_path: Path) -> None:
    layout.add(image, "seed")
    context = multiprocessing.get_context("fork")
    staging = tmp_path / "home" / "staging"
    workers = [context.Process(target=_add_many, args=(layout.root, staging, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(layout.tags()) == 41


def test_validate_reports_all_mistakes_at_once(store: Store, assemble: Assemble) -> None:
    layer = store([("f", b"1")])
    execution = {"Env": ["=x", "PATH=/"], "Cmd": "sh", "User": 0}
    bad = assemble([layer], history=[], config=execution, rootfs={"type": "layers", "diff_ids": []})
    with pytest.raises(IntegrityError) as seen:
        validate(bad)
    for word in ("diff_ids", "Env", "Cmd", "User"):
        assert word in seen.value.message
    with pytest.raises(IntegrityError, match="at least one layer"):
        validate(assemble([]))
    with pytest.raises(IntegrityError, match="accounts for 2 layers of 1"):
        validate(assemble([layer], history=[{}, {"empty_layer": True}, {}]))


def test_validate_layout_reads_every_byte(layout: Layout, image: Assembled) -> None:
    layout.add(image, "a")
    for layer in image.layers:
        path = layout.blobs.path(layer.digest)
        good = path.read_bytes()
        path.write_bytes(good[:40] + bytes([good[40] ^ 4]) + good[41:])
        with pytest.raises(IntegrityError, match=layer.digest):
            validate_layout(layout.root)
        path.write_bytes(good)
    validate_layout(layout.root)


def test_writing_a_layout_elsewhere(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_layout(image, blobs, target, "v1")
    write_layout(image, blobs, target, "v2")
    assert [found.image_id for found in validate_layout(target)] == [image.image_id] * 2
    assert {path.name for path in target.iterdir()} == {"oci-layout", "index.json", "blobs", ".index.lock"}
    for layer in image.layers:
        assert os.stat(blobs.path(layer.digest)).st_nlink == 1


def test_a_layout_is_not_written_over_something_else(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="neither an image layout nor an empty folder"):
        write_layout(image, blobs, tmp_path / "out", "v1")


def test_a_damaged_blob_is_not_written_out(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    path = blobs.path(image.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CooperyError):
        write_layout(image, blobs, tmp_path / "out", "v1")
    assert not (tmp_path / "out" / "index.json").exists()


def test_adding_again_repairs_damaged_documents(layout: Layout, image: Assembled) -> None:
    entry = layout.add(image, "a")
    for digest in (entry.digest, image.image_id):
        path = layout.blobs.path(digest)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert not layout.complete(image.image_id, entry.digest)
        layout.add(image, "a")
        assert layout.complete(image.image_id, entry.digest)


@pytest.mark.processes
def test_a_hit_imports_nothing_heavy() -> None:
    program = "import sys; import coopery.oci.layout; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"zstandard", "tarfile", "shutil", "click", "rich", "urllib.request"} & set(done.stdout.split())


def test_a_full_disk_leaves_the_index_as_it_was(layout: Layout, store: Store, assemble: Assemble) -> None:
    first, second = (assemble([store([("f", text)])]) for text in (b"1", b"2"))
    layout.add(first, "a")
    before = (layout.root / "index.json").read_bytes()
    faults.configure("index-replace:enospc")
    try:
        with pytest.raises(StoreFull):
            layout.add(second, "b")
    finally:
        faults.configure("")
    assert (layout.root / "index.json").read_bytes() == before
    assert list((layout.root.parent / "staging").iterdir()) == []
    layout.add(second, "b")
    assert layout.tags() == ("a", "b")


@pytest.mark.parametrize("point", ["blob-rename:kill", "blob-dirsync:kill:2", "index-replace:kill"])
@pytest.mark.processes
def test_killed_while_adding_the_next_one_works(
    layout: Layout, store: Store, assemble: Assemble, tmp_path: Path, point: str
) -> None:
    first, second = (assemble([store([("f", text)])]) for text in (b"1", b"2"))
    layout.add(first, "a")

    def add_and_die() -> None:
        faults.configure(point)
        layout.add(second, "b")

    child = multiprocessing.get_context("fork").Process(target=add_and_die)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert [found.image_id for found in validate_layout(layout.root)] == [first.image_id]
    entry = layout.add(second, "b")
    assert layout.complete(second.image_id, entry.digest)
