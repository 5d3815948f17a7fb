"""What goes and what stays, by each limit; and that what stays is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from collect_tools import DAY, HOUR, age, blobs

from coopery import Builder, Environment, Image
from coopery.errors import CacheError, IntegrityError, UsageError
from coopery.home import Home
from coopery.oci.validate import validate_layout

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

Define = Callable[..., Environment]


def there(builder: Builder, *images: Image) -> list[bool]:
    exists = {details.image.id: details.exists for details in builder.list()}
    return [exists[image.id] for image in images]


def aged(builder: Builder, define: Define, home: Path, *texts: str, name: str = "") -> list[Image]:
    """Images of *texts*, each used a day before the next; the last a day ago."""
    images = []
    for text in texts:
        images.append(builder.build(define(text, name)))
        for path in home.rglob("*"):
            found = path.lstat().st_mtime_ns - int(DAY * 1e9)
            os.utime(path, ns=(found, found), follow_symlinks=False)
    return images


def test_without_limits_every_image_stays(builder: Builder, define: Define, home: Path) -> None:
    images = aged(builder, define, home, "a", "b")
    done = builder.gc(grace=0)
    assert there(builder, *images) == [True, True]
    assert done.images == ()
    assert done.kept == ()
    validate_layout(home / "images")


def test_keep_last_is_by_name(builder: Builder, define: Define, home: Path) -> None:
    ada = aged(builder, define, home, "a", "b", "c", name="ada")
    bob = aged(builder, define, home, "d", name="bob")
    done = builder.gc(keep_last=2)
    assert there(builder, *ada, *bob) == [False, True, True, True]
    assert [gone.why for gone in done.images] == ["not among the last 2"]
    assert {reason for _, reason in done.kept} == {"among the last 2 of ada", "among the last 2 of bob"}
    validate_layout(home / "images")


def test_using_an_image_makes_it_the_last(builder: Builder, define: Define, home: Path) -> None:
    first, second = aged(builder, define, home, "a", "b", name="ada")
    assert builder.build(define("a", "ada")).hit
    builder.gc(keep_last=1)
    assert there(builder, first, second) == [True, False]


def test_generations_of_one_key_count_apart(builder: Builder, define: Define, home: Path) -> None:
    """A rebuild of files alone gives the same image, so that it is one image with two records."""
    environment = define("a", "ada")
    first = builder.build(environment)
    second = builder.build(environment, rebuild=True)
    assert first.id == second.id
    age(home, DAY)
    builder.gc(keep_last=1)
    assert builder.build(environment).hit


def test_unused_for_takes_what_is_older(builder: Builder, define: Define, home: Path) -> None:
    images = aged(builder, define, home, "a", "b", "c")
    builder.gc(unused_for=2.5 * DAY)
    assert there(builder, *images) == [False, True, True]
    assert builder.gc(unused_for=2.5 * DAY).images == ()


def test_keep_last_protects_from_the_others(builder: Builder, define: Define, home: Path) -> None:
    images = aged(builder, define, home, "a", "b", "c", name="ada")
    builder.gc(keep_last=2, unused_for=0, max_size=0)
    assert there(builder, *images) == [False, True, True]


def test_max_size_takes_the_longest_unused_until_it_fits(builder: Builder, define: Define, home: Path) -> None:
    images = aged(builder, define, home, "a", "b", "c")
    builder.gc(max_size=builder.disk().total)
    assert there(builder, *images) == [True, True, True]
    done = builder.gc(max_size=builder.disk().total - 20_000)  # logs do not suffice
    assert there(builder, *images) == [False, True, True]
    assert done.after <= done.before - 20_000
    assert done.after == builder.disk().total
    builder.gc(max_size=0)
    assert there(builder, *images) == [False, False, False]
    assert blobs(home) == set()


def test_grace_keeps_what_was_just_used(builder: Builder, define: Define, home: Path) -> None:
    old, new = aged(builder, define, home, "a")[0], builder.build(define("b"))
    done = builder.gc(keep_last=0)
    assert there(builder, old, new) == [False, True]
    assert [reason for _, reason in done.kept] == ["in use, or used just now"]
    builder.build(define("a"))  # put back, and so used just now
    assert builder.gc(keep_last=0).images == ()


def test_an_image_that_went_is_made_again_the_same(builder: Builder, define: Define, home: Path) -> None:
    (image,) = aged(builder, define, home, "a")
    recorded = builder.details(image.key)
    builder.gc(keep_last=0)
    (listed,) = builder.list()
    assert not listed.exists
    assert builder.cache.get("placement", f"{image.id}@{image.place}") is None
    again = builder.build(define("a"))
    assert (again.hit, again.id, again.generation) == (False, image.id, 1)
    assert builder.details(image.key).lock == recorded.lock


def test_a_dry_run_says_the_same_and_does_nothing(builder: Builder, define: Define, home: Path) -> None:
    images = aged(builder, define, home, "a", "b")
    before = builder.disk()
    told = builder.gc(keep_last=0, dry_run=True)
    assert builder.disk() == before
    assert there(builder, *images) == [True, True]
    done = builder.gc(keep_last=0)
    assert {gone.name for gone in told.things} == {gone.name for gone in done.things}
    assert told.images == done.images


def test_blobs_of_no_image_go_once_they_are_old(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    loose = Home(home).blobs.put(b"loose")
    builder.gc()
    assert loose[7:] in blobs(home)
    age(home, 2 * HOUR)
    builder.gc()
    assert loose[7:] not in blobs(home)
    assert builder.build(define("a")).hit


def test_what_killed_processes_left_goes_once_it_is_old(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    (home / "staging" / "blob-abcd1234").write_bytes(bytes(9999))
    closed = home / "staging" / "rootfs-abcd1234" / "root" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").write_text("")
    closed.chmod(0o500)
    (home / "running" / "run-abcd1234").mkdir(parents=True)
    (home / "active").mkdir(exist_ok=True)
    (home / "active" / "4711-abcdef01").write_text("")
    builder.gc()
    assert len(list((home / "staging").iterdir())) == 2
    age(home, 2 * HOUR)
    builder.gc()
    assert list((home / "staging").iterdir()) == []
    assert list((home / "running").iterdir()) == []
    assert list((home / "active").iterdir()) == []


def test_what_is_not_ours_is_left_alone(builder: Builder, define: Define, home: Path, tmp_path: Path) -> None:
    (image,) = aged(builder, define, home, "a")
    outside = tmp_path / "outside"
    (outside / ("0" * 64)).mkdir(parents=True)
    (home / "packages").symlink_to(outside)
    (home / "staging" / "my thesis.tex").write_text("words")
    (home / "notes").write_text("mine")
    age(home, DAY)
    age(outside, DAY)
    done = builder.gc(keep_last=0, unused_for=0, max_size=0)
    assert there(builder, image) == [False]
    assert set(done.foreign) == {"packages", "staging/my thesis.tex", "notes"}
    assert (home / "staging" / "my thesis.tex").read_text() == "words"
    assert (home / "notes").exists()
    assert (outside / ("0" * 64)).is_dir()


def test_what_another_tool_listed_stays_with_all_it_needs(builder: Builder, define: Define, home: Path) -> None:
    (image,) = aged(builder, define, home, "a")
    index = home / "images" / "index.json"
    document = json.loads(index.read_bytes())
    layer = Home(home).blobs.put(b"a layer of somebody's artifact")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/x", "digest": Home(home).blobs.put(b"no json"), "size": 7},
        "layers": [{"mediaType": "application/x", "digest": layer, "size": 30}],
    }
    data = json.dumps(manifest).encode()
    digest = Home(home).blobs.put(data)
    entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(data)}
    document["manifests"].append({**entry, "annotations": {"org.opencontainers.image.ref.name": "theirs"}})
    index.write_text(json.dumps(document))
    age(home, DAY)
    done = builder.gc(keep_last=0, max_size=0)
    assert there(builder, image) == [False]
    assert [reason for _, reason in done.kept] == ["not made by Coopery"]
    assert blobs(home) >= {digest[7:], layer[7:]}
    assert len(json.loads(index.read_bytes())["manifests"]) == 1


@pytest.mark.parametrize("damage", ["index", "manifest", "pin"])
def test_on_any_doubt_nothing_is_taken(builder: Builder, define: Define, home: Path, damage: str) -> None:
    (image,) = aged(builder, define, home, "a")
    loose = Home(home).blobs.put(b"loose")
    if damage == "index":
        (home / "images" / "index.json").write_text('{"schemaVersion": 2, "manifests": [')
    elif damage == "manifest":
        Home(home).blobs.path(image.digest).write_bytes(b"{}")
    else:
        builder.pin(image.key, "p")
        path = home / "pins" / "p.json"
        path.write_bytes(path.read_bytes().replace(b"generation", b"Generation"))
    age(home, DAY)
    before = blobs(home)
    with pytest.raises(IntegrityError) as caught:
        builder.gc(keep_last=0, max_size=0)
    assert caught.value.remedy
    assert blobs(home) == before
    assert loose[7:] in before


def test_a_folder_that_does_not_say_that_it_is_ours_is_refused(tmp_path: Path, define: Define) -> None:
    home = tmp_path / "documents"
    (home / "staging").mkdir(parents=True, mode=0o700)
    (home / "letters").mkdir()
    home.chmod(0o700)
    (home / "staging" / "draft-12345678").write_text("mine")
    with Builder(home=home) as builder:
        builder.build(define("a"))  # a home it may be; but what was there before was not ours
        age(home, DAY)
        with pytest.raises(CacheError, match=r"CACHEDIR\.TAG"):
            builder.gc(keep_last=0)
    assert (home / "staging" / "draft-12345678").exists()


def test_a_folder_that_somebody_is_just_making_has_nothing_to_collect(tmp_path: Path) -> None:
    """Made, and not yet said whose it is: a collection beside the very first build sees that moment."""
    home = tmp_path / "new"
    (home / "staging").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    with Builder(home=home) as builder:
        assert builder.gc(keep_last=0, grace=0).things == ()
    assert [path.name for path in home.iterdir()] == ["staging"]


def test_who_is_killed_while_saying_whose_folder_it_is_has_said_nothing(tmp_path: Path, monkeypatch) -> None:
    """Half a tag would be neither ours nor nobody's, and nothing would ever be collected there."""
    home = Home(tmp_path / "home")

    def killed(_self: Path, _to: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            home.make()
    assert not (home.root / "CACHEDIR.TAG").exists()
    home.make()
    assert home.signed


def test_a_folder_that_others_may_write_is_refused(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    home.chmod(0o777)
    with pytest.raises(CacheError, match="others may write"):
        builder.gc()


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    with Builder(home=tmp_path / "none") as builder:
        assert builder.gc(keep_last=0).things == ()
    assert not (tmp_path / "none").exists()


def test_negative_limits_are_refused(builder: Builder) -> None:
    for limits in ({"keep_last": -1}, {"unused_for": -1.0}, {"max_size": -1}, {"grace": -1.0}):
        with pytest.raises(UsageError, match="expected 0 or more"):
            builder.gc(**limits)  # type: ignore[arg-type]  # each is a number


def test_logs_of_what_is_recorded_and_of_failures_stay_until_they_are_old(
    builder: Builder, define: Define, home: Path
) -> None:
    aged(builder, define, home, "a")
    builder.gc()
    assert len(list((home / "logs").iterdir())) == 1
    builder.gc(unused_for=HOUR)
    assert list((home / "logs").iterdir()) == []


def test_the_index_of_layers_and_snapshots_go_with_their_blobs(builder: Builder, define: Define, home: Path) -> None:
    aged(builder, define, home, "a", "b")
    assert len(list((home / "snapshots").iterdir())) == 5  # three steps each, of which one is the same
    builder.gc()
    assert len(list((home / "snapshots").iterdir())) == 5
    builder.gc(keep_last=0)
    assert list((home / "snapshots").iterdir()) == []
    assert not any((home / "layers").rglob("*")) or not any(path.is_file() for path in (home / "layers").rglob("*"))
