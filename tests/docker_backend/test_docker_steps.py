"""Steps in real containers: what they see, what stays of them, and that nothing else does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Snapshot, Workshop
from coopery.errors import StepError, StepFailed, UsageError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.settings import Settings
from coopery_docker import export, owner, stage, steps
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon

pytestmark = pytest.mark.needs("docker")

CHANGES = (
    "umask 022; mkdir -p /new/deep /data; echo n > /new/deep/file; echo c > /data/kept; rm /gone; "
    "rm -r /old; mkdir /old; echo 3 > /old/three; ln -s three /old/link; echo more >> /etc/group; "
    "ln /old/three /old/hard; echo COLOR=$COLOR"
)


def lines(events: list[Event]) -> list[str]:
    return [event.line for event in events if isinstance(event, Output)]


def check_changes(workshop: Workshop, snapshot: Snapshot) -> None:
    files = LayersFiles(snapshot.layers, workshop.blobs)
    assert files.read("/new/deep/file", 10) == b"n\n"
    assert files.read("/data/kept", 10) == b"c\n"  # the base's VOLUME is no reason to lose it
    assert files.lstat("/gone") is None
    assert files.listdir("/old") == ("hard", "link", "three")
    assert files.read("/old/hard", 10) == b"3\n"
    assert files.read("/etc/group", 100).endswith(b"more\n")
    assert files.lstat("/etc/passwd") is not None
    own = LayersFiles(snapshot.layers[-1:], workshop.blobs)
    assert set(own.listdir("/")) <= {"new", "data", "old", "etc"}
    assert own.listdir("/etc") == ("group",)


def test_a_user_that_the_image_lacks_is_named_as_on_every_engine(
    backend: DockerBackend, made: SimpleNamespace, small: Assembled
) -> None:
    absent, root = (
        made.snapshot_of(made.image_of(small.layers, {"Env": ["PATH=/usr/bin:/bin"], "User": user}))
        for user in ("ghost", "0")
    )
    with pytest.raises(StepError, match=r"^\$\.steps\[0\]: cannot run as 'ghost': the image has no user 'ghost'"):
        backend.run_step(absent, made.run_step("true", network=False), "ghost")
    with pytest.raises(StepFailed):  # a user who is there is no reason for another error
        backend.run_step(root, made.run_step("exit 3", network=False), "root")


def test_a_step_changes_what_it_changes(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, workshop: Workshop, events: list[Event]
) -> None:
    after = backend.run_step(base, made.run_step(CHANGES), "changes")
    check_changes(workshop, after)
    assert lines(events) == ["COLOR=green"]
    assert backend.find_snapshot("changes") == after
    config, before = json.loads(after.config), json.loads(base.config)
    assert config["config"] == before["config"]
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in after.layers]


def test_the_daemons_own_account_gives_the_same_files(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, workshop: Workshop, monkeypatch: Any
) -> None:
    monkeypatch.setattr(steps, "_upper", lambda _daemon, _name: None)
    check_changes(workshop, backend.run_step(base, made.run_step(CHANGES), "changes-by-export"))


def test_exec_form_env_user_and_folder(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, events: list[Event]
) -> None:
    config = json.loads(base.config)
    config["config"] |= {"User": "app", "Env": ["PATH=/usr/bin", "TWO=a b"], "WorkingDir": "/old", "Entrypoint": ["no"]}
    there = evolve(base, config=json.dumps(config).encode())
    backend.run_step(there, made.run_step(("sh", "-c", 'id -u; echo "$TWO"; ls; echo "$1"', "x", "-a $(b)\n;")), "exec")
    assert lines(events) == ["1000", "a b", "one", "two", "-a $(b)", ";"]


def test_no_network_and_network(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, events: list[Event]
) -> None:
    script = "cat /proc/net/dev"
    backend.run_step(base, made.run_step(script, network=False), "offline")
    assert [line.split(":")[0].strip() for line in lines(events)[2:]] == ["lo"]
    events.clear()
    backend.run_step(base, made.run_step(script), "online")
    assert len(lines(events)) > 3


def test_secrets_and_certificates_are_there_and_stay_nowhere(
    base: Snapshot, made: SimpleNamespace, workshop: Workshop, events: list[Event], tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_text("certificates\n")
    settings = Settings(home=workshop.home, ca_bundle=str(tmp_path / "ca.crt"))
    lent = evolve(workshop, settings=settings, secrets={"token": b"canary-4711\n"})
    backend = DockerBackend(lent)
    script = "head -c 6 /run/secrets/token; echo; cat /run/secrets/token $SSL_CERT_FILE; ls /run"
    after = backend.run_step(base, made.run_step(script, secrets=("token",)), "secret")
    backend.close()
    assert lines(events) == ["canary", "***", "certificates", "coopery", "secrets"]
    layer = workshop.blobs.path(after.layers[-1].digest).read_bytes()
    assert b"canary" not in layer + after.config
    assert b"secrets/" not in layer
    assert b"certificates" not in layer


def test_a_secret_that_was_not_given_is_refused(backend: DockerBackend, base: Snapshot, made: SimpleNamespace) -> None:
    with pytest.raises(UsageError, match="token"):
        backend.run_step(base, made.run_step("true", secrets=("token",)), "no-secret")


@pytest.mark.parametrize(
    ("run", "status"), [("echo out; echo err >&2; exit 7", 7), ("sh -c 'kill -9 $$'", 137), (("no-such-program",), 127)]
)
def test_a_step_that_fails_says_all(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, run: Any, status: int
) -> None:
    with pytest.raises(StepFailed) as caught:
        backend.run_step(base, made.run_step(run), "fails")
    error = caught.value
    assert (error.backend, error.step, error.status) == ("docker", "$.steps[0]", status)
    assert status != 7 or {"out", "err"} <= set(error.stderr_tail.splitlines())
    assert backend.find_snapshot("fails") is None


def test_a_step_that_hangs_is_ended(base: Snapshot, made: SimpleNamespace, workshop: Workshop, daemon: Daemon) -> None:
    backend = DockerBackend(evolve(workshop, step_seconds=1.0))
    with pytest.raises(StepFailed, match="longer than 1 s") as caught:
        backend.run_step(base, made.run_step("echo begun; sleep 100 & sleep 100"), "hangs")
    backend.close()
    assert caught.value.status == steps.TIMED_OUT
    assert made.Leaks(daemon).containers == []


def test_much_output_of_any_bytes(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, events: list[Event]
) -> None:
    script = r"printf '\377\376\n'; head -c 20000000 /dev/zero; echo; echo end"
    backend.run_step(base, made.run_step(script), "much")
    found = lines(events)
    assert found[0] == "\ufffd\ufffd"
    assert found[-1] == "end"
    left_out = next(int(line.split()[2]) for line in found if line.endswith("are left out)"))
    assert sum(map(len, found)) + left_out >= 20_000_000


def test_interrupted_leaves_nothing(base: Snapshot, made: SimpleNamespace, workshop: Workshop, daemon: Daemon) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Output):
            raise KeyboardInterrupt

    backend = DockerBackend(evolve(workshop, emit=interrupt))
    with pytest.raises(KeyboardInterrupt):
        backend.run_step(base, made.run_step("echo begun; sleep 100"), "interrupted")
    assert made.Leaks(daemon).containers == []
    backend.close()
    assert made.Leaks(daemon).images == []


@pytest.mark.processes
def test_what_a_killed_process_left_is_swept(daemon: Daemon, small: Assembled, workshop: Workshop) -> None:
    code = "import os, sys, json; from coopery_docker import owner; print(owner.own(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as dead:
        assert dead.stdout is not None
        name = dead.stdout.readline().strip()
        assert not owner.is_dead(name)
        from coopery_docker.materialize import put

        image = put(workshop, daemon, small, f"coopery-step:{name}-ff")
        body = {"Image": image, "Entrypoint": ["sleep", "100"], "Labels": {owner.LABEL: name}}
        daemon.create(f"coopery-{name}-ff", {**body, "HostConfig": {"NetworkMode": "none"}})
        daemon.start(f"coopery-{name}-ff")
        stage.sweep_containers(daemon)
        stage.sweep_images(daemon)
        assert [entry for entry in daemon.containers(owner.LABEL) if name in entry["Names"][0]]
        dead.kill()
    assert owner.is_dead(name)
    stage.sweep_containers(daemon)
    stage.sweep_images(daemon)
    assert not [entry for entry in daemon.containers(owner.LABEL) if name in entry["Names"][0]]
    assert daemon.image(f"coopery-step:{name}-ff") is None


def test_two_at_once_do_not_disturb_each_other(base: Snapshot, made: SimpleNamespace, workshop: Workshop) -> None:
    found: list[Any] = []

    def one(number: int) -> None:
        backend = DockerBackend(workshop)
        found.append(backend.run_step(base, made.run_step(f"echo {number} > /n"), f"both-{number}"))
        backend.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contents = {LayersFiles(snapshot.layers, workshop.blobs).read("/n", 9) for snapshot in found}
    assert contents == {b"0\n", b"1\n", b"2\n"}


def test_owners_of_elsewhere_are_not_known_to_be_dead() -> None:
    own = owner.own()
    assert not owner.is_dead(own)
    pid, began, machine = own.split("-", 2)
    assert owner.is_dead(f"{pid}-{int(began) + 1}-{machine}")
    for odd in ("", "p", "p1-2", f"p{os.getpid()}-1-elsewhere-1", "nonsense"):
        assert not owner.is_dead(odd)


def test_strays_of_the_engine_are_in_no_account() -> None:
    class Told:
        def changes(self, _name: str) -> list[dict[str, Any]]:
            paths = ("/etc", "/etc/hosts", "/run/secrets/token", "/run/coopery", "/dev/x", "/proc", "/kept")
            return [{"Path": path, "Kind": 1} for path in paths] + [{"Path": "/away", "Kind": 2}]

    deleted, written = export._changed(Told(), "name")  # type: ignore[arg-type]  # it is asked for changes alone
    assert (deleted, written) == ({"away"}, {"etc", "kept"})
