"""buildah.py without the build loop: the example of the documentation, and a folder copied in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery.image import Assembled
from coopery_podman import buildah
from coopery_podman.backend import PodmanBackend
from coopery_podman.buildah import Buildah

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]

EXAMPLE = Path(__file__).parents[2] / "examples" / "buildah" / "image_with_tools.py"


@pytest.fixture
def base(backend: PodmanBackend, make: SimpleNamespace, small: Assembled) -> str:
    return backend.materialize(make.snapshot(small), small, (), "alone").reference


def test_the_example_of_the_documentation(base: str) -> None:
    argv = [sys.executable, EXAMPLE, base, "localhost/made:1", "sh", "-c", "echo said; echo $LC_ALL > /made"]
    said, image = subprocess.check_output(argv, text=True).split()
    assert (said, len(image)) == ("said", 64)
    tool = Buildah()
    try:
        document = tool.call(buildah.inspect(image, "image"))
        assert "MADE_BY=buildah" in document
        box = tool.call(buildah.from_("localhost/made:1"))
        step = buildah.run(box, ["cat", "/made"], isolation=tool.isolation(), network="host")
        assert tool.call(step) == "C.UTF-8"
        tool.call(buildah.rm(box))
    finally:
        tool.call(buildah.rmi("localhost/made:1"))


def test_a_container_by_hand(base: str, tmp_path: Path) -> None:
    tool = Buildah()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("copied\n")
    box = tool.call(buildah.from_(base, name="by-hand"))
    try:
        assert box == "by-hand"
        tool.call(buildah.copy(box, tmp_path / "folder", "/into", owner="1000:1001"))
        said = tool.call(buildah.run(box, ["stat", "-c", "%u:%g %n", "/into/file"], isolation=tool.isolation()))
        assert said == "1000:1001 /into/file"
        assert "by-hand" in tool.call(buildah.containers())
        assert "GraphRoot" in tool.info()["store"]
    finally:
        tool.call(buildah.rm(box))
