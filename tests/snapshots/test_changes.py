"""The upper folder of a real overlay mount, as a layer: on the base it gives what was seen through the mount."""

from __future__ import annotations

import io
import os
import shlex
import socket
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.layer import Layer
from coopery.oci.extract import extract
from coopery.snapshots.changes import IndirectError, write_changes
from coopery.snapshots.running import stray, take
from snapshots.conftest import Overlay, emptied, mounted, seen

pytestmark = [pytest.mark.needs("overlay")]


def layer(upper: Path, **options) -> bytes:
    stream = io.BytesIO()
    write_changes(upper, stream, **options)
    return stream.getvalue()


def members(upper: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer(upper))) as tar:
        return {member.name: member for member in tar}


def applied(found: Overlay, folder: Path) -> dict[str, tuple[object, ...]]:
    """The base and the change set, unpacked one above the other by core's own hands."""
    blobs = BlobStore(folder / "blobs", folder / "staging")
    kept = []
    for top in (found.lower, found.upper):
        data = layer(top)
        digest = blobs.put(data)
        kept.append(Layer(digest, digest, len(data)))
    extract(kept, blobs, folder / "tree")
    return seen(folder / "tree")


@pytest.mark.parametrize(
    "script",
    [
        "true",
        "echo new > new; echo changed > etc/a",
        "rm etc/a link",
        "rm -r etc",
        "rm -r etc; mkdir etc; echo only > etc/only",
        "rm -r etc/deep; mkdir -m 700 etc/deep",
        "rm etc/a; mkdir etc/a; echo x > etc/a/x",
        "rm -r etc/deep; echo file > etc/deep",
        "rm link; mkdir link; echo x > link/x",
        "mv etc/deep moved",
        "chmod 600 etc/a; chmod 1777 etc/deep; chown 5:6 etc/b",
        "mkdir -m 750 -p one/two; chown -h 7:8 one/two; ln -s /nowhere one/dangling",
        "echo x > 'a b'; echo x > -rf; echo x > $(printf 'ue\\303\\274'); echo x > \"$(printf 'new\\nline')\"",
        "rm etc/b; echo anew > etc/b",
        "rm -r etc/deep; mkdir -p etc/deep; rm -r etc/deep",
    ],
)
def test_on_the_base_it_is_what_was_seen(overlay, tmp_path: Path, script: str) -> None:
    found = overlay(script)
    assert applied(found, tmp_path) == seen(found.merged)


NAMES = ("a", "b", "etc", "etc/a", "etc/deep", "etc/deep/c", "new", "new/x", "link")
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["echo {0} > {1}", "mkdir -p {1}", "rm -rf {1}", "chmod 700 {1}", "chown 3:4 {1}"]),
              st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["mv -T {0} {1}", "cp -a -T {0} {1}", "ln -s {0} {1}", "ln {0} {1}"]),
              st.sampled_from(NAMES), st.sampled_from(NAMES)),
)  # fmt: skip


