"""SIF files: bytes that depend on the image alone; the folder that keeps them. No engine is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from coopery import digest as _digest
from coopery.errors import BackendError, IntegrityError, NotFound, StoreFull
from coopery.layer import Entry
from coopery.place import Presence, RunRequest
from coopery_singularity import metadata, sif
from coopery_singularity.materialize import write
from coopery_singularity.place import SifPlace

pytestmark = pytest.mark.needs("mksquashfs")


@pytest.fixture
def image(workshop, make):
    """Small, with every kind of file; /bin/sh is no real shell."""
    entries = [
        make.text("bin/sh", b"#!shell", 0o755),
        make.text("opt/env/bin/python", b"\x7fELF", 0o755),
        make.text("opt/env/etc/conda/activate.d/a b.sh", b"export A=1\n"),
        *(make.text(f"data/{number}", os.urandom(1) * 200_000) for number in range(40)),
        Entry("link", "symlink", 0o777, "data/1"),
        Entry("owned", "directory", 0o2775, uid=70_000, gid=5),
    ]
    env = ["PATH=/opt/env/bin:/bin", "CONDA_PREFIX=/opt/env", "ODD=a'b\n$c `d`", "bad name=1"]
    settings = {"Env": env, "Entrypoint": ["/bin/start", "a b"], "Cmd": ["--flag"], "WorkingDir": "/srv/here"}
    return make.image([make.layer(workshop, entries)], settings)


def test_one_image_is_one_file(workshop, image, tmp_path, monkeypatch):
    made = []
    for number, processors in enumerate((1, 2)):
        path = tmp_path / f"{number}.sif"
        monkeypatch.setattr(
            "coopery_singularity.squash._QUIET", ("-quiet", "-no-progress", "-processors", str(processors))
        )
        monkeypatch.setenv("TZ", ("UTC", "Asia/Tokyo")[number])
        previous = os.umask((0o022, 0o077)[number])
        write(workshop, image, path)
        os.umask(previous)
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_what_is_in_it(workshop, image, tmp_path):
    path = tmp_path / "x.sif"
    write(workshop, image, path)
    contents = sif.read(path)
    assert contents.image_id == image.image_id
    assert contents.offset + contents.size == path.stat().st_size
    listed = subprocess.run(
        ["unsquashfs", "-o", str(contents.offset), "-lln", "-UTC", path], capture_output=True, text=True, check=True
    ).stdout
    lines = {line.split("squashfs-root", 1)[1].strip(): line.split() for line in listed.splitlines()}
    assert lines[""][:4] == ["drwxr-xr-x", "0/0", lines[""][2], "1970-01-01"]
    assert lines["/owned"][:2] == ["drwxrwsr-x", "70000/5"]
    assert lines["/srv/here"][0] == "drwxr-xr-x"
    assert lines["/tmp"][0] == "drwxrwxrwt"
    assert path.stat().st_mode & 0o777 == 0o755


def read_file(workshop, image, name):
    return next(
        added.content
        for added in metadata.added(_files(workshop, image), image.document, "sha256:x")
        if added.path == name
    )


def _files(workshop, image):
    from coopery.oci.layers_view import LayersFiles

    return LayersFiles(image.layers, workshop.blobs)


def test_scripts_say_what_the_config_says(workshop, image, tmp_path):
    script = read_file(workshop, image, ".singularity.d/env/99-base.sh").decode()
    shown = subprocess.run(
        ["sh", "-c", f'{script}\nprintf "%s|" "$ODD" "$CONDA_PREFIX" "$PYTHONPATH"'],
        env={"PYTHONPATH": "/host"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown == "a'b\n$c `d`|/opt/env||"
    run = read_file(workshop, image, ".singularity.d/runscript").decode().splitlines()
    assert run[0] == "#!/bin/sh"
    assert run[1] == ". '/opt/env/etc/conda/activate.d/a b.sh'"
    assert run[-2:] == ['[ "$#" -gt 0 ] || set -- --flag', "exec /bin/start 'a b' \"$@\""]
    entry = metadata.entry_of(_files(workshop, image), image.document)
    assert entry.argv(("python", "-c"))[-2:] == ("python", "-c")
    assert json.loads(read_file(workshop, image, ".singularity.d/labels.json"))["dev.coopery.image"] == "sha256:x"


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({"Env": ["CONDA_PREFIX=/opt/env"]}, ['[ "$#" -gt 0 ] || set -- /opt/env/bin/python', 'exec "$@"']),
        ({"Cmd": ["sh", "-c", "echo $HOME"]}, ["[ \"$#\" -gt 0 ] || set -- sh -c 'echo $HOME'", 'exec "$@"']),
        ({"Entrypoint": ["/e"]}, ['exec /e "$@"']),
    ],
)
def test_run_script(workshop, image, make, settings, last):
    other = make.image(image.layers, settings)
    assert read_file(workshop, other, ".singularity.d/runscript").decode().splitlines()[-len(last) :] == last


def test_place_notices_every_change(backend, workshop, image):
    placed = backend.materialize(None, image, (), "tag")
    place = SifPlace(workshop.home)
    path = place.path(image.image_id)
    assert placed.digest == _digest.of_bytes(path.read_bytes())
    assert (placed.size, placed.reference) == (path.stat().st_size, str(path))
    assert place.exists(image.image_id, placed.digest) is Presence.YES
    assert place.exists(image.image_id, _digest.of_bytes(b"")) is Presence.NO
    assert place.exists(_digest.of_bytes(b""), placed.digest) is Presence.NO
    os.utime(path, ns=(1, 1))
    assert place.exists(image.image_id, placed.digest) is Presence.YES, "a copy is as good"
    with path.open("r+b") as file:
        file.seek(50_000)
        file.write(b"damage")
    assert place.exists(image.image_id, placed.digest) is Presence.NO
    with pytest.raises(NotFound):
        backend.place.run(placed.digest, RunRequest(argv=("x",)))
    assert backend.materialize(None, image, (), "tag") == placed
    assert place.exists(image.image_id, placed.digest) is Presence.YES
    note = path.with_suffix(".json")
    note.write_bytes(note.read_bytes().replace(b'"size":', b'"sizf":'))
    assert place.exists(image.image_id, placed.digest) is Presence.NO
    assert backend.materialize(None, image, (), "tag") == placed
    assert place.mark(placed.digest)
    assert place.remove(image.image_id, placed.digest)
    assert place.exists(image.image_id, placed.digest) is Presence.NO
    assert not place.mark(placed.digest)


def test_not_knowing_is_not_a_no(workshop, image, monkeypatch):
    def refuse(_self, _image):
        raise PermissionError(13, "refused")

    monkeypatch.setattr(SifPlace, "note", refuse)
    assert SifPlace(workshop.home).exists(image.image_id, image.image_id) is Presence.UNKNOWN


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 40_000])
def test_what_is_no_sif(tmp_path, damage):
    (tmp_path / "x.sif").write_bytes(damage)
    with pytest.raises(IntegrityError):
        sif.read(tmp_path / "x.sif")


def fake(tmp_path, monkeypatch, name, script):
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_a_failing_mksquashfs_is_quoted(workshop, image, tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, "mksquashfs", "head -c 10 >/dev/null; echo it broke >&2; exit 3")
    with pytest.raises(BackendError, match="exited with 3: it broke"):
        write(workshop, image, tmp_path / "x.sif")


def test_no_mksquashfs(workshop, image, tmp_path, monkeypatch):
    monkeypatch.setattr("coopery_singularity.squash.shutil.which", lambda *_args, **_more: None)
    with pytest.raises(BackendError, match="mksquashfs is not on PATH"):
        write(workshop, image, tmp_path / "x.sif")


def test_a_full_disk_is_told_as_one(workshop, image, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    fake(tmp_path, monkeypatch, "mksquashfs", "cat >/dev/null; echo Probably out of space >&2; exit 1")
    monkeypatch.setattr("coopery_singularity.squash.shutil.disk_usage", lambda _path: usage._replace(free=0))
    with pytest.raises(StoreFull):
        write(workshop, image, tmp_path / "x.sif")


def test_nothing_half_made_is_left(backend, workshop, image, tmp_path, monkeypatch):
    SifPlace(workshop.home).remove(image.image_id, backend.materialize(None, image, (), "tag").digest)
    fake(tmp_path, monkeypatch, "mksquashfs", "exit 1")
    with pytest.raises(BackendError):
        backend.materialize(None, image, (), "tag")
    assert not backend.place.path(image.image_id).exists()
    assert list(workshop.staging.iterdir()) == []
