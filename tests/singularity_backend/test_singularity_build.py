"""Whole builds on the real engine: keys, hits, what is run again, exports, and a builder that is killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from coopery import Builder, Environment
from coopery.errors import StepFailed
from coopery.place import RunRequest
from coopery_singularity import sif

pytestmark = [pytest.mark.needs("apptainer"), pytest.mark.processes]


@pytest.fixture
def define(tmp_path, make):
    """Makes a definition on a root file system of this machine's tools."""
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        for entry in make.tools():
            member = tarfile.TarInfo(entry.path)
            kinds = {"file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE, "directory": tarfile.DIRTYPE}
            member.type, member.mode, member.linkname = kinds[entry.kind], entry.mode, entry.target
            member.uid, member.gid = entry.uid, entry.gid
            content = entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
            member.size = len(content) if entry.kind == "file" else 0
            tar.addfile(member, io.BytesIO(content))

    def make_it(*steps):
        return Environment.from_dict({"base": {"rootfs": "root.tar"}, "steps": list(steps)}, tmp_path)

    return make_it


def test_a_changed_step_is_run_again_from_there(define, tmp_path, capfd):
    events = []
    words = [{"run": f"echo ran {number}; echo {number} > /f{number}"} for number in range(3)]
    with Builder(home=tmp_path / "home", backend="singularity", on_event=events.append) as builder:

        def ran(environment):
            events.clear()
            image = builder.build(environment)
            return image, [event.line for event in events if getattr(event, "line", "").startswith("ran")]

        first, lines = ran(define(*words))
        assert lines == ["ran 0", "ran 1", "ran 2"]
        again, lines = ran(define(*words))
        assert (again.hit, again.id, lines) == (True, first.id, [])
        other, lines = ran(define(words[0], {"run": "echo ran other"}, words[2]))
        assert lines == ["ran other", "ran 2"]
        assert other.id != first.id
        Path(first.reference).unlink()
        back, lines = ran(define(*words))
        assert (back.hit, back.id, back.digest, lines) == (False, first.id, first.digest, [])
        status = builder.place.run(first.digest, RunRequest(argv=("cat", "/f2")))
        assert (status, capfd.readouterr().out) == (0, "2\n")
        builder.export(first, f"sif:{tmp_path / 'out.sif'}")
        assert (tmp_path / "out.sif").read_bytes() == Path(back.reference).read_bytes()
        assert sif.read(tmp_path / "out.sif").image_id == first.id
        with pytest.raises(StepFailed):
            ran(define({"run": "exit 1"}))


def test_one_image_id_as_without_an_engine(define, tmp_path):
    definition = define({"env": {"A": "1"}}, {"workdir": "/w"})
    made = []
    for name in ("singularity", "oci"):
        with Builder(home=tmp_path / name, backend=name) as builder:
            made.append(builder.build(definition))
    assert (made[0].key, made[0].id) == (made[1].key, made[1].id)


def test_a_killed_builder_leaves_no_process(define, tmp_path):
    code = (
        "import json, sys\n"
        "from coopery import Builder, Environment\n"
        "document = {'base': {'rootfs': 'root.tar'}, 'steps': [{'run': 'echo begun; sleep 4321'}]}\n"
        "say = lambda event: print(getattr(event, 'line', ''), flush=True)\n"
        "with Builder(home=sys.argv[1] + '/home', backend='singularity', on_event=say) as builder:\n"
        "    builder.build(Environment.from_dict(document, sys.argv[1]))\n"
    )
    define()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert any(line == "begun\n" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    for _ in range(50):
        if subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).returncode == 1:
            break
        time.sleep(0.2)
    shown = subprocess.run(
        ["pgrep", "-fa", f"{tmp_path}|sleep 4321"], capture_output=True, text=True, check=False
    ).stdout
    assert shown == ""


def test_ctrl_c_leaves_nothing(define, tmp_path):
    def interrupt(event):
        if getattr(event, "line", "") == "begun":
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Builder(home=tmp_path / "home", backend="singularity", on_event=interrupt) as builder,
    ):
        builder.build(define({"run": "echo begun; sleep 4321"}))
    assert subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True, check=False).returncode == 1
    assert list((tmp_path / "home" / "staging").iterdir()) == []
