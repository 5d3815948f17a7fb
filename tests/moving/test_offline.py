"""A machine with no network at all: what a bundle brought is found, runs, and is built from again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

import parts
from conda.maker import Channel, File
from coopery import Environment
from moving.conftest import Machine
from settings.servers import serve
from trunk import small
from trunk.caller import Caller, ordinary

pytestmark = [pytest.mark.needs("no-network"), pytest.mark.processes]


@frozen
class World:
    """Where there is a network: a channel, a definition that was built from it, and a lock of another one."""

    built: Path
    other: Path
    image: str
    other_image: str
    bundle: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The channel's server stays, but not for a program without a network: that has another loopback."""
    tmp_path = tmp_path_factory.mktemp("world")
    here = Machine(tmp_path / "home", tmp_path)
    channel = small.fill(Channel(tmp_path / "channel"))
    channel.add("answer", {"bin/answer": File(program(), 0o755)})
    with serve(tmp_path / "channel") as site:
        conda = {"channels": [site.url()]}
        files = [
            write(tmp_path / f"{name}.json", name, {**conda, "dependencies": dependencies})
            for name, dependencies in (("built", ["tool", "old", "answer"]), ("other", ["tool", "answer"]))
        ]
        image = here.build(Environment.load(files[0]))
        with here.builder() as builder:
            builder.relock(Environment.load(files[1])).save()
        with_network = Machine(tmp_path / "another", tmp_path).build(Environment.load(files[1]))
        here.copy("home:", tmp_path / "images.tar.zst")
        here.copy("home:", tmp_path / "all.tar.zst", packages=True)
        yield World(files[0], files[1], image.id, with_network.id, tmp_path / "images.tar.zst")


def write(path: Path, name: str, conda: dict[str, object]) -> Path:
    document = {
        "name": name,
        "base": "scratch",
        "target": {"glibc": "2.36"},
        "conda": conda,
        "build": {"bytecode": False},
    }
    path.write_text(json.dumps(document))
    return path


def program() -> bytes:
    """A program of 64-bit Linux that needs nothing and ends with status 7."""
    import struct

    code = bytes.fromhex("b83c000000bf070000000f05")  # mov eax, 60; mov edi, 7; syscall
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1" + bytes(9), 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096) + code


def alone(home: Path, *args: object, caller: Caller | None = None) -> subprocess.CompletedProcess[str]:
    """``coopery ARGS`` where there is no network, not even loopback; as *caller*, if one is given."""
    caller = caller or Caller()
    change = []
    if caller.user is not None:
        change = ["setpriv", f"--reuid={caller.user}", f"--regid={caller.user}", "--clear-groups", "--"]
    argv = ["unshare", "--net", *change, caller.python, "-m", "coopery", *map(str, args)]
    environ = {**caller.environ, "COOPERY_HOME": str(home)}
    return subprocess.run(argv, env=environ, cwd="/", capture_output=True, text=True, check=False)


def test_there_is_no_network(world: World, there: Machine) -> None:
    """What the other tests rest upon: without the bundle, this machine cannot build it."""
    done = alone(there.home, "build", world.built)
    assert done.returncode in (4, 8), done.stderr


def test_it_is_found_and_runs(world: World, there: Machine) -> None:
    done = alone(there.home, "cache", "copy", world.bundle, "home:")
    assert done.returncode == 0, done.stderr
    done = alone(there.home, "build", world.built, "--output", "json")
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert (image["hit"], image["id"]) == (True, world.image)
    done = alone(there.home, "run", world.built, "--", "/opt/env/bin/answer")
    assert done.returncode == 7, done.stderr


def test_with_packages_another_lock_is_built_from_them(world: World, there: Machine) -> None:
    bundle = world.bundle.with_name("all.tar.zst")
    assert bundle.stat().st_size > world.bundle.stat().st_size
    done = alone(there.home, "cache", "copy", bundle, "home:")
    assert done.returncode == 0, done.stderr
    done = alone(there.home, "build", world.other, "--frozen", "--output", "json")
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert (image["hit"], image["id"]) == (False, world.other_image), "as with a network"
    done = alone(there.home, "run", world.other, "--", "/opt/env/bin/answer")
    assert done.returncode == 7, done.stderr


def test_without_packages_another_lock_says_what_is_missing(world: World, there: Machine) -> None:
    alone(there.home, "cache", "copy", world.bundle, "home:")
    done = alone(there.home, "build", world.other, "--frozen")
    assert done.returncode in (4, 8)
    assert "Traceback" not in done.stderr


@pytest.mark.needs("ordinary-user")
def test_an_ordinary_user_takes_it(world: World) -> None:
    with ordinary() as (caller, folder):
        for path in (world.bundle, world.built):
            shutil.copy(path, folder)
            (folder / path.name).chmod(0o644)
        folder.chmod(0o755)
        done = alone(folder / "home", "cache", "copy", folder / world.bundle.name, "home:", caller=caller)
        assert done.returncode == 0, done.stderr
        done = alone(folder / "home", "run", folder / world.built.name, "--", "/opt/env/bin/answer", caller=caller)
        assert done.returncode == 7, done.stderr
        made = [path for path in (folder / "home").rglob("*") if path.is_file() and path.stat().st_mode & 0o022]
        assert made == []


@pytest.mark.needs("second-python")
def test_another_python_takes_it(world: World, there: Machine) -> None:
    path = os.pathsep.join(path for path in sys.path if path.startswith(str(parts.REPOSITORY)) and "venv" not in path)
    caller = Caller(str(parts.second_python()), {**os.environ, "PYTHONPATH": path})
    assert alone(there.home, "cache", "copy", world.bundle, "home:", caller=caller).returncode == 0
    done = alone(there.home, "build", world.built, caller=caller)
    assert (done.returncode, "a hit" in done.stdout) == (0, True), done.stderr