@given(st.lists(OPERATIONS, min_size=1, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_was_done_it_is_what_was_seen(operations) -> None:
    lines = [words.format(shlex.quote(first), shlex.quote(second)) for words, first, second in operations]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lower" / "etc" / "deep").mkdir(parents=True)
        (folder / "lower" / "etc" / "a").write_text("of the base\n")
        (folder / "lower" / "etc" / "deep" / "c").write_text("deep in the base\n")
        (folder / "lower" / "link").symlink_to("etc")
        found = mounted(folder, "\n".join(f"{line} 2> /dev/null || :" for line in lines))
        assert applied(found, folder / "applied") == seen(found.merged)


def test_whiteouts_are_those_of_the_specification(overlay) -> None:
    found = members(overlay("rm etc/a; rm -r etc/deep; mkdir etc/deep; echo x > etc/deep/x").upper)
    assert list(found) == ["etc", "etc/.wh.a", "etc/deep", "etc/deep/.wh..wh..opq", "etc/deep/x"]
    assert [found[name].size for name in ("etc/.wh.a", "etc/deep/.wh..wh..opq")] == [0, 0]


def test_a_hard_link_stays_one(overlay) -> None:
    found = members(overlay("echo x > z; ln z y; ln z etc/x").upper)
    assert found["etc/x"].isreg()
    assert [(found[name].islnk(), found[name].linkname) for name in ("y", "z")] == [(True, "etc/x"), (True, "etc/x")]


def test_times_are_kept_in_seconds(overlay) -> None:
    upper = overlay("echo x > x; touch -d @1234567890.75 x").upper
    assert members(upper)["x"].mtime == 1234567890


def test_attributes_of_the_image_are_kept_and_those_of_the_mount_are_not(overlay) -> None:
    upper = overlay("echo x > x; rm -r etc/deep; mkdir etc/deep").upper
    os.setxattr(upper / "x", "user.note", b"kept")
    found = members(upper)
    assert found["x"].pax_headers["SCHILY.xattr.user.note"] == "kept"
    assert not [name for name in found["etc/deep"].pax_headers if "overlay" in name]


def test_sockets_and_devices_are_left_out_and_told(overlay, monkeypatch: pytest.MonkeyPatch) -> None:
    upper = overlay("mkfifo pipe; mknod disk b 7 99; mkdir sub").upper
    monkeypatch.chdir(upper)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sub/socket")
    stream = io.BytesIO()
    changes = write_changes(upper, stream)
    assert changes.left_out == ("disk", "sub/socket")
    assert changes.paths == 2
    assert set(members(upper)) == {"pipe", "sub"}


@pytest.mark.parametrize("options", ["redirect_dir=on,metacopy=off,index=off", "redirect_dir=on,metacopy=on,index=off"])
def test_what_refers_to_lower_layers_is_no_change_set(overlay, options: str) -> None:
    upper = overlay("mv etc/deep moved; chmod 600 etc/a", options).upper
    with pytest.raises(IndirectError, match="its content is in a lower layer"):
        layer(upper)


def test_equal_changes_are_equal_bytes(overlay, tmp_path: Path) -> None:
    script = "mkdir d; for n in 3 1 2; do echo $n > d/$n; done; touch -h -d @5 d d/*"
    first = overlay(script).upper
    second = mounted(emptied(tmp_path / "again"), script.replace("3 1 2", "1 2 3")).upper
    assert _digest.of_bytes(layer(first)) == _digest.of_bytes(layer(second))


def test_what_is_omitted_is_omitted_with_all_below_it(overlay) -> None:
    script = "mkdir -p run/secrets/deep; echo x > run/secrets/deep/x; echo h > etc/hosts; echo k > run/kept"
    upper = overlay(script).upper
    with tarfile.open(fileobj=io.BytesIO(layer(upper, omit=stray))) as tar:
        assert tar.getnames() == ["etc", "run", "run/kept"]


def test_taken_it_is_a_blob(overlay, workshop) -> None:
    taken = take(workshop, overlay("echo x > x").upper)
    assert taken.digest == taken.diff_id
    assert workshop.blobs.size(taken.digest) == taken.size
    assert taken.made
    assert not list(workshop.staging.iterdir())


def test_what_fuse_overlayfs_leaves_is_read(tmp_path: Path) -> None:
    """It marks an opaque folder by the OCI file and a device beside it, and hides a file by a file or a device."""
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    (upper / "d" / ".wh..wh..opq").touch(0o700)
    (upper / "d" / ".wh..opq").touch(0o700)
    (upper / "d" / ".wh.gone").write_bytes(b"")
    (upper / "d" / "new").write_bytes(b"new")
    stream = io.BytesIO()
    write_changes(upper, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        assert [(member.name, member.size) for member in tar] == [
            ("d", 0), ("d/.wh..wh..opq", 0), ("d/.wh.gone", 0), ("d/new", 3)
        ]  # fmt: skip
