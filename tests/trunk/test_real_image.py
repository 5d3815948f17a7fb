"""The image of a real scientific environment, in the hands of programs that are not ours."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery import Image
from coopery.events import Event, Hit
from coopery.oci.validate import validate_layout
from coopery.place import RunRequest
from trunk import science

pytestmark = pytest.mark.needs("channel", "debian")

PLAIN = ("--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
"""Limits that also hold where the machine lowers them itself; no test needs the network."""

Podman = Callable[..., str]


def run(*argv: str | Path) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def image() -> Image:
    return science.science()


@pytest.fixture
def layout(image: Image, tmp_path: Path) -> str:
    return exported(image, f"oci:{tmp_path / 'layout'}:v1")


def exported(image: Image, to: str) -> str:
    with science.builder() as builder:
        return builder.export(image, to)


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Podman]:
    """Podman with a storage of its own, which is gone afterwards. It takes no long path for what is only running."""
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as running:
        folders = ("--root", tmp_path / "storage", "--runroot", running)
        yield lambda *argv: run("podman", "--runtime", "runc", *folders, *argv)
        run("podman", *folders, "rmi", "--all", "--force")


def test_it_is_valid_and_of_many_layers(image: Image, layout: str) -> None:
    (assembled,) = validate_layout(Path(layout.split(":")[1]))
    assert assembled.image_id == image.id
    assert 30 < len(assembled.layers) == image.layers <= 125
    settings = assembled.document["config"]
    assert "CONDA_PREFIX=/opt/env" in settings["Env"]
    assert image.interpreter == "/opt/env/bin/python3.11"


def test_it_is_a_hit_for_everybody_else(image: Image) -> None:
    events: list[Event] = []
    with science.builder(events) as builder:
        again = builder.build(science.define(*science.SCIENCE, "joblib=1.4.2", name="another-name"))
    assert again == image
    assert [type(event) for event in events] == [Hit]


@pytest.mark.needs("skopeo")
def test_skopeo_inspects_and_copies(image: Image, layout: str, tmp_path: Path) -> None:
    seen = json.loads(run("skopeo", "inspect", layout))
    assert (seen["Architecture"], seen["Os"]) == (image.platform.split("/")[1], "linux")
    assert len(seen["Layers"]) == image.layers
    run("skopeo", "--insecure-policy", "copy", "--quiet", layout, f"dir:{tmp_path / 'copy'}")
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    assert manifest["config"]["digest"] == image.id


@pytest.mark.needs("umoci")
def test_umoci_unpacks(tmp_path: Path) -> None:
    """A smaller image: umoci takes a minute for ten thousand files on a slow disk."""
    layout = exported(science.plain(), f"oci:{tmp_path / 'layout'}:v1")
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--rootless", "--image", layout.removeprefix("oci:"), bundle)
    assert (bundle / "rootfs/opt/env/bin/python").resolve().name == "python3.11"
    process = json.loads((bundle / "config.json").read_text())["process"]
    assert any(entry.startswith("PATH=/opt/env/bin:") for entry in process["env"])


@pytest.mark.needs("podman")
def test_podman_runs_our_layout_where_it_lies(image: Image, podman: Podman) -> None:
    name = podman("pull", "--quiet", image.reference).strip()
    assert f"sha256:{name}" == image.id, "podman calls it what we call it"
    assert science.is_score(podman("run", *PLAIN, name, "python", "-c", science.SCORE))


@pytest.mark.needs("podman")
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_podman_loads_and_runs_archives(podman: Podman, tmp_path: Path, transport: str) -> None:
    image = science.plain()
    tag = "localhost/plain:v1" if transport == "docker-archive" else "v1"
    exported(image, f"{transport}:{tmp_path / 'image.tar'}:{tag}")
    podman("load", "--quiet", "--input", tmp_path / "image.tar")
    (identity,) = podman("images", "--quiet", "--no-trunc").split()
    assert identity == image.id
    show = "import six, sys; print(sys.version_info[:2], six.__name__)"
    assert podman("run", *PLAIN, identity, "python", "-c", show) == "(3, 11) six\n"


def test_it_runs_without_an_engine(image: Image, capfd: pytest.CaptureFixture[str]) -> None:
    with science.builder() as builder:
        assert builder.run(image.key, RunRequest(["python", "-c", science.SCORE])) == 0
    assert science.is_score(capfd.readouterr().out)
