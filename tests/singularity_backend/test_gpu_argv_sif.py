"""GPUs, as Apptainer is asked for them. The driver is a file: no machine that runs these tests needs one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from coopery import driver
from coopery.backend import Workshop
from coopery.digest import Digest
from coopery.errors import UnsupportedError
from coopery.place import RunRequest
from coopery_singularity.place import Note
from coopery_singularity.run import run

pytestmark = pytest.mark.processes

ZERO = Digest("sha256:" + "0" * 64)
NOTE = Note(ZERO, ZERO, 1, 1, ZERO, "", (), "", ())


@pytest.mark.parametrize("sign", ["dev/nvidiactl", "dev/dxg", "proc/driver/nvidia/version"])
def test_nv_is_said_where_there_is_a_driver(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "apptainer"
    fake.write_text(f"#!{sys.executable} -IS\nimport json, sys\njson.dump(sys.argv, open({str(told)!r}, 'w'))\n")
    fake.chmod(0o755)
    monkeypatch.setenv("COOPERY_APPTAINER", str(fake))
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    request = RunRequest(("train",), gpu=True)
    with pytest.raises(UnsupportedError, match="this machine has no NVIDIA driver") as caught:
        run(workshop, tmp_path / "image.sif", NOTE, request)
    assert (caught.value.backend, caught.value.ability) == ("singularity", "gpu")
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).touch()
    assert run(workshop, tmp_path / "image.sif", NOTE, request) == 0
    assert "--nv" in json.loads(told.read_text())
    assert run(workshop, tmp_path / "image.sif", NOTE, RunRequest(("train",))) == 0
    assert "--nv" not in json.loads(told.read_text())
