"""A bundle: one file with everything, equal bytes for equal content, taken as a whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery import Environment
from coopery.errors import CacheError, NotFound, UsageError
from moving.conftest import Machine

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    ["b.tar.zst", pytest.param("b.tar", marks=pytest.mark.slow), pytest.param("b.tar.gz", marks=pytest.mark.slow)],
)
def test_what_was_built_there_is_a_hit_here(here: Machine, there: Machine, hello: Environment, name: str) -> None:
    image = here.build(hello)
    file = here.folder / name
    packed = here.copy("home:", file)
    assert (packed.keys, packed.images, packed.images_missing) == ((image.key,), (image.id,), ())
    taken = there.copy(file, "home:")
    assert taken.bundle == packed.bundle
    assert (taken.images, taken.parts, taken.parts_present) == ((image.id,), 3, 0)
    found = there.build(hello)
    assert found.hit
    assert (found.id, found.digest, found.size) == (image.id, image.digest, image.size)
    assert found.reference.startswith(f"oci:{there.home}/images:")


def test_generations_are_kept(here: Machine, there: Machine, hello: Environment) -> None:
    here.build(hello)
    key = here.build(hello, rebuild=True).key
    here.copy("home:", here.folder / "b.tar")
    taken = there.copy(here.folder / "b.tar", "home:")
    assert taken.records >= 2
    with there.builder() as builder, here.builder() as other:
        for number in (1, 2, None):
            assert builder.cache.get("resolution", key, number) == other.cache.get("resolution", key, number)
        assert builder.build(hello).generation == 2


def test_what_is_there_is_not_written_again(here: Machine, there: Machine, hello: Environment) -> None:
    here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    there.copy(here.folder / "b.tar", "home:")
    before = there.files()
    again = there.copy(here.folder / "b.tar", "home:")
    assert (again.records, again.parts, again.parts_present, again.size) == (0, 0, 3, 0)
    assert there.files() == before


@pytest.mark.processes
def test_what_a_copy_that_was_killed_has_left_is_taken_up(
    here: Machine, there: Machine, define: Callable[..., Environment]
) -> None:
    for value in ("1", "2", "3"):
        here.build(define(value, value))
    here.copy("home:", here.folder / "b.tar")
    argv = ["cache", "copy", str(here.folder / "b.tar"), "home:", "--home", str(there.home)]
    environ = {**os.environ, "COOPERY_FAULT": "blob-rename:kill:4"}
    killed = subprocess.run([sys.executable, "-m", "coopery", *argv], env=environ, capture_output=True, check=False)
    assert killed.returncode == -9
    with there.builder() as builder:
        assert builder.list() == ()
    arrived = len(list((there.home / "images" / "blobs" / "sha256").iterdir()))
    assert arrived == 3
    taken = there.copy(here.folder / "b.tar", "home:")
    assert taken.parts_present == arrived
    assert all(there.build(define(value, value)).hit for value in ("1", "2", "3"))


@pytest.mark.slow
def test_a_damaged_blob_that_is_there_is_replaced(here: Machine, there: Machine, hello: Environment) -> None:
    image = here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    there.copy(here.folder / "b.tar", "home:")
    blobs = there.home / "images" / "blobs" / "sha256"
    victim = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    taken = there.copy(here.folder / "b.tar", "home:")
    assert (taken.parts, taken.parts_present) == (1, 2)
    assert victim.read_bytes() == (here.home / "images" / "blobs" / "sha256" / victim.name).read_bytes()
    assert there.build(hello).id == image.id


@pytest.mark.processes
def test_equal_content_gives_equal_bytes(here: Machine, hello: Environment, tmp_path: Path) -> None:
    here.build(hello)
    argv = [sys.executable, "-m", "coopery", "cache", "copy", "home:"]
    made = []
    for number, (umask, zone, seed) in enumerate([(0, "UTC", "0"), (0o077, "Asia/Tokyo", "1")]):
        file = tmp_path / f"{number}" / "b.tar.zst"
        environ = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "COOPERY_HOME": str(here.home)}
        subprocess.run([*argv, file], env=environ, umask=umask, check=True, capture_output=True)
        made.append(file.read_bytes())
    assert made[0] == made[1]


@pytest.mark.slow
def test_it_is_an_oci_archive_for_everybody_else(here: Machine, hello: Environment) -> None:
    image = here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    with tarfile.open(here.folder / "b.tar") as tar:
        names = tar.getnames()
        assert names[:3] == ["oci-layout", "index.json", "coopery/bundle.json"]
        assert all((member.uid, member.mtime, member.mode) == (0, 0, 0o644) for member in tar.getmembers())
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]  # it is a file
    assert [entry["digest"] for entry in index["manifests"]] == [image.digest]
    based = Environment.from_dict({"base": {"archive": "b.tar"}, "steps": [{"env": {"B": "2"}}]}, here.folder)
    assert here.build(based).layers == image.layers


@pytest.mark.tools
def test_skopeo_reads_it(here: Machine, hello: Environment) -> None:
    image = here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci-archive:{here.folder}/b.tar"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["config"]["digest"] == image.id


@pytest.mark.slow
@pytest.mark.parametrize("by", ["key", "name"])
def test_one_of_several_is_chosen(here: Machine, there: Machine, define: Callable[..., Environment], by: str) -> None:
    wanted, other = here.build(define("wanted")), here.build(define("other", "2"))
    here.copy("home:", here.folder / "b.tar", wanted.key[:12] if by == "key" else "wanted")
    assert there.copy(here.folder / "b.tar", "home:").keys == (wanted.key,)
    assert there.build(define("wanted")).hit
    assert not there.build(define("other", "2")).hit
    assert other.key


@pytest.mark.slow
def test_only_what_was_recorded_since(here: Machine, define: Callable[..., Environment]) -> None:
    here.build(define("old"))
    with here.builder() as builder:
        (old,) = builder.list()
    new = here.build(define("new", "2"))
    assert here.copy("home:", here.folder / "b.tar", since=old.written + 1e-6).keys == (new.key,)
    with pytest.raises(NotFound, match="since then"):
        here.copy("home:", here.folder / "c.tar", "old", since=old.written + 1e-6)


@pytest.mark.slow
def test_an_image_that_is_gone_is_told(here: Machine, there: Machine, hello: Environment) -> None:
    image = here.build(hello)
    with here.builder() as builder:
        builder.place.remove(image.id, image.digest)
    packed = here.copy("home:", here.folder / "b.tar")
    assert (packed.images, packed.images_missing) == ((), (image.id,))
    taken = there.copy(here.folder / "b.tar", "home:")
    assert taken.images_missing == (image.id,)
    again = there.build(hello)
    assert (again.hit, again.id, again.generation) == (False, image.id, 1)


@pytest.mark.slow
def test_another_image_of_one_key_is_a_conflict_and_stays(here: Machine, there: Machine, packaged) -> None:
    from conda.maker import Channel, File
    from trunk import small

    environment = packaged("tool")
    mine = here.build(environment)
    here.copy("home:", here.folder / "b.tar")
    root = here.folder / "channel"
    Channel(root, small.index(root)).add("tool", {"bin/tool": File(b"other", 0o755)}, version="2.0")
    theirs = there.build(environment)
    assert theirs.id != mine.id
    taken = there.copy(here.folder / "b.tar", "home:")
    assert len(taken.conflicts) == 1
    assert mine.key in taken.conflicts[0]
    assert taken.images == ()
    found = there.build(environment)
    assert (found.hit, found.id) == (True, theirs.id)


@pytest.mark.slow
def test_a_home_goes_straight_into_another(here: Machine, there: Machine, hello: Environment) -> None:
    image = here.build(hello)
    there.home.mkdir(parents=True, mode=0o700)
    done = here.copy("home:", there.home)
    assert done.images == (image.id,)
    assert there.build(hello).hit


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("home:", "home:", "are the same"),
        ("nothing", "home:", "neither a store"),
        ("home:", "bundle:", "name the file"),
        ("home:", "directory:{folder}/s --packages", "packages are copied out of a cache folder"),
    ],
)
def test_what_cannot_be_copied_is_refused(here: Machine, source: str, target: str, words: str) -> None:
    packages = target.endswith(" --packages")
    with pytest.raises(UsageError, match=words):
        here.copy(source, target.removesuffix(" --packages").format(folder=here.folder), packages=packages)


@pytest.mark.slow
def test_what_is_not_there_is_told(here: Machine, hello: Environment) -> None:
    with pytest.raises(NotFound, match="no such bundle"):
        here.copy(here.folder / "missing.tar", "home:")
    here.build(hello)
    with pytest.raises(NotFound, match="nothing is recorded under 'strange'"):
        here.copy("home:", here.folder / "b.tar", "strange")
    assert not (here.folder / "b.tar").exists()


@pytest.mark.slow
def test_a_source_that_is_damaged_makes_no_bundle(here: Machine, hello: Environment) -> None:
    from coopery.errors import IntegrityError

    here.build(hello)
    blobs = here.home / "images" / "blobs" / "sha256"
    victim = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(IntegrityError) as caught:
        here.copy("home:", here.folder / "b.tar")
    assert str(victim) in caught.value.remedy
    assert [path.name for path in here.folder.iterdir() if path.name.startswith((".b", "b"))] == []


@pytest.mark.processes
def test_a_disk_that_is_full_takes_nothing(
    here: Machine, there: Machine, hello: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    monkeypatch.setenv("COOPERY_FAULT", "blob-rename:enospc:2")
    argv = ["cache", "copy", str(here.folder / "b.tar"), "home:", "--home", str(there.home)]
    done = subprocess.run([sys.executable, "-m", "coopery", *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, "no space left" in done.stderr) == (CacheError.exit_code, True)
    assert list((there.home / "staging").iterdir()) == []
    with there.builder() as builder:
        assert builder.list() == ()
