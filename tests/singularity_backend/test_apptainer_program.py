"""The program as it is found, told and asked: pure, or with a program that answers by script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from coopery.errors import BackendError, UsageError
from coopery_singularity import apptainer, child, namespace
from coopery_singularity.apptainer import Call, Mount, Program

APPTAINER = Program("/bin/apptainer", "apptainer")


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_finding_it(tmp_path):
    assert apptainer.find({"PATH": str(tmp_path)}) is None
    with pytest.raises(BackendError, match="neither apptainer nor singularity"):
        apptainer.program({"PATH": str(tmp_path)})
    script(tmp_path, "singularity", "")
    assert apptainer.find({"PATH": str(tmp_path)}) == Program(str(tmp_path / "singularity"), "singularity")
    script(tmp_path, "apptainer", "")
    found = apptainer.find({"PATH": str(tmp_path)})
    assert found == Program(str(tmp_path / "apptainer"), "apptainer")
    own = script(tmp_path, "my-apptainer", "")
    assert apptainer.find({"PATH": "", apptainer.VARIABLE: str(own)}).path == str(own)
    with pytest.raises(BackendError, match="COOPERY_APPTAINER: '/absent'"):
        apptainer.find({"PATH": str(tmp_path), apptainer.VARIABLE: "/absent"})


def test_version(tmp_path):
    assert apptainer.version(Program(str(script(tmp_path, "a", "echo 1.2.3")), "apptainer")) == "1.2.3"
    for text in ("exit 1", "kill -9 $$"):
        with pytest.raises(BackendError, match="does not say its version"):
            apptainer.version(Program(str(script(tmp_path, "a", text)), "apptainer"))
    with pytest.raises(BackendError, match="does not say its version"):
        apptainer.version(Program(str(tmp_path / "absent"), "apptainer"))


def test_argument_vector():
    call = Call(
        (Path("/i.sif"),), ("-x", "a b"), cwd="/w", workdir=Path("/s"), mounts=(Mount(Path("/a,b"), "/c", True),)
    )
    argv = apptainer.argv(APPTAINER, call)
    assert argv[-5:] == ["--pwd", "/w", "/i.sif", "-x", "a b"]
    assert argv[argv.index("--mount") + 1] == 'type=bind,"source=/a,b",destination=/c,ro'
    assert argv[argv.index("--workdir") + 1] == "/s"
    assert not {"--fakeroot", "--nv", "--overlay", "--network"} & set(argv)
    more = Call((Path("/i"), Path("/l")), ("x",), overlay=Path("/o"), fakeroot=True, network=False, gpu=True)
    argv = apptainer.argv(APPTAINER, more)
    assert {"--fakeroot", "--nv"} <= set(argv)
    assert argv[argv.index("--network") + 1] == "none"
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--overlay"] == ["/l:ro", "/o"]
    assert argv[argv.index("--no-mount") + 1].startswith("home,tmp")


@pytest.mark.parametrize("path", ["/a\nb", "/a\rb", "/a\0b"])
def test_paths_that_no_mount_takes(path):
    with pytest.raises(UsageError, match="line break or NUL"):
        apptainer.argv(APPTAINER, Call((Path("/i"),), ("x",), mounts=(Mount(Path(path), "/c"),)))


def test_environment():
    host = {
        "PATH": "/bin",
        "APPTAINERENV_X": "1",
        "SINGULARITY_BIND": "/",
        "APPTAINER_TMPDIR": "/t",
        "SINGULARITY_CACHEDIR": "/c",
    }
    made = apptainer.environment(APPTAINER, {"A": "1\n2", "HOME": "/h"}, host)
    assert made == {"PATH": "/bin", "APPTAINER_TMPDIR": "/t", "SINGULARITY_CACHEDIR": "/c", "APPTAINERENV_A": "1\n2"}
    assert apptainer.environment(Program("/s", "singularity"), {"A": "1"}, {}) == {"SINGULARITYENV_A": "1"}


def test_child_output_and_status():
    said = []
    assert (
        child.run(["/bin/sh", "-c", "echo out; echo err >&2; cat; exit 4"], {"PATH": "/usr/bin:/bin"}, said.append) == 4
    )
    assert b"".join(said) == b"out\nerr\n"
    assert child.run(["/bin/sh", "-c", "kill -15 $$"], {}, said.append) == 143
    with pytest.raises(BackendError, match="cannot be started"):
        child.run(["/absent"], {}, said.append)


@pytest.mark.processes
def test_child_is_ended_in_time():
    assert (
        child.run(["/bin/sh", "-c", "sleep 60 & sleep 60"], {"PATH": os.defpath}, lambda _data: None, 0.3)
        == child.TIMED_OUT
    )


@pytest.mark.processes
def test_an_error_in_the_reader_ends_the_child():
    def refuse(_data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.run(["/bin/sh", "-c", "echo x; exec sleep 987654"], {"PATH": os.defpath}, refuse)
    found = subprocess.run(["pgrep", "-f", "^sleep 987654"], capture_output=True, check=False)
    assert found.returncode == 1


def test_subordinate_ids(tmp_path):
    file = tmp_path / "subuid"
    file.write_text("other:1:2\nbroken\nme:100:10\nme:5000:65536\nme:x:1\n12:7:9\n")
    assert namespace._range(str(file), "me", 99) == (5000, 65536)
    assert namespace._range(str(file), "you", 12) == (7, 9)
    assert namespace._range(str(file), "you", 13) is None
    assert namespace._range(str(tmp_path / "absent"), "me", 1) is None


def test_examine_says_what_is_wrong(backend, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not backend.examine().found
    script(tmp_path, "apptainer", "exit 1")
    found = backend.examine()
    assert (found.found, found.works) == (True, False)
    assert found.problem
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin:/usr/sbin")
    script(tmp_path, "apptainer", 'test "$1" = version && { echo 9.9; exit; }; echo no /dev/fuse >&2; exit 255')
    found = backend.examine()
    assert (found.works, found.version, found.problem) == (False, "9.9", "no /dev/fuse")
    assert found.remedy
