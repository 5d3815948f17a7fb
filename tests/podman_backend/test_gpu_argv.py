"""GPUs, as podman is asked for them. The driver is a file: no machine that runs these tests needs one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery import driver
from coopery.backend import Workshop
from coopery.errors import UnsupportedError
from coopery.place import RunRequest
from coopery_podman.run import run

pytestmark = pytest.mark.processes

Fake = Callable[[str, str], Path]
GPU = RunRequest(("train", "--fast"), gpu=True)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files as the driver would have them."""
    root = tmp_path / "machine"
    for name in ("dev", "etc/cdi"):
        (root / name).mkdir(parents=True)
    monkeypatch.setattr(driver, "ROOT", root)
    return root


def test_no_driver_is_said_plainly(workshop: Workshop, machine: Path) -> None:
    with pytest.raises(UnsupportedError, match="this machine has no NVIDIA driver") as caught:
        run(workshop, "0" * 64, GPU)
    assert (caught.value.backend, caught.value.ability) == ("podman", "gpu")


def test_devices_that_podman_is_not_told_of(workshop: Workshop, machine: Path, fake: Fake) -> None:
    (machine / "dev" / "nvidiactl").touch()
    (machine / "etc" / "cdi" / "others.yaml").write_text("kind: vendor.example/gpu\n")
    (machine / "etc" / "cdi" / "nvidia.txt").write_text("kind: nvidia.com/gpu\n")
    with pytest.raises(UnsupportedError, match=r"install nvidia-container-toolkit, then: nvidia-ctk cdi generate"):
        run(workshop, "0" * 64, GPU)
    fake("nvidia-ctk", "")
    with pytest.raises(UnsupportedError, match=r"not told of its devices\n  nvidia-ctk cdi generate"):
        run(workshop, "0" * 64, GPU)


def test_they_are_passed_on_as_a_cdi_device(workshop: Workshop, machine: Path, fake: Fake, tmp_path: Path) -> None:
    (machine / "dev" / "nvidiactl").touch()
    # engines go by what a specification says, not by what its file is called
    (machine / "etc" / "cdi" / "gpus.json").write_text('{"cdiVersion": "0.3.0", "kind": "nvidia.com/gpu"}')
    told = tmp_path / "told"
    store = {name: str(tmp_path) for name in ("GraphRoot", "RunRoot")} | {"GraphDriverName": "overlay"}
    fake("buildah", f"print({json.dumps(json.dumps({'store': store, 'host': {}}))})")
    ended = "3 * ('run' in sys.argv and '--entrypoint' in sys.argv)"
    fake("podman", f"open({str(told)!r}, 'w').write(json.dumps(sys.argv)); sys.exit({ended})")
    assert run(workshop, "0" * 64, GPU) == 3
    argv = json.loads(told.read_text())
    assert argv[argv.index("--device") + 1] == "nvidia.com/gpu=all"
    run(workshop, "0" * 64, RunRequest(("train",)))
    assert "--device" not in json.loads(told.read_text())
