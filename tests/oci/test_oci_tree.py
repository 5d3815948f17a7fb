"""How layers are put one upon the other: whiteouts, links, folders and what replaces what."""

from collections.abc import Callable
from typing import Any

import pytest

from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import Layer
from coopery.oci.layers_view import LayersFiles
from coopery.oci.limits import Limits

Entries = list[tuple[Any, ...]]
See = Callable[..., dict[str, str]]


@pytest.fixture
def see(store: Callable[..., Layer], blobs: BlobStore) -> See:
    """All paths of a stack and what is at each: ``/`` for a folder, ``->x`` for a symlink, else the content."""

    def look(*stack: Entries, limits: Limits | None = None) -> dict[str, str]:
        files = LayersFiles([store(entries) for entries in stack], blobs, limits or Limits())
        found: dict[str, str] = {}
        todo = ["/"]
        while todo:
            folder = todo.pop()
            for name in files.listdir(folder):
                path = f"{folder}{name}"
                stat = files.lstat(path)
                assert stat is not None
                if stat.kind == "directory":
                    found[path[1:]] = "/"
                    todo.append(path + "/")
                elif stat.kind == "symlink":
                    found[path[1:]] = "->" + stat.target
                else:
                    found[path[1:]] = files.read(path, 1 << 20).decode() if stat.kind == "file" else stat.kind
        return found

    return look


BASE: Entries = [("file1", b"1"), ("a", None), ("a/file2", b"2"), ("b", None), ("b/x", b"x"), ("c/file3", b"3")]


def test_whiteouts_of_the_spec(see: See) -> None:
    upper: Entries = [(".wh.file1", b""), ("a/.wh.file2", b""), (".wh.b", b""), ("file4", b"4")]
    assert see(BASE, upper) == {"a": "/", "c": "/", "c/file3": "3", "file4": "4"}


@pytest.mark.parametrize("last", [True, False])
def test_an_opaque_whiteout_works_wherever_it_stands(see: See, last: bool) -> None:
    opaque: Entries = [("a/.wh..wh..opq", b"")]
    new: Entries = [("a", None), ("a/b", None), ("a/b/c", None), ("a/b/c/foo", b"f")]
    lower: Entries = [("a/b/c/bar", b"bar"), ("a/other", b"o"), ("kept", b"k")]
    upper = new + opaque if last else opaque + new
    assert see(lower, upper) == {"a": "/", "a/b": "/", "a/b/c": "/", "a/b/c/foo": "f", "kept": "k"}


def test_a_whiteout_hides_nothing_of_its_own_layer(see: See) -> None:
    assert see([("x", b"old")], [("x", b"new"), (".wh.x", b"")]) == {"x": "new"}


def test_whiteouts_of_what_is_not_there_and_bookkeeping_of_aufs_are_no_error(see: See) -> None:
    assert see([("x", b"1")], [("no/.wh.y", b""), (".wh.z", b""), (".wh..wh.plnk", None)]) == {"x": "1"}


@pytest.mark.parametrize(
    "entry",
    [
        (".wh.", b""),
        ("a/.wh.", b""),
        (".wh..", b""),
        (".wh...", b""),
        ("a/.wh...", b""),
        (".wh.x", None),
        (".wh.x", "->y"),
        (".wh.x", b"", {"type": b"3"}),
        (".wh.x/y", b""),
        ("a/.wh.x/y/z", b""),
        (".wh..wh..opq/y", b""),
    ],
    ids=str,
)
def test_malformed_whiteouts_are_refused(see: See, entry: tuple[Any, ...]) -> None:
    with pytest.raises(IntegrityError, match="whiteout"):
        see(BASE, [entry])


def test_files_and_folders_replace_one_another(see: See) -> None:
    assert see([("x/y", b"1")], [("x", b"file")]) == {"x": "file"}
    assert see([("x", b"file")], [("x/y", b"1")]) == {"x": "/", "x/y": "1"}
    assert see([("x/y", b"1")], [("x", None), ("x/z", b"2")]) == {"x": "/", "x/y": "1", "x/z": "2"}


