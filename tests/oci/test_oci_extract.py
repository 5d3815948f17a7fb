"""Unpacking: what is restored, what is not, and that a stack unpacked is what the view over its blobs shows."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery.blobs import BlobStore
from coopery.errors import IntegrityError, UsageError
from coopery.image import Assembled
from coopery.layer import TAR, TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.extract import Extracted, extract
from coopery.oci.layers_view import LayersFiles

Store = Callable[..., Layer]


def walk(root: Path) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in (*names, *files))


def test_restores_content_modes_times_and_links(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    layer = store(
        [
            ("./", None, {"mode": 0o755, "mtime": 5}),
            ("d", None, {"mode": 0o555, "mtime": 1_000_000}),
            ("d/f", b"content", {"mode": 0o4754, "mtime": 2_000_000.5}),
            ("d/hard", "=>d/f"),
            ("link", "->/d/../../f", {"mtime": 3_000_000}),
            ("tmp", None, {"mode": 0o1777}),
        ]
    )
    target = tmp_path / "root"
    assert extract([layer], blobs, target) == Extracted(files=5, size=7, skipped=0)
    file = (target / "d/f").stat()
    assert (target / "d/f").read_bytes() == b"content"
    assert stat.S_IMODE(file.st_mode) == 0o754  # setuid is not restored
    assert (file.st_mtime, file.st_nlink) == (2_000_000.5, 2)
    assert (target / "d/hard").samefile(target / "d/f")
    assert os.readlink(target / "link") == "/d/../../f"
    assert (target / "link").lstat().st_mtime == 3_000_000
    assert stat.S_IMODE((target / "tmp").stat().st_mode) == 0o1777
    assert [(target / name).stat().st_mtime for name in (".", "d")] == [5, 1_000_000]
    assert stat.S_IMODE((target / "d").stat().st_mode) == (0o555 if os.geteuid() == 0 else 0o755)


def test_three_compressions_and_whiteouts(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    extract(image.layers, blobs, tmp_path / "root")
    assert sorted(walk(tmp_path / "root")) == [
        "etc",
        "etc/new",
        "etc/os-release",
        "usr",
        "usr/bin",
        "usr/bin/tool",
    ]


def test_owners_where_this_process_may_give_files_away(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    layer = store([("d", None, {"uid": 7}), ("d/f", b"x", {"uid": 1000, "gid": 50}), ("l", "->f", {"uid": 9})])
    extract([layer], blobs, tmp_path / "root")
    owners = [(tmp_path / "root" / name).lstat().st_uid for name in ("d", "d/f", "l")]
    assert owners == ([7, 1000, 9] if os.geteuid() == 0 else [os.geteuid()] * 3)


def test_devices_and_pipes_are_skipped_and_counted(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    layer = store([("dev/null", b"", {"type": b"3"}), ("dev/sda", b"", {"type": b"4"}), ("p", b"", {"type": b"6"})])
    assert extract([layer], blobs, tmp_path / "root") == Extracted(files=1, size=0, skipped=3)
    assert list(walk(tmp_path / "root")) == ["dev"]


def test_a_hard_link_to_a_lower_layer(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    extract([store([("a", b"1")]), store([("b/c", "=>a")])], blobs, tmp_path / "root")
    assert (tmp_path / "root/b/c").samefile(tmp_path / "root/a")


def test_a_symlink_may_have_two_names(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    extract([store([("a", "->x"), ("b", "=>a")])], blobs, tmp_path / "root")
    assert os.readlink(tmp_path / "root/b") == "x"


@pytest.mark.parametrize("occupied", ["file", "folder with something in it", "symlink"])
def test_only_a_new_or_empty_folder_is_written_to(
    store: Store, blobs: BlobStore, tmp_path: Path, occupied: str
) -> None:
    target = tmp_path / "root"
    if occupied == "file":
        target.touch()
    elif occupied == "symlink":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    else:
        (target / "x").mkdir(parents=True)
    with pytest.raises(UsageError, match="a new or empty folder"):
        extract([store([("a", b"")])], blobs, target)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
def test_a_damaged_layer_is_noticed_with_its_index_kept(
    store: Store, blobs: BlobStore, tmp_path: Path, media_type: str
) -> None:
    layer = store([("a", b"x" * 5000)], media_type)
    LayersFiles([layer], blobs).listdir("/")
    data = bytearray(blobs.path(layer.digest).read_bytes())
    data[-30 if media_type != TAR else 2000] ^= 1
    blobs.path(layer.digest).write_bytes(data)
    with pytest.raises(IntegrityError):
        extract([layer], blobs, tmp_path / "root")


def test_a_missing_layer_is_named(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    layer = store([("a", b"x")])
    blobs.path(layer.digest).unlink()
    with pytest.raises(IntegrityError, match=layer.digest):
        extract([layer], blobs, tmp_path / "root")


_PARTS = st.sampled_from(["a", "b", "c", "dd"])
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
_ENTRIES = st.lists(
    st.tuples(_PATHS, st.none() | st.binary(max_size=20) | _PATHS.map("->{}".format) | _PATHS.map("=>{}".format))
    | st.tuples(_PATHS.map(lambda path: f"{path}/.wh.a"), st.just(b""))
    | st.tuples(_PATHS.map(lambda path: f"{path}/.wh..wh..opq"), st.just(b"")),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stack=st.lists(_ENTRIES, min_size=1, max_size=3))
def test_what_is_unpacked_is_what_the_view_shows(
    store: Store, blobs: BlobStore, tmp_path_factory: pytest.TempPathFactory, stack: list[list[tuple[str, object]]]
) -> None:
    target = tmp_path_factory.mktemp("extract") / "root"
    layers = [store(entries) for entries in stack]
    view = LayersFiles(layers, blobs)
    try:
        extract(layers, blobs, target)
    except IntegrityError as exc:
        with pytest.raises(IntegrityError) as seen:
            view.listdir("/")
        assert seen.value.message == exc.message  # noqa: PT017 - both ways refuse, and for the same reason
        return
    unpacked = set(walk(target))
    for path in unpacked:
        stat_, host = view.lstat("/" + path), target / path
        assert stat_ is not None
        if host.is_symlink():
            assert (stat_.kind, stat_.target) == ("symlink", os.readlink(host))
        elif host.is_dir():
            assert stat_.kind == "directory"
        else:
            assert view.read("/" + path, 100) == host.read_bytes()
    listed = {"/" + path for path in unpacked}
    assert all(f"{folder.rstrip('/')}/{n}" in listed for folder in ["/", *listed] for n in view.listdir(folder))


@pytest.mark.needs("ordinary-user")
def test_an_ordinary_user_gets_everything_but_owners(store: Store, blobs: BlobStore, tmp_path: Path) -> None:
    layer = store([("etc/shadow", b"x", {"mode": 0, "uid": 0}), ("closed", None, {"mode": 0o000}), ("closed/f", b"1")])
    program = (
        "import sys; from pathlib import Path\n"
        "from coopery.blobs import BlobStore; from coopery.layer import Layer\n"
        "from coopery.oci.extract import extract\n"
        "home, digest, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])\n"
        "blobs = BlobStore(home / 'blobs', home / 'staging')\n"
        "print(extract([Layer(digest, digest, size)], blobs, home / 'out' / 'root').files)\n"
    )
    home = tmp_path / "user"
    (home / "blobs" / "sha256").mkdir(parents=True)
    (home / "out").mkdir()
    (home / "blobs" / "sha256" / layer.digest[7:]).write_bytes(blobs.path(layer.digest).read_bytes())
    (home / "out").chmod(0o777)
    for folder in (home, *home.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    argv = [*drop, sys.executable, "-c", program, str(home), layer.digest, str(layer.size)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == "4\n", done.stderr
    root = home / "out" / "root"
    assert (root / "etc/shadow").stat().st_uid == (65534 if drop else os.geteuid())
    assert stat.S_IMODE((root / "closed").stat().st_mode) == 0o700
