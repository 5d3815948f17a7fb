"""The real program: what a hit imports, closed pipes, signals, streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

pytestmark = pytest.mark.processes

Start = Callable[..., "Popen[str]"]


def test_module_and_script_are_one_program(folder: Path, process: Start) -> None:
    script = Path(sys.executable).with_name("coopery")
    asked = subprocess.run([script, "key", "a.yaml"], capture_output=True, text=True, check=True)
    assert process("key", "a.yaml").communicate()[0] == asked.stdout


def test_a_hit_imports_nothing_heavy(folder: Path, process: Start) -> None:
    assert process("build", "a.yaml").wait() == 0
    program = (
        "import sys; from coopery.cli import main; code = main(['build', 'a.yaml']);"
        "print(*sorted(name.partition('.')[0] for name in sys.modules), sep=' ', file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "a hit" in done.stdout
    loaded = set(done.stderr.split())
    heavy = {"rich", "rattler", "coopery_conda", "coopery_oci", "zstandard", "docker", "asyncio", "pluggy", "http"}
    assert loaded & heavy == set()


def test_only_the_command_that_is_asked_for_is_imported(folder: Path) -> None:
    program = (
        "import sys; from coopery.cli import main; main(['key', 'a.yaml']); print('coopery.cli.run' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_a_closed_pipe_is_quiet(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "coopery", "key", *["a.yaml"] * 50]
    done = subprocess.run(argv, stdout=writer, stderr=PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_build_in_good_order(folder: Path, process: Start, number: int, code: int) -> None:
    running = process("build", "a.yaml", environ={"COOPERY_FAULT": "blob-fsync:sleep=60"}, start_new_session=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("steps:"):
            break
    time.sleep(0.3)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert running.returncode == code
    assert out == ""
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)  # its session is empty
    if number == signal.SIGINT:
        assert "layer" in process("build", "-q", "a.yaml").communicate(timeout=30)[0]


def test_text_that_a_stream_cannot_hold_is_spelled_out(folder: Path, process: Start) -> None:
    running = process("why", "a.yaml", "b.yaml", environ={"PYTHONIOENCODING": "latin-1"})
    assert running.communicate()[0] == "steps[1].env.COLOR: red \\u2192 blue\n"


def test_a_document_is_all_there_is_on_stdout(folder: Path, process: Start) -> None:
    out, err = process("build", "a.yaml", "--output", "json").communicate()
    assert json.loads(out)["images"][0]["file"] == "a.yaml"
    assert "base: done" in err


def test_run_passes_the_status_on(folder: Path, process: Start) -> None:
    running = process("run", "a.yaml", "--", "/not/there", "--help", stdin=DEVNULL)
    assert "Usage" not in running.communicate()[0]
    assert running.returncode == 127


def test_a_mistake_of_ours_is_told_as_one(folder: Path) -> None:
    program = (
        "import sys, coopery.cli.key as key\nfrom coopery.cli import main\n"
        "def broken(*args, **options): raise ZeroDivisionError('oops')\n"
        "key.command.callback = broken\nsys.exit(main(['key', 'a.yaml']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: oops" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: this is a mistake in Coopery")
