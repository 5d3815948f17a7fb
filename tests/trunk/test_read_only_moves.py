"""A cache folder on a disk that is mounted read-only: images go out of it; what would change it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coopery import Builder, Environment
from real_registry import real_registry

PROGRAM = """
import sys
from pathlib import Path
from coopery import Builder, Environment
from coopery.errors import CacheError
from coopery.events import Warned

events = []
home, folder, host, bundle = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]


def define(name):
    steps = [{"copy": "file", "to": f"/{name}"}]
    return Environment.from_dict({"name": name, "base": "scratch", "steps": steps}, folder)


def warned():
    told = [event.message for event in events if isinstance(event, Warned)]
    events.clear()
    return told


def refused(call, *words):
    try:
        call()
    except CacheError as exc:
        assert f"{home} cannot be written" in str(exc), exc
        assert all(word in f"{exc} {exc.remedy}" for word in words), (exc, exc.remedy)
    else:
        raise AssertionError("not refused")


with Builder(home=home, on_event=events.append) as builder:
    known = builder.build(define("known"))
    assert known.hit
    first = builder.push(known, f"{host}/known:one")
    assert [message for message in warned() if "could not be recorded" in message], "nobody else learns of it"
    assert builder.push(define("known"), f"{host}/known:two").digest == first.digest
    made = builder.build(define("unknown"))
    assert not made.cached
    builder.push(made, f"{host}/unknown:one", compression="zstd")
    assert builder.check(define("known")).image == known
    assert builder.check(define("unknown")).image.id == made.id
    builder.copy("home:", bundle)
    refused(lambda: builder.pull(f"{host}/known:one"), "COOPERY_HOME")
    refused(lambda: builder.pin("known"), "pin")
    refused(lambda: builder.unpin("known"), "unpin")
    refused(lambda: builder.copy(bundle, "home:"), "copied")
    refused(builder.gc, f"coopery gc --home {builder.aside.home.root}")
    assert builder.gc(dry_run=True).dry_run
    print("done", made.id)
"""


@pytest.mark.processes
@pytest.mark.needs("mounts", "registry")
def test_images_go_out_and_nothing_comes_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\n")
    home = tmp_path / "home"
    steps = [{"copy": "file", "to": "/known"}]
    with Builder(home=home) as builder:
        builder.build(Environment.from_dict({"name": "known", "base": "scratch", "steps": steps}, tmp_path))
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    (tmp_path / "tmp").mkdir()
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    with real_registry(tmp_path / "registry") as registry:
        program = [sys.executable, "-c", PROGRAM, str(home), str(tmp_path), registry.host, str(tmp_path / "b.tar")]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", str(home), *program],
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with Builder(home=tmp_path / "other") as builder:
            assert builder.pull(f"{registry.host}/unknown:one").id == done.stdout.split()[-1]
    assert {path: path.lstat().st_mtime_ns for path in home.rglob("*")} == before
