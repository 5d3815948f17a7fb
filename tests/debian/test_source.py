from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.errors import BaseError
from coopery.events import Event, LayerDone, Progress, Warned
from coopery.image import Assembled
from debian.miniature import Item, Miniature

pytestmark = pytest.mark.needs("gpgv")
Fetch = Callable[..., Assembled]


@pytest.fixture
def published(archive: Miniature) -> Miniature:
    archive.add("libc6", [Item("./lib/"), Item("./lib/libc.so.6", b"c" * 9000, 0o755)], "2.36")
    archive.add("dash", [Item("./bin/"), Item("./bin/dash", b"d", 0o755)], fields={"Depends": "libc6 (>= 2.30)"})
    archive.publish()
    return archive


def blobs(home: Path) -> BlobStore:
    return BlobStore(home / "images" / "blobs", home / "staging")


def listing(image: Assembled, home: Path) -> list[tuple[str, int, str]]:
    found = []
    for layer in image.layers:
        with tarfile.open(blobs(home).path(layer.digest)) as archive:
            found += [(one.name, one.mode, one.linkname) for one in archive]
    return found


def test_a_base(published: Miniature, fetch: Fetch, tmp_path: Path, events: list[Event]) -> None:
    image = fetch("dash")
    names = [layer.created_by for layer in image.layers]
    assert names == ["coopery: Debian base layout", "coopery: libc6 2.36", "coopery: dash 1.0"]
    assert image.document["config"] == {
        "Cmd": ["/bin/sh"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    }
    assert image.document["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
    assert image.document["architecture"] == "amd64"
    paths = {name: (mode, target) for name, mode, target in listing(image, tmp_path / "home")}
    assert paths["bin"] == (0o777, "usr/bin")
    assert paths["tmp"][0] == 0o1777
    assert paths["root"][0] == 0o700
    assert paths["usr/bin/sh"] == (0o777, "dash")
    assert {"usr/bin/dash", "usr/lib/libc.so.6", "var/lib/dpkg/status.d/dash"} <= paths.keys()
    assert sum(isinstance(event, LayerDone) and event.made for event in events) == 3
    assert any(isinstance(event, Progress) and (event.done, event.total) == (2, 2) for event in events)
    assert not any((tmp_path / "home" / "staging").iterdir())


def test_links_are_in_the_first_layer(published: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    image = fetch("libc6")
    with tarfile.open(blobs(tmp_path / "home").path(image.layers[0].digest)) as layer:
        links = {one.name: one.linkname for one in layer if one.issym()}
    assert links == {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}
    assert "Cmd" not in image.document["config"]


def test_equal_packages_give_equal_bytes(published: Miniature, fetch: Fetch) -> None:
    one = fetch("dash", "libc6")
    published.release_fields["Date"] = "another day"
    published.publish()
    other = fetch("libc6 = 2.36", "dash", home="other")
    assert (one.config, one.layers) == (other.config, other.layers)


def test_the_second_time_nothing_is_read_but_the_head(published: Miniature, fetch: Fetch) -> None:
    first = fetch("dash")
    shutil.rmtree(published.root / "pool")
    shutil.rmtree(published.root / "dists/bookworm/main")
    assert fetch("dash").config == first.config


def test_a_new_version_makes_one_layer(published: Miniature, fetch: Fetch) -> None:
    fetch("dash")
    published.add("dash", [Item("./bin/dash", b"e", 0o755)], "1.1", {"Depends": "libc6"})
    published.publish()
    assert [layer.made for layer in fetch("dash").layers] == [True, False, True]


def test_many_at_once_agree(published: Miniature, fetch: Fetch) -> None:
    with ThreadPoolExecutor(6) as pool:
        images = list(pool.map(lambda _: fetch("dash"), range(6)))
    assert len({(image.config, image.layers) for image in images}) == 1


def test_a_lost_blob_is_made_again(published: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    first = fetch("dash")
    blobs(tmp_path / "home").path(first.layers[1].digest).unlink()
    again = fetch("dash")
    assert again.config == first.config
    assert blobs(tmp_path / "home").size(again.layers[1].digest) == again.layers[1].size


def test_a_damaged_memo_was_never_there(published: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    first = fetch("dash")
    for path in (tmp_path / "home/debian/memo").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert fetch("dash").config == first.config


def test_an_unreachable_mirror_after_the_first_time(
    published: Miniature, fetch: Fetch, events: list[Event], archive: Miniature
) -> None:
    first = fetch("dash")
    head = published.in_release
    head.unlink()
    head.mkdir()  # a folder cannot be read: the fault that a file: mirror can have
    assert fetch("dash").config == first.config
    assert any("fetched last is used" in event.message for event in events if isinstance(event, Warned))


def test_a_stale_index_is_told(published: Miniature, fetch: Fetch, events: list[Event]) -> None:
    published.release_fields["Valid-Until"] = "Sat, 01 Jan 2022 00:00:00 UTC"
    published.publish()
    fetch("dash")
    assert [event.message for event in events if isinstance(event, Warned)] == [
        f"bookworm at {published.url}: the index was valid until 2022-01-01; the mirror may be stale, or a snapshot of "
        "the past"
    ]


def test_another_suites_release_is_refused(published: Miniature, fetch: Fetch) -> None:
    shutil.copytree(published.root / "dists/bookworm", published.root / "dists/trixie")
    with pytest.raises(BaseError, match=r"asked for suite 'trixie', and the signed release says that it is 'bookworm'"):
        fetch("dash", suite="trixie")


def test_no_such_suite(published: Miniature, fetch: Fetch) -> None:
    with pytest.raises(BaseError, match="the mirror has no suite 'woody'"):
        fetch("dash", suite="woody")
    for suite in ("../x", "", "a b", "-x", "a\nb"):
        with pytest.raises(BaseError, match="expected a suite or codename"):
            fetch("dash", suite=suite)


def test_no_such_architecture(published: Miniature, fetch: Fetch) -> None:
    with pytest.raises(
        BaseError, match="no packages of component 'main' for 'arm64'; it has components main for amd64"
    ):
        fetch("dash", platform="linux/arm64")
    with pytest.raises(BaseError, match="Debian has no architecture for linux/m68k"):
        fetch("dash", platform="linux/m68k")


def test_a_tampered_head(published: Miniature, fetch: Fetch) -> None:
    published.in_release.write_bytes(published.in_release.read_bytes().replace(b"Miniature", b"Miniatura"))
    with pytest.raises(BaseError, match="not signed by a trusted key"):
        fetch("dash")


def test_a_tampered_index_or_package_is_never_used(published: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    index = published.root / "dists/bookworm/main/binary-amd64/Packages.xz"
    good = index.read_bytes()
    index.write_bytes(good[:-1] + b"?")
    with pytest.raises(BaseError, match="another file than its signed index names"):
        fetch("dash")
    index.write_bytes(good)
    package = next((published.root / "pool/main").glob("dash*"))
    package.write_bytes(package.read_bytes().replace(b"data.tar", b"data.rat"))
    with pytest.raises(BaseError, match="another file than its signed index names"):
        fetch("dash")
    bad = hashlib.sha256(package.read_bytes()).hexdigest()
    assert not list(tmp_path.glob(f"home/**/{bad}"))
    assert not any((tmp_path / "home" / "staging").iterdir())


def test_a_hostile_package_leaves_nothing(archive: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    archive.add("evil", [Item("./usr/big", b"x" * 100_000), Item("./../../escape", b"x")])
    archive.publish()
    with pytest.raises(BaseError, match="leaves the root"):
        fetch("evil")
    assert not any((tmp_path / "home" / "staging").iterdir())
    assert not list((tmp_path / "home" / "images").rglob("*/sha256/*"))


def test_a_package_that_the_mirror_lost(published: Miniature, fetch: Fetch) -> None:
    next((published.root / "pool/main").glob("dash*")).unlink()
    with pytest.raises(BaseError, match=r"dash 1\.0: the mirror's index names it, but it is not there"):
        fetch("dash")


def test_replaced_files_are_in_one_layer_only(archive: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    archive.add("old", [Item("./usr/share/"), Item("./usr/share/x", b"old" * 9999), Item("./usr/share/y", b"")])
    archive.add("new", [Item("./usr/share/"), Item("./usr/share/x", b"new")], fields={"Replaces": "old"})
    archive.publish()
    fetch("old")
    both = fetch("old", "new")
    assert [name for name, _, _ in listing(both, tmp_path / "home")].count("usr/share/x") == 1
    assert [layer.made for layer in fetch("old", "new").layers] == [False] * 3


def test_very_many_packages_share_layers(archive: Miniature, fetch: Fetch, tmp_path: Path) -> None:
    names = [f"pkg{number}" for number in range(70)]
    for number, name in enumerate(names):
        archive.add(name, [Item(f"./opt/{name}", bytes(number * 600))], suffix="")
    archive.publish()
    image = fetch(*names)
    assert len(image.layers) <= 49
    paths = {name for name, _, _ in listing(image, tmp_path / "home")}
    assert paths >= {f"opt/{name}" for name in names}
    archive.add("pkg3", [Item("./opt/pkg3", bytes(601))], "2.0", suffix="")
    archive.publish()
    changed = {layer.digest for layer in fetch(*names).layers} - {layer.digest for layer in image.layers}
    assert len(changed) == 1


def test_components_and_by_hash(published: Miniature, fetch: Fetch) -> None:
    published.release_fields["Acquire-By-Hash"] = "yes"
    published.publish()
    plain = published.root / "dists/bookworm/main/binary-amd64/Packages.xz"
    by_hash = plain.parent / "by-hash/SHA256" / hashlib.sha256(plain.read_bytes()).hexdigest()
    by_hash.parent.mkdir(parents=True)
    plain.rename(by_hash)
    assert len(fetch("dash").layers) == 3
    by_hash.rename(plain)
    assert len(fetch("dash", home="other").layers) == 3


def test_no_host_enters_the_bytes(published: Miniature, fetch: Fetch) -> None:
    image = fetch("dash")
    assert published.url.encode() not in image.config
    assert json.loads(image.config)["created"] == "1970-01-01T00:00:00Z"


def test_the_plugin_registers_it(make_workshop: Callable[..., Workshop]) -> None:
    from coopery_debian.plugin import coopery_register_base_source

    assert coopery_register_base_source()(make_workshop("")).name == "debian"
