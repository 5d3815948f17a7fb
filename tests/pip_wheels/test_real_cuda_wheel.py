"""A real CUDA wheel from the package index: installed on a machine that may have no GPU, imported in the image."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import parts
from conformance.desk import base
from coopery import Builder, Environment
from coopery.place import RunRequest

pytestmark = [pytest.mark.needs("index", "channel", "chroot"), pytest.mark.processes, pytest.mark.slow]

SCRIPT = """
import ctypes, pathlib, nvidia.cuda_runtime as runtime
(folder,) = runtime.__path__
library = ctypes.CDLL(str(pathlib.Path(folder, "lib", "libcudart.so.12")))
version, count = ctypes.c_int(), ctypes.c_int()
print(folder)
print(library.cudaRuntimeGetVersion(ctypes.byref(version)), version.value)
print(library.cudaGetDeviceCount(ctypes.byref(count)))
"""
NO_DRIVER = ("35", "100")
"""cudaErrorInsufficientDriver, cudaErrorNoDevice. Source: CUDA Runtime API, "Data types used by CUDA Runtime"."""


def test_it_is_locked_installed_and_works_as_far_as_it_can_without_a_gpu(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.tar").write_bytes(base())
    document = {
        "base": {"rootfs": "base.tar"},
        "conda": {
            "channels": [(parts.REPOSITORY / "build" / "channel").as_uri()],
            "dependencies": ["python", {"pip": ["nvidia-cuda-runtime-cu12>=12.4,<12.5"]}],
        },
        "target": {"cuda": "12.4"},
    }
    environment = Environment.from_dict(document, tmp_path)
    with Builder(home=tmp_path / "home", backend="oci") as builder:
        image = builder.build(environment)
        lock = builder.details(image.key).lock
        assert lock is not None
        (wheel,) = lock.of_kind("pip")
        assert (wheel.name, wheel.version.rpartition(".")[0]) == ("nvidia-cuda-runtime-cu12", "12.4")
        assert dict(lock.facts)["cuda"] == "12.4"
        assert image.interpreter is not None
        capfd.readouterr()
        assert builder.run(image.key, RunRequest((image.interpreter, "-c", SCRIPT))) == 0
    folder, version, count = capfd.readouterr().out.splitlines()
    assert folder.startswith("/opt/env/lib/python3.")
    assert version == "0 12040"
    if not Path("/dev/nvidiactl").exists():
        assert count in NO_DRIVER
