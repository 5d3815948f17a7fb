"""Build logs: what is in them, whose they are, and which is the newest."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import threading
import urllib.parse
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery import events, logs
from coopery.errors import CacheError
from coopery.logs import BuildLog
from coopery.redact import Redactor

KEY = "0" * 63 + "a"
SECRET = "hunter2 /+ä"  # noqa: S105 - the canary of these tests

ALL = [
    events.Hit(reference="oci:x"),
    events.Waiting(holder="me"),
    events.BackendChosen(backend="docker", reason="oci lacks run"),
    events.BuildStarted(name="train", log="x"),
    events.StageStarted(stage="base", detail="debian"),
    events.StageFinished(stage="lock", seconds=1.5, detail="28 packages"),
    events.Progress(stage="layers", done=3, total=3, item="numpy"),
    events.Output(stage="steps", line="hello"),
    events.Warned(message="mind this"),
    events.LayerDone(name="numpy", size=7, made=True),
    events.Retrying(message="no answer", seconds=0.5, attempt=2, attempts=4),
    events.BaseMoved(reference="debian:12", before="sha256:a", after="sha256:b"),
    events.PackagesMoved(lines=("a 1 -> 2", "+ b 1")),
    events.BuildFinished(reference="oci:x", image="sha256:y", seconds=2.0),
    events.BuildFailed(message="no such package\n  look again", log="x"),
]


def text_of(log: BuildLog) -> str:
    return log.path.read_text(encoding="utf-8")


def test_one_event_is_one_line_in_words(tmp_path):
    with BuildLog.create(tmp_path, KEY) as log:
        for event in ALL:
            log(event)
    lines = text_of(log).splitlines()
    assert re.fullmatch(rf" +0\.\d\d\d  key {KEY}, \d{{4}}-\d\d-\d\dT.*, pid {os.getpid()}", lines[0])
    said = [re.sub(r"^ +\d+\.\d{3}  ", "", line) for line in lines[1:]]
    assert said == [
        "hit: oci:x",
        "waiting: me builds it",
        "backend: docker, oci lacks run",
        "build started: train",
        "base: started, debian",
        "lock: done in 1.500 s, 28 packages",
        "layers: 3 of 3 packages, numpy",
        "steps| hello",
        "warning: mind this",
        "layers: numpy made, 7 bytes",
        "trying again in 0.500 s, 2 of 4: no answer",
        "base: debian:12 moved from sha256:a to sha256:b",
        "packages moved:",
        "           a 1 -> 2",
        "           + b 1",
        "build finished in 2.000 s: sha256:y is oci:x",
        "build failed: no such package",
        "             look again",
    ]


def test_every_event_has_words():
    told = {type(event) for event in ALL}
    assert told == {cls for cls in vars(events).values() if isinstance(cls, type) and issubclass(cls, events.Event)} - {
        events.Event
    }
    assert all(logs.words(event) != type(event).__name__ for event in ALL)


def test_progress_is_noted_seldom(tmp_path):
    with BuildLog.create(tmp_path, KEY) as log:
        for done in range(1000):
            log(events.Progress(done=done + 1, total=1000))
    assert 2 <= len(text_of(log).splitlines()) <= 4
    assert "1000 of 1000" in text_of(log)


@settings(max_examples=100, deadline=None)
@given(line=st.text())
def test_no_line_can_be_forged(tmp_path_factory, line):
    home = tmp_path_factory.mktemp("home")
    with BuildLog.create(home, KEY) as log:
        log(events.Output(line=line))
        log.write("the end")
    lines = text_of(log).split("\n")
    assert re.match(r" +\d+\.\d{3}  steps\| ", lines[1])
    assert all(re.match(r" {11}", follow) for follow in lines[2:-2])
    assert lines[-2].endswith("  the end")
    assert all(char.isprintable() or char in "\t\n" for char in text_of(log))


def test_secrets_are_masked_in_every_form(tmp_path):
    data = SECRET.encode()
    forms = [
        SECRET,
        data.hex(),
        data.hex().upper(),
        urllib.parse.quote(SECRET, safe=""),
        json.dumps(SECRET),
        *(base64.b64encode(b"u" * shift + data + b"tail").decode() for shift in range(3)),
        *(base64.urlsafe_b64encode(b"u" * shift + data).decode() for shift in range(3)),
    ]
    with BuildLog.create(tmp_path, KEY, [SECRET, "x1", ""]) as log:
        for form in forms:
            log(events.Output(line=f"token={form};"))
            log(events.BuildFailed(message=f"exit 1: {form}"))
        log.write("x1 is short")
    text = text_of(log)
    assert text.count("***") == 2 * len(forms) + 1
    for shown in (SECRET, "hunter2", data.hex(), "aHVudGVyM", "h1bnRlcj", "odW50ZXIy", "x1"):
        assert shown not in text


@settings(max_examples=100, deadline=None)
@given(secret=st.text(min_size=4, max_size=40), before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_base64_of_a_text_with_a_secret_never_shows_it(secret, before, after):
    data = secret.encode(errors="surrogatepass")
    if len(data) < 8:
        return
    shown = Redactor([secret])(base64.b64encode(before + data + after).decode())
    assert "***" in shown


def test_logs_are_their_owner_s(tmp_path):
    old = os.umask(0)
    try:
        log = BuildLog.create(tmp_path / "home", KEY)
    finally:
        os.umask(old)
    log.close()
    log.close()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (log.path, *log.path.parents[:3])]
    assert modes == [0o600, 0o700, 0o700, 0o700]


def test_the_newest_is_found_by_key(tmp_path):
    assert logs.newest(tmp_path, KEY) is None
    assert logs.keys(tmp_path) == []
    paths = []
    for _ in range(3):
        with BuildLog.create(tmp_path, KEY) as log:
            paths.append(log.path)
    BuildLog.create(tmp_path, "b" * 64).close()
    assert logs.newest(tmp_path, KEY) == paths[-1]
    assert paths == sorted(paths)
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z-{os.getpid()}\.log", paths[0].name)
    assert logs.keys(tmp_path) == [KEY, "b" * 64]
    assert logs.keys(tmp_path, "0000") == [KEY]
    assert logs.keys(tmp_path, "1") == []


def test_builders_at_once_have_logs_of_their_own(tmp_path):
    made: list[Path] = []

    def work() -> None:
        for _ in range(5):
            with BuildLog.create(tmp_path, KEY) as log:
                log.write("mine")
                made.append(log.path)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20
    assert all(path.read_text().count("mine") == 1 for path in made)


def test_two_builds_in_one_microsecond_have_two_logs(tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 2, 3, 4, 5, 6, tz)

    monkeypatch.setattr(logs, "datetime", Stopped)
    paths = []
    for _ in range(3):
        with BuildLog.create(tmp_path, KEY) as log:
            paths.append(log.path)
    stem = f"20260102T030405.000006Z-{os.getpid()}"
    assert [path.name for path in paths] == [f"{stem}.log", f"{stem}.1.log", f"{stem}.2.log"]
    assert logs.newest(tmp_path, KEY) is not None


def test_the_newest_twenty_are_kept(tmp_path):
    made = []
    for _ in range(logs.KEPT + 5):
        with BuildLog.create(tmp_path, KEY) as log:
            made.append(log.path)
    assert sorted(made[0].parent.iterdir()) == made[5:]


@pytest.mark.parametrize("key", ["", "..", "a/b", "../" + "a" * 61, "A" * 64, "a\n", "ä"])
def test_what_is_no_key_has_no_log(tmp_path, key):
    with pytest.raises(CacheError, match="no key"):
        BuildLog.create(tmp_path, key)
    with pytest.raises(CacheError, match="no key"):
        logs.newest(tmp_path, key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.processes
def test_a_killed_build_leaves_what_it_said(tmp_path):
    code = (
        "import os, signal, sys, pathlib; from coopery.logs import BuildLog\n"
        "log = BuildLog.create(pathlib.Path(sys.argv[1]), sys.argv[2]); log.write('the last words')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), KEY], check=False)
    path = logs.newest(tmp_path, KEY)
    assert path is not None
    assert path.read_text().endswith("  the last words\n")


def test_a_full_disk_ends_the_log_and_not_the_build(tmp_path):
    log = BuildLog.create(tmp_path, KEY)
    os.close(log._handle)
    log._handle = os.open("/dev/full", os.O_WRONLY)
    log.write("lost")
    log.write("lost as well")
    log.close()
    assert isinstance(log.problem, CacheError)
    assert "no space left" in str(log.problem)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(CacheError):
        BuildLog.create(tmp_path, KEY)
