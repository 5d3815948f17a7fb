"""``run:`` steps on the real engine, as the ordinary user that it is made for."""

from __future__ import annotations

import json

import pytest

from coopery.definition import EnvStep, RunStep, UserStep, WorkdirStep
from coopery.errors import StepError, StepFailed, UsageError
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.oci.validate import validate

pytestmark = [pytest.mark.needs("apptainer"), pytest.mark.processes]


def lines(events):
    return [event.line for event in events if hasattr(event, "line")]


def files_of(workshop, snapshot):
    return LayersFiles(snapshot.layers, workshop.blobs)


def test_changes_become_one_layer(after, workshop, leftovers):
    words = (
        "echo hi > /hello && chown 5:6 /hello && chmod 4750 /hello && ln /hello /twin && ln -s /hello /link && "
        "rm /etc/old && rm -r /srv/data && mkdir /srv/data && echo 3 > /srv/data/three && echo x > /tmp/kept && "
        "mkdir /closed && echo secret > /closed/in && chown -R 33:33 /closed && chmod 700 /closed"
    )
    snapshot = after(RunStep(words))
    validate(Assembled(snapshot.config, snapshot.layers))
    files = files_of(workshop, snapshot)
    hello = files.lstat("/hello")
    assert (hello.uid, hello.gid, hello.mode, hello.size) == (5, 6, 0o4750, 3)
    assert files.read("/twin", 10) == b"hi\n"
    assert files.lstat("/link").target == "/hello"
    assert files.lstat("/etc/old") is None
    assert files.listdir("/srv/data") == ("three",)
    assert files.read("/tmp/kept", 10) == b"x\n"
    assert files.read("/closed/in", 10) == b"secret\n"
    assert files.lstat("/closed").uid == 33
    assert len(snapshot.layers) == 2
    assert snapshot.layers[-1].size < 100_000, "the layer holds what changed, not the image"
    assert leftovers() == []


def test_nothing_of_the_machine_gets_in(after, workshop, events, monkeypatch):
    monkeypatch.setenv("APPTAINERENV_LEAK", "1")
    monkeypatch.setenv("APPTAINER_BIND", "/usr/share")
    monkeypatch.setenv("SECRET_OF_MINE", "1")
    after(
        EnvStep((("COLOR", "blue `x` $(y)"),)), RunStep("env; ls /home /tmp /root; head -c 0 /usr/share 2>&1 || true")
    )
    seen = lines(events)
    assert "COLOR=blue `x` $(y)" in seen
    assert not [
        line for line in seen if line.startswith(("APPTAINER", "SINGULARITY", "LEAK", "SECRET", "LANG", "PROMPT"))
    ]
    assert "HOME=/root" in seen


def test_exec_form_is_not_a_shell(after, events):
    after(RunStep(("printf", "%s\\n", "$HOME", "a b", "-n")))
    assert lines(events) == ["$HOME", "a b", "-n"]


def test_user_and_workdir(after, workshop, events):
    snapshot = after(
        WorkdirStep("/srv/here"),
        UserStep("app"),
        RunStep("id -u; id -g; pwd; echo $HOME; touch /tmp/mine; touch /no || echo no"),
    )
    assert [line for line in lines(events) if "cannot touch" not in line] == [
        "1000",
        "1001",
        "/srv/here",
        "/home/app",
        "no",
    ]
    assert files_of(workshop, snapshot).lstat("/tmp/mine").uid == 1000


def test_secrets_are_seen_and_not_kept(after, workshop, events):
    step = RunStep("cat /run/secrets/token; test -s /run/secrets/token", secrets=("token",))
    snapshot = after(step, secrets={"token": b"hunter22\n"})
    assert not [line for line in lines(events) if "hunter22" in line]
    assert files_of(workshop, snapshot).lstat("/run/secrets") is None
    assert b"hunter22" not in workshop.blobs.path(snapshot.layers[-1].digest).read_bytes()
    with pytest.raises(UsageError, match="token"):
        after(step)


def test_network_off(after, events):
    after(RunStep("cat /proc/net/dev", network=False))
    assert [line.split(":")[0].strip() for line in lines(events)[2:]] == ["lo"]


def test_failure_says_what_and_keeps_nothing(after, backend, leftovers):
    with pytest.raises(StepFailed) as caught:
        after(RunStep("echo first; printf 'bad \\377 bytes\\n'; echo last >&2; exit 7"))
    assert (caught.value.status, caught.value.backend, caught.value.step) == (7, "singularity", "$.steps[0]")
    assert caught.value.stderr_tail.splitlines() == ["first", "bad � bytes", "last"]
    assert leftovers() == []


def test_a_step_that_hangs_is_ended(after, leftovers):
    with pytest.raises(StepFailed, match="longer than 1 seconds"):
        after(RunStep("trap '' TERM; echo begun; sleep 300 & sleep 300"), step_seconds=1.0)
    assert leftovers() == []


def test_much_output(after, events):
    after(RunStep("head -c 3000000 /dev/zero; echo; echo end"))
    assert lines(events)[-1] == "end"


def test_steps_build_upon_each_other(after, workshop, backend):
    snapshot = after(RunStep("mkdir /a; echo 1 > /a/one"), RunStep("cat /a/one; rm /a/one; echo 2 > /a/two"))
    assert files_of(workshop, snapshot).listdir("/a") == ("two",)
    kept = backend.find_snapshot(f"{1:064x}")
    assert kept is not None
    assert kept.config == snapshot.config
    assert json.loads(snapshot.config)["history"][-1]["created_by"].startswith("coopery: run cat /a/one")


def test_layers_are_mounted_in_their_order(after, workshop, events):
    first = "mkdir /d; echo 1 > /f; echo 1 > /d/one; chmod 600 /f"
    second = "cat /f; echo 2 > /f; rm -r /d; mkdir /d; echo 2 > /d/two; rm /etc/old"
    third = "cat /f; ls /d /etc; echo 3 > /f; rm /d/two; echo old > /etc/old"
    snapshot = after(RunStep(first), RunStep(second), RunStep(third), RunStep("cat /f; ls /d; cat /etc/old"))
    assert lines(events) == ["1", "2", "/d:", "two", "", "/etc:", "group", "hosts", "passwd", "resolv.conf", "3", "old"]
    assert files_of(workshop, snapshot).lstat("/f").mode == 0o600


def test_a_user_that_the_image_lacks(after):
    with pytest.raises(StepError, match="nobody-here"):
        after(UserStep("nobody-here"), RunStep("true"))