def test_a_folder_replaces_a_symlink_of_a_lower_layer(see: See) -> None:
    lower: Entries = [("usr/opt/a", b"a"), ("opt", "->usr/opt")]
    for upper in ([("opt", None), ("opt/b", b"b")], [("opt/b", b"b")]):
        assert see(lower, upper) == {"usr": "/", "usr/opt": "/", "usr/opt/a": "a", "opt": "/", "opt/b": "b"}


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "../../usr/lib", "usr/../usr/./lib", "two"])
def test_a_path_through_a_symlink_of_its_own_layer_follows_it(see: See, target: str) -> None:
    stack: Entries = [("usr/lib", None), ("two", "->usr/lib"), ("lib", "->" + target), ("lib/x", b"x")]
    assert see(stack)["usr/lib/x"] == "x"


def test_symlinks_at_the_top_stay_inside(see: See) -> None:
    assert see([("l", "->../../../etc"), ("l/passwd", b"mine")])["etc/passwd"] == "mine"


def test_symlinks_in_a_circle_are_refused(see: See) -> None:
    with pytest.raises(IntegrityError, match="40 symlinks"):
        see([("a", "->b"), ("b", "->a"), ("a/x", b"")])


def test_hard_links_share_content_also_with_lower_layers(see: See) -> None:
    assert see([("a", b"1")], [("b", "=>a"), ("c", "=>b")]) == {"a": "1", "b": "1", "c": "1"}


def test_a_hard_link_keeps_what_its_target_was(see: See) -> None:
    assert see([("a", b"1"), ("b", "=>a"), ("a", b"2")]) == {"a": "2", "b": "1"}
    assert see([("a", b"1"), ("b", "=>a")], [(".wh.a", b"")]) == {"b": "1"}


@pytest.mark.parametrize("target", ["nothing", "d", "d/nothing", "f/x"])
def test_hard_links_to_no_file_are_refused(see: See, target: str) -> None:
    with pytest.raises(IntegrityError, match="a hard link to"):
        see([("d", None), ("f", b""), ("x", "=>" + target)])


def test_a_path_below_a_file_of_its_own_layer_is_refused(see: See) -> None:
    with pytest.raises(IntegrityError, match="is a file"):
        see([("x", b"1"), ("x/y", b"2")])


def test_of_two_entries_with_one_path_the_later_counts(see: See) -> None:
    assert see([("x", b"1"), ("x", "->y"), ("x", b"3")]) == {"x": "3"}
    assert see([("d/x", b"1"), ("d", "->e"), ("d/x", b"2")]) == {"d": "->e", "e": "/", "e/x": "2"}


def test_implied_folders_count_against_the_bound(see: See) -> None:
    deep: Entries = [("/".join(f"{n}" for _ in range(100)), b"") for n in range(10)]
    with pytest.raises(IntegrityError, match="more than 999 files"):
        see(deep, limits=Limits(entries=999))
    assert len(see(deep, limits=Limits(entries=1000))) == 1000


def test_modes_owners_and_the_root_come_from_the_last_entry(store: Callable[..., Layer], blobs: BlobStore) -> None:
    lower = store([("./", None, {"mode": 0o700}), ("d", None, {"mode": 0o1777}), ("d/f", b"f", {"uid": 7, "gid": 8})])
    upper = store([("d", None, {"mode": 0o2750, "uid": 5})])
    files = LayersFiles([lower, upper], blobs)
    root, folder, file = (files.lstat(path) for path in ("/", "/d", "/d/f"))
    assert root is not None
    assert folder is not None
    assert file is not None
    assert (root.mode, folder.mode, folder.uid, file.uid, file.gid, file.size) == (0o700, 0o2750, 5, 7, 8, 1)
