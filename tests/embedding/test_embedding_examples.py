"""The examples of docs/embedding.md, run as they stand."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def logs(tmp_path: Path, home: str = "home") -> int:
    """How many builds there were."""
    return len(list((tmp_path / home / "logs").rglob("*.log")))


def _ours(text: str) -> int:
    """Lines of code: no blank ones, comments or docstrings."""
    lines = [line.strip() for line in text.splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)


@pytest.mark.parametrize("name", ["script.py", "on_dask.py", "luigi_tasks.py", "job.sh"])
def test_each_is_under_twenty_lines(folder, name):
    assert _ours((folder / name).read_text()) < 20


def test_the_lines_of_ours_in_the_service_are_few(folder):
    """All but what any service of asyncio has."""
    text = (folder / "service.py").read_text()
    assert sum(word in line for line in text.splitlines() for word in ("Builder", "Environment", "build_async")) < 20


def test_a_script(run, tmp_path):
    first = run(sys.executable, "script.py", "environment.yaml")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"oci:{tmp_path}/home/images:")
    assert run(sys.executable, "script.py", "environment.yaml").stdout == first.stdout
    assert logs(tmp_path) == 1


def test_a_script_says_what_is_wrong_and_ends_as_the_command_does(run, folder):
    (folder / "wrong.yaml").write_text("base: scratch\nstep: []\n")
    done = run(sys.executable, "script.py", "wrong.yaml")
    assert done.returncode == 2
    assert "wrong.yaml:2:1: $.step: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def _answers(path: Path, lines: list[str], each: int) -> list[str]:
    """What *each* of so many clients is answered."""
    answers: list[str] = []

    def client() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall("".join(f"{line}\n" for line in lines).encode())
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile() as stream:
                answers.extend(line.rstrip() for line in stream)

    threads = [threading.Thread(target=client) for _ in range(each)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_an_asyncio_service(folder, environ, tmp_path, tmp_path_factory):
    from waiting import until

    path = tmp_path_factory.mktemp("s") / "s"
    service = subprocess.Popen([sys.executable, "service.py", path], cwd=folder, env=environ)
    try:
        until(path.exists)
        answers = _answers(path, ["environment.yaml", "nothing.yaml"], 20)
        assert service.poll() is None
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(60)
    images = {answer for answer in answers if not answer.startswith("error: ")}
    assert (len(answers), len(images), logs(tmp_path)) == (40, 1, 1)
    assert images.pop().startswith(f"oci:{tmp_path}/home/images:")


def test_dask(folder, run, cluster, tmp_path):
    for number in (1, 2):
        cluster.worker(COOPERY_CACHE=f"directory:{tmp_path}/records", COOPERY_HOME=f"{tmp_path}/worker-{number}")
    (folder / "wrong.yaml").write_text("base: scratch\nsteps: [{copy: nothing, to: /x}]\n")
    address = json.loads(cluster.file.read_text())["address"]
    files = ("environment.yaml", "wrong.yaml", "environment.yaml")
    store = f"directory:{tmp_path}/records"
    done = run(sys.executable, "-W", "ignore", "on_dask.py", address, *files, COOPERY_CACHE=store)
    assert done.returncode == 0, done.stderr
    good, bad, again = [line for line in done.stdout.splitlines() if line.startswith(str(folder))]
    assert good == again
    assert good.startswith(f"{folder}/environment.yaml oci:{tmp_path}/worker-")
    assert bad.startswith(f"{folder}/wrong.yaml ")
    assert "nothing is there" in bad
    assert logs(tmp_path, "worker-1") + logs(tmp_path, "worker-2") == 1


def test_luigi(run, tmp_path):
    command = ("-W", "ignore", "-m", "luigi", "--module", "luigi_tasks", "Image", "--local-scheduler")
    for told in ("1 ran successfully", "1 complete ones were encountered"):
        done = run(sys.executable, *command, "--definition", "environment.yaml", PYTHONPATH=".")
        assert done.returncode == 0, done.stderr
        assert told in done.stderr
    assert logs(tmp_path) == 1


@pytest.mark.needs("slurm")
def test_a_slurm_job(run, slurm, folder, tmp_path):
    done = run("sbatch", "--wait", "job.sh", SLURM_CONF=slurm, DEFINITION="environment.yaml")
    (output,) = folder.glob("job-*.out")
    assert done.returncode == 0, done.stderr + output.read_text()
    references = [line for line in output.read_text().splitlines() if line.startswith("reference")]
    assert (len(references), len(set(references)), logs(tmp_path)) == (4, 1, 1)


def test_the_payload_of_the_slurm_job(run, folder, tmp_path):
    """Where there is no Slurm: the job's own command, with srun for nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "srun").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (programs / "srun").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
    done = run("bash", "job.sh", DEFINITION="environment.yaml", PATH=path)
    assert done.returncode == 0, done.stderr
    assert f"oci:{tmp_path}/home/images:" in done.stdout
