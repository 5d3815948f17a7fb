"""Fetching what a lock names: whole and with its sha256, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from coopery.definition import Pip
from coopery.errors import CacheError, NetworkError, PackageError
from coopery.events import Progress
from coopery.faults import configure
from coopery.lock import Artifact
from pip_resolve.conftest import Desk
from pip_resolve.shelf import Shelf, Wheel

pytestmark = pytest.mark.processes  # a server is started

ASKED = Pip(("a",))


def locked(wheel: Wheel, source: str = "pypi") -> Artifact:
    name, version = wheel.file_name.split("-")[:2]
    return Artifact("pip", name, version, "", "", wheel.file_name, source, wheel.sha256, len(wheel.data))


@pytest.fixture
def wheel(shelf: Shelf) -> Wheel:
    return shelf.wheel("a", "1.0")


def path_of(wheel: Wheel) -> str:
    return f"/files/{wheel.file_name}"


@pytest.mark.parametrize("form", ["json", "html"])
def test_found_by_its_name_in_its_index(desk: Desk, shelf: Shelf, wheel: Wheel, form: str) -> None:
    shelf.form = form
    (kept,) = desk.fetch(ASKED, [locked(wheel)])
    assert kept.read_bytes() == wheel.data
    assert shelf.asked == ["GET /simple/a/", f"GET {path_of(wheel)}"]
    desk.fetch(ASKED, [locked(wheel)])
    assert len(shelf.asked) == 2  # what is here is not asked for again
    assert sum(isinstance(event, Progress) and event.done == len(wheel.data) for event in desk.events) == 1


def test_several_at_a_time(desk: Desk, shelf: Shelf) -> None:
    wheels = [shelf.wheel(f"p{number}", "1.0") for number in range(30)]
    paths = desk.fetch(ASKED, [locked(one) for one in wheels])
    assert [path.read_bytes() for path in paths] == [one.data for one in wheels]
    assert not desk.leftovers()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-1] + b"?", "expected sha256"),
        (lambda data: data[:-1], "bytes, got"),
        (lambda data: data + b"more", "is longer than"),
        (lambda data: data * 1000, "is longer than"),
        (lambda _data: b"", "bytes, got 0"),
    ],
)
def test_other_bytes(desk: Desk, shelf: Shelf, wheel: Wheel, spoil: Callable[[bytes], bytes], words: str) -> None:
    shelf.spoil = spoil
    with pytest.raises(PackageError, match=words) as caught:
        desk.fetch(ASKED, [locked(wheel)])
    assert caught.value.package == wheel.file_name
    assert not desk.kept(wheel.sha256).exists()
    assert not desk.leftovers()


@pytest.mark.parametrize("at", [0, 1, 100, 300])
def test_a_broken_connection_is_resumed(desk: Desk, shelf: Shelf, wheel: Wheel, at: int) -> None:
    shelf.cut[path_of(wheel)] = at
    assert desk.fetch(ASKED, [locked(wheel)])[0].read_bytes() == wheel.data


def test_a_busy_index(desk: Desk, shelf: Shelf, wheel: Wheel) -> None:
    shelf.statuses = {"/simple/a/": [503], path_of(wheel): [500, 502]}
    assert desk.fetch(ASKED, [locked(wheel)])[0].read_bytes() == wheel.data


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_refused_is_not_asked_for_again(desk: Desk, shelf: Shelf, wheel: Wheel, status: int) -> None:
    shelf.statuses = {path_of(wheel): [status, 200]}
    with pytest.raises(NetworkError) as caught:
        desk.fetch(ASKED, [locked(wheel)])
    assert caught.value.status == status


def test_gone_from_the_index(desk: Desk, shelf: Shelf, wheel: Wheel) -> None:
    other = evolve(locked(wheel), file_name="a-1.0-py2-none-any.whl")
    with pytest.raises(PackageError, match="pypi does not list it"):
        desk.fetch(ASKED, [other])
    shelf.statuses = {path_of(wheel): [404]}
    with pytest.raises(PackageError, match="does not have it"):
        desk.again().fetch(ASKED, [locked(wheel)])


def test_another_file_under_the_same_name(desk: Desk, wheel: Wheel) -> None:
    with pytest.raises(PackageError, match="lists it with"):
        desk.fetch(ASKED, [evolve(locked(wheel), sha256="0" * 64)])


def test_a_source_that_the_definition_does_not_name(desk: Desk, wheel: Wheel) -> None:
    with pytest.raises(PackageError, match="does not name"):
        desk.fetch(ASKED, [locked(wheel, "https://elsewhere.example.org/simple")])


def test_a_direct_url_is_fetched_as_it_stands(desk: Desk, other_shelf: Shelf) -> None:
    wheel = other_shelf.wheel("a", "1.0")
    url = f"http://{other_shelf.host}{path_of(wheel)}"
    assert desk.fetch(ASKED, [locked(wheel, url)])[0].read_bytes() == wheel.data


def test_a_folder_of_wheels(desk: Desk, tmp_path: Path) -> None:
    local = Shelf()
    wheel = local.wheel("a", "1.0+local")
    local.fill(tmp_path / "my wheels")
    content = Pip(("a",), find_links=("my wheels",))
    assert desk.fetch(content, [locked(wheel, "my wheels")])[0].read_bytes() == wheel.data
    local.spoil = lambda data: data + b"!"
    (tmp_path / "my wheels" / wheel.file_name).write_bytes(wheel.data + b"!")
    desk.kept(wheel.sha256).unlink()
    with pytest.raises(PackageError):
        desk.again().fetch(content, [locked(wheel, "my wheels")])


def test_a_page_may_not_name_files_of_this_machine(desk: Desk, shelf: Shelf, tmp_path: Path) -> None:
    local = Shelf()
    wheel = local.wheel("a", "1.0")
    local.fill(tmp_path)
    shelf.pages["/simple/a/"] = f'<a href="{(tmp_path / wheel.file_name).as_uri()}">a</a>'.encode()
    with pytest.raises(PackageError, match="does not list it"):
        desk.fetch(ASKED, [locked(wheel)])


@pytest.mark.parametrize("page", [b"\xff\xfe" * 1000, b"<a href=", b"<a href='http://[::1'>x</a>" * 3, b""])
def test_pages_that_are_none(desk: Desk, shelf: Shelf, wheel: Wheel, page: bytes) -> None:
    shelf.pages["/simple/a/"] = page
    with pytest.raises(PackageError):
        desk.fetch(ASKED, [locked(wheel)])


def test_a_full_disk_leaves_nothing(desk: Desk, wheel: Wheel) -> None:
    configure("wheel-fsync:enospc")
    try:
        with pytest.raises(CacheError):
            desk.fetch(ASKED, [locked(wheel)])
    finally:
        configure("")
    assert not desk.kept(wheel.sha256).exists()
    assert not desk.leftovers()


def test_a_login_by_netrc(desk: Desk, shelf: Shelf, wheel: Wheel, tmp_path: Path) -> None:
    shelf.user = "me:secret"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert desk.fetch(ASKED, [locked(wheel)])[0].read_bytes() == wheel.data
