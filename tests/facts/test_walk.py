from __future__ import annotations

import pytest

from coopery.facts import Obstacle, find, follow
from coopery.files import Stat


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/", "/"),
        ("/usr/bin/sh", "/usr/bin/dash"),
        ("/bin/sh", "/usr/bin/dash"),
        ("//bin/./sh", "/usr/bin/dash"),
        ("/bin/../bin/sh", "/usr/bin/dash"),
        ("/abs/dash", "/usr/bin/dash"),
        ("/bin/new/thing", "/usr/bin/new/thing"),
    ],
)
def test_symlinks_are_followed_inside_the_image(image, path, real):
    files = image({"/bin": "usr/bin", "/usr/bin/dash": b"x", "/usr/bin/sh": "dash", "/abs": "/usr/../bin"})
    assert follow(files, path).path == real


def test_what_is_missing_is_told_from_a_dangling_link(image):
    files = image({"/opt": "gone/far", "/srv": None})
    assert follow(files, "/srv/new").dangling == ""
    assert follow(files, "/opt/env").dangling == "/opt"
    assert follow(files, "/opt/env").path == "/gone/far/env"


def test_a_link_above_the_root_stops_there_and_is_named(image):
    files = image({"/opt": "../../mnt", "/mnt/data": b""})
    found = follow(files, "/opt/data")
    assert (found.path, found.escaping) == ("/mnt/data", "/opt")
    assert follow(files, "/../mnt/data").escaping == ""


@pytest.mark.parametrize(
    "paths",
    [{"/a": "a"}, {"/a": "b", "/b": "a"}, {"/a": "/a/x"}, {f"/a{n or ''}": f"a{n + 1}" for n in range(60)}],
    ids=["self", "pair", "growing", "long chain"],
)
def test_loops_end(image, paths):
    with pytest.raises(Obstacle, match="loop"):
        follow(image(paths), "/a/b")
    assert find(image(paths), "/a/b") is None


def test_forty_links_are_followed(image):
    paths = {f"/a{n}": f"a{n + 1}" for n in range(40)}
    assert follow(image({**paths, "/a40": b"end"}), "/a0").path == "/a40"


@pytest.mark.parametrize("there", [b"file", Stat("other", 0o644)])
def test_no_folder_in_the_middle(image, there):
    with pytest.raises(Obstacle, match="a folder is needed"):
        follow(image({"/a/b": there}), "/a/b/c")


def test_endless_paths_are_refused(image):
    with pytest.raises(Obstacle, match="too long"):
        follow(image({}), "/a" * 5000)
    with pytest.raises(Obstacle, match=r"/a: .*too long"):
        follow(image({"/a": "x/" * 5000}), "/a")
