"""A cache folder that may be read and not written, as administrators hand one out: hits work, misses go beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from conda.maker import Channel
from coopery import Builder, Environment
from coopery.errors import CacheError
from coopery.events import Event, Warned
from coopery.home import Home
from trunk import small
from trunk.caller import Caller, give, ordinary

needs_user = pytest.mark.needs("ordinary-user")


@frozen
class Scene:
    caller: Caller
    home: Path
    known: Path
    unknown: Path
    temporary: Path

    def run(self, *args: object) -> tuple[int, str, str]:
        environ = {"COOPERY_HOME": str(self.home), "TMPDIR": str(self.temporary)}
        done = self.caller(*args, environ=environ, cwd="/")
        return done.returncode, done.stdout, done.stderr

    def build(self, file: Path) -> dict[str, Any]:
        status, out, err = self.run("build", file, "--output", "json")
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture(scope="module")
def closed() -> Iterator[Scene]:
    """One definition is built; then nobody may write any more."""
    with ordinary() as (caller, folder):
        small.fill(Channel(folder / "channel"))
        unknown = small.write(folder, "old", "tool", name="unknown.json")
        scene = Scene(caller, folder / "home", small.write(folder, "tool"), unknown, folder / "temporary")
        scene.temporary.mkdir()
        give(folder, caller)
        caller.build(scene.known, environ={"COOPERY_HOME": str(scene.home)})
        everything = [scene.home, *scene.home.rglob("*")]
        for path in everything:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        yield scene
        for path in everything:
            if path.is_dir():
                path.chmod(0o700)


@pytest.fixture
def scene(closed: Scene) -> Scene:
    """The same, with nothing built beside it yet."""
    shutil.rmtree(closed.temporary)
    closed.temporary.mkdir()
    give(closed.temporary, closed.caller)
    return closed


@needs_user
@pytest.mark.parametrize("words", [("build",), ("plan",), ("details",)], ids=["build", "plan", "details"])
def test_what_is_known_is_found(scene: Scene, words: tuple[str, ...]) -> None:
    before = sorted(scene.home.rglob("*"))
    status, out, err = scene.run(*words, scene.known)
    assert (status, err) == (0, "")
    assert "oci:" in out
    assert sorted(scene.home.rglob("*")) == before
    assert list(scene.temporary.iterdir()) == []


@needs_user
def test_what_is_listed_is_found(scene: Scene) -> None:
    status, out, _ = scene.run("list")
    assert status == 0
    assert "yes" in out


@needs_user
def test_a_miss_is_built_beside_it_and_says_so_once(scene: Scene) -> None:
    before = {path: path.lstat().st_mtime_ns for path in scene.home.rglob("*")}
    document = scene.build(scene.unknown)
    image = document["images"][0]
    assert (image["cached"], image["hit"]) == (False, False)
    assert image["reference"].startswith(f"oci:{scene.temporary}/")
    (warning,) = document["warnings"]
    assert str(scene.home) in warning
    assert "cannot be written" in warning
    assert {path: path.lstat().st_mtime_ns for path in scene.home.rglob("*")} == before
    layers = [line for line in scene.run("build", scene.unknown)[1].splitlines() if line.startswith("layers")]
    assert "a hit" in layers[0], "what was built beside it is found beside it"


@needs_user
def test_what_is_there_is_not_made_again(scene: Scene) -> None:
    image = scene.build(scene.unknown)["images"][0]
    assert image["made"]["layers_reused"] >= 1, "the layer of the package that the folder has"
    root = Path(image["reference"].removeprefix("oci:").rpartition(":")[0])
    links = [path for path in (root / "blobs" / "sha256").iterdir() if path.is_symlink()]
    assert links
    assert all(path.resolve().is_relative_to(scene.home.resolve()) for path in links)


@needs_user
def test_the_same_image_comes_of_it(scene: Scene, tmp_path: Path) -> None:
    beside = scene.build(scene.unknown)["images"][0]
    usual = scene.caller.build(
        scene.unknown, environ={"COOPERY_HOME": str(scene.home.with_name("writable")), "TMPDIR": str(scene.temporary)}
    )
    assert usual["id"] == beside["id"]
    assert usual["cached"] is True


@needs_user
def test_what_stands_beside_it_is_ours_alone(scene: Scene) -> None:
    scene.build(scene.unknown)
    folders = [path for path in scene.temporary.iterdir() if path.name.startswith("coopery-")]
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o700]
    assert [path.stat().st_mode & 0o777 for path in folders[0].iterdir()] == [0o700]


@needs_user
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_that_somebody_else_has_put_there_is_refused(scene: Scene) -> None:
    uid = scene.caller.user
    squatted = scene.temporary / f"coopery-{uid}"
    squatted.mkdir()
    squatted.chmod(0o777)
    os.chown(squatted, 4242, 4242)
    status, out, err = scene.run("build", scene.unknown)
    assert (status, out) == (6, "")
    assert "refused" in err
    assert "Traceback" not in err


@needs_user
def test_a_lock_is_made_beside_it(scene: Scene) -> None:
    status, _, err = scene.run("lock", scene.known.with_name("unknown.json"))
    assert status == 0, err
    assert scene.unknown.with_suffix(".lock").is_file()
    scene.unknown.with_suffix(".lock").unlink()


# --- a disk that is mounted read-only, where even root cannot write -------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from coopery import Builder, Environment
from coopery.events import Warned
from coopery.place import RunRequest

warned = []
home, known, unknown = map(Path, sys.argv[1:])
with Builder(home=home, on_event=lambda event: warned.append(event) if isinstance(event, Warned) else None) as builder:
    assert not builder.home.writable
    found = builder.build(Environment.load(known))
    assert found.hit and found.cached, found
    assert not warned, warned
    made = builder.build(Environment.load(unknown))
    assert not made.hit and not made.cached, made
    assert len(warned) == 1, warned
    for file in (known, unknown):
        status = builder.run(Environment.load(file), RunRequest(argv=["/bin/answer"]))
        assert status == 7, status
print("done")
"""


