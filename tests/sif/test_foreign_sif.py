"""SIFs that `apptainer build` made, and definitions that stand on them, on every way into an image."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import ordinary
from coopery import Builder, Environment, platform
from coopery.oci.layers_view import LayersFiles
from coopery.place import RunRequest
from coopery.settings import Settings
from coopery.testing.backend.root import root_tar

pytestmark = [pytest.mark.needs("apptainer", "mksquashfs"), pytest.mark.processes, pytest.mark.slow]


ENVIRONMENT = """%environment
    # of the recipe
    export TOOL=/opt/tool WORDS="two words"
    export PATH=$TOOL/bin:$PATH
    export COLOR="light ${COLOR:-none}"
"""


SHOW = 'echo "$TOOL,$WORDS,$COLOR,$PATH"'


@pytest.fixture(scope="module")
def world() -> Iterator[Path]:
    """A folder that an ordinary user can enter, with a small base in it."""
    with tempfile.TemporaryDirectory(prefix="coopery-sif-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "base.tar").write_bytes(root_tar())
        yield folder


def built(folder: Path, steps: list[dict[str, object]], base: dict[str, str]) -> tuple[Builder, Environment]:
    document = {"base": base, "steps": steps, "target": {"platform": platform.of_host()}}
    builder = Builder(settings=Settings(home=folder / "home"), backend="oci")
    return builder, Environment.from_dict(document, folder)


@pytest.fixture(scope="module")
def foreign(world: Path) -> Path:
    """What ``apptainer build`` makes of an image with variables, owners and a link, and of variables of its own."""
    steps = [{"env": {"COLOR": "green"}}, {"copy": "base.tar", "to": "/srv/note", "owner": "1000:1001"}]
    builder, environment = built(world, steps, {"rootfs": "base.tar"})
    with builder:
        builder.export(builder.build(environment), f"docker-archive:{world / 'image.tar'}:v1")
    (world / "image.tar").chmod(0o644)
    out = world / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    (world / "recipe.def").write_text(f"Bootstrap: docker-archive\nFrom: {world / 'image.tar'}\n\n{ENVIRONMENT}")
    argv = ordinary.argv("apptainer", "build", str(out / "foreign.sif"), str(world / "recipe.def"))
    done = subprocess.run(argv, env=ordinary.environ(), cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    shutil.copy(out / "foreign.sif", world / "foreign.sif")
    return world / "foreign.sif"


def test_it_is_a_base_like_any_other(world: Path, foreign: Path, capfd: pytest.CaptureFixture[str]) -> None:
    builder, environment = built(world, [{"env": {"SIZE": "1"}}], {"sif": foreign.name})
    with builder:
        image = builder.build(environment)
        known = builder.details(image.key)
        files = LayersFiles(known.layers, builder.home.blobs)
        note = files.lstat("/srv/note")
        assert note is not None
        assert note.size == (world / "base.tar").stat().st_size
        assert files.lstat("/.singularity.d") is None
        assert files.lstat("/environment") is None
        assert builder.build(environment).hit
        assert builder.run(environment, RunRequest(("sh", "-c", "echo $COLOR $SIZE"))) == 0
        assert capfd.readouterr().out == "light green 1\n"
        argv = ordinary.argv("apptainer", "exec", "--cleanenv", str(foreign), "/bin/sh", "-c", SHOW)
        there = subprocess.run(argv, env=ordinary.environ(), cwd="/", capture_output=True, text=True, check=True)
        assert builder.run(environment, RunRequest(("sh", "-c", SHOW))) == 0
        assert capfd.readouterr().out == there.stdout, "what Apptainer itself makes of it"
        foreign.write_bytes(foreign.read_bytes() + b"\0")
        assert builder.key(environment) != image.key, "its content is in the key"


def test_our_own_sif_is_one_too(world: Path) -> None:
    builder, environment = built(world, [{"env": {"COLOR": "green"}}], {"rootfs": "base.tar"})
    with builder:
        first = builder.build(environment)
        builder.export(first, f"sif:{world / 'own.sif'}")
        stands, on_it = built(world, [], {"sif": "own.sif"})
        with stands:
            image = stands.build(on_it)
            seen = [LayersFiles(builder.details(one.key).layers, builder.home.blobs) for one in (first, image)]
            assert seen[0].listdir("/usr/bin") == seen[1].listdir("/usr/bin")
            assert seen[0].read("/usr/bin/sh", 1 << 22) == seen[1].read("/usr/bin/sh", 1 << 22)
            assert 'ENV COLOR="green"' in stands.dockerfile(image.key)
