"""Pushes and pulls by command: what is printed, how they fail, and what a killed one leaves behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from coopery.cli.root import main
from coopery.oci.validate import validate_layout
from soak import rounds
from trunk.rootfs import MERGED, pack, shell

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A definition of a shell and forty files of noise, each a layer: long enough under way to be killed."""
    pack(tmp_path / "rootfs.tar", shell(), MERGED, ["tmp"])
    chance = random.Random(7)
    steps = []
    for number in range(40):
        (tmp_path / f"noise{number}").write_bytes(chance.randbytes(300_000))
        steps.append({"copy": f"noise{number}", "to": "/noise/"})
    path = tmp_path / "environment.json"
    path.write_text(json.dumps({"base": {"rootfs": "rootfs.tar"}, "steps": steps}))
    return path


def coopery(*argv: object) -> list[str]:
    return [sys.executable, "-m", "coopery", *map(str, argv)]


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_push_pull_and_run_by_command(registry, file, tmp_path, capfd):
    to = f"{registry.host}/by/command:v1"
    assert main(["build", str(file), "--push", to, "--home", str(tmp_path / "home")]) == 0
    out, err = capfd.readouterr()
    assert f"pushed to  {to}" in out
    assert "push: done" in err
    assert main(["push", str(file), to, "--home", str(tmp_path / "home"), "--output", "json"]) == 0
    document = told(capfd)
    assert document["schema"] == "coopery.push.v1"
    assert (document["pushed"]["reference"], document["pushed"]["place"]) == (
        to,
        f"registry://{registry.host}/by/command",
    )
    assert main(["pull", to, "--home", str(tmp_path / "other"), "--output", "json"]) == 0
    image = told(capfd)["image"]
    argv = ["run", image["reference"], "--home", str(tmp_path / "other"), "--", "sh", "-c", "echo here"]
    assert main(argv) == 0
    assert capfd.readouterr().out == "here\n"
    on = f"{registry.host}/by/command:v2"
    assert main(["push", image["reference"], on, "--home", str(tmp_path / "other")]) == 0
    assert document["pushed"]["digest"] in capfd.readouterr().out


def test_failures_by_command(registry, closed_registry, file, tmp_path, capsys):
    home = ["--home", str(tmp_path / "home")]
    assert main(["push", str(file), "train:v1", *home]) == 2
    assert "no registry is named" in capsys.readouterr().err
    assert main(["build", str(file), "--push", f"{closed_registry.host}/no:v1", *home]) == 8
    assert closed_registry.host in capsys.readouterr().err
    assert not (tmp_path / "home" / "images").exists(), "refused before anything was built"
    assert main(["pull", f"{registry.host}/absent:v1", *home]) == 4
    assert "there is no v1" in capsys.readouterr().err
    assert main(["run", f"oci:{tmp_path}/home/images:absent", *home, "--", "true"]) == 7
    assert main(["build", str(file), str(file), "--push", f"{registry.host}/two:v1", *home]) == 2


@pytest.mark.slow
def test_killed_pushes_and_pulls_are_taken_up(registry, file, tmp_path, asked):
    home, other = tmp_path / "home", tmp_path / "other"
    subprocess.run(coopery("build", file, "--home", home, "--quiet"), check=True, capture_output=True)
    to = f"{registry.host}/killed:v1"
    chance = random.Random(11)
    killed = 0
    for argv in (("push", file, to, "--home", home), ("pull", to, "--home", other)):
        for _ in range(rounds(8, 100)):
            with subprocess.Popen(coopery(*argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
                time.sleep(0.25 + chance.random())
                running.send_signal(signal.SIGKILL)
            killed += running.returncode == -signal.SIGKILL
        subprocess.run(coopery(*argv, "--quiet"), check=True, capture_output=True)
    assert killed >= 2, "some were under way"
    (image,) = validate_layout(other / "images")
    (built,) = validate_layout(home / "images")
    assert image.image_id == built.image_id
    requests = asked(registry)
    subprocess.run(coopery("push", file, to, "--home", home, "--quiet"), check=True, capture_output=True)
    assert requests.of("POST", "PATCH") == [
        line for line in requests.of("POST", "PATCH") if line.endswith("/uploads/")
    ], "rights are checked; no blob is sent"


@pytest.mark.needs("podman")
@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_podman_runs_what_was_pushed(registry, file, tmp_path, capfd, compression):
    to = f"{registry.host}/podman/{compression}:v1"
    home = ["--home", str(tmp_path / "home")]
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "steps": document["steps"][:3]}))
    assert main(["push", str(file), to, "--compression", compression, *home]) == 0
    capfd.readouterr()
    with tempfile.TemporaryDirectory(prefix="p-") as running:  # podman takes no long one
        podman = ["podman", f"--root={tmp_path / 'store'}", f"--runroot={running}", "--runtime=runc"]

        def call(*argv: str) -> str:
            done = subprocess.run([*podman, *argv], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        name = call("pull", "-q", "--tls-verify=false", to).strip()
        assert main(["build", str(file), *home, "--output", "json"]) == 0
        assert told(capfd)["images"][0]["id"] == f"sha256:{name}", "podman calls it what we call it"
        limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=none"]
        assert len(call("run", "--rm", *limits, name, "/bin/sh", "-c", "echo /noise/*").split()) == 3
        call("rmi", "--all", "--force")


def test_an_interrupted_push_ends_at_once(registry, file, tmp_path):
    home = tmp_path / "home"
    subprocess.run(coopery("build", file, "--home", home, "--quiet"), check=True, capture_output=True)
    argv = coopery("push", file, f"{registry.host}/interrupted:v1", "--home", home)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        os.read(running.stderr.fileno(), 1)  # it is under way
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode in (0, 130)