@pytest.mark.processes
@pytest.mark.needs("mounts")
def test_on_a_read_only_mount(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(_program())
    answer.chmod(0o755)
    step = {"copy": "answer", "to": "/bin/answer"}
    for name, more in (("known", {}), ("unknown", {"env": {"A": "b"}})):
        steps = [step, *([more] if more else [])]
        (tmp_path / f"{name}.json").write_text(json.dumps({"base": "scratch", "steps": steps}))
    home = tmp_path / "home"
    with Builder(home=home) as builder:
        builder.build(Environment.load(tmp_path / "known.json"))
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    files = [str(home), str(tmp_path / "known.json"), str(tmp_path / "unknown.json")]
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(home), sys.executable, "-c", PROGRAM, *files],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["done"]), done.stderr
    assert not (home / "rootfs").exists()
    assert not (home / "running").exists()


def _program() -> bytes:
    """A program of 64-bit Linux that needs nothing and ends with status 7."""
    import struct

    code = bytes.fromhex("b83c000000bf070000000f05")  # mov eax, 60; mov edi, 7; syscall
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1" + bytes(9), 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096) + code


def test_a_folder_that_is_not_there_yet_is_no_read_only_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    events: list[Event] = []
    with Builder(home=tmp_path / "file" / "home", on_event=events.append) as builder:
        assert builder.home.writable
        with pytest.raises(CacheError):
            builder.build(Environment.from_dict({"base": "scratch", "steps": [{"copy": "file", "to": "/f"}]}, tmp_path))
    assert not [event for event in events if isinstance(event, Warned)]


def test_one_folder_stands_beside_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    first, again, other = (Home(tmp_path / name).beside for name in ("a", "a", "b"))
    assert first == again != other
    assert first.root.parent.stat().st_mode & 0o777 == 0o700
