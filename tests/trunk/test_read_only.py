"""A cache folder that may be read and not written, as an administrator hands one out: hits work, misses say why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from conda.maker import Channel
from trunk import small
from trunk.caller import Caller, give, ordinary

pytestmark = pytest.mark.needs("ordinary-user")


@frozen
class Scene:
    caller: Caller
    home: Path
    known: Path
    unknown: Path

    def run(self, *args: object) -> tuple[int, str, str]:
        done = self.caller(*args, environ={"COOPERY_HOME": str(self.home)}, cwd="/")
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One definition is built; then nobody may write any more."""
    with ordinary() as (caller, folder):
        small.fill(Channel(folder / "channel"))
        scene = Scene(
            caller, folder / "home", small.write(folder, "tool"), small.write(folder, "old", name="unknown.json")
        )
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


@pytest.mark.parametrize("words", [("build",), ("plan",), ("details",)], ids=["build", "plan", "details"])
def test_what_is_known_is_found(scene: Scene, words: tuple[str, ...]) -> None:
    before = sorted(scene.home.rglob("*"))
    status, out, err = scene.run(*words, scene.known)
    assert (status, err) == (0, "")
    assert "oci:" in out
    assert sorted(scene.home.rglob("*")) == before


def test_what_is_listed_is_found(scene: Scene) -> None:
    status, out, _ = scene.run("list")
    assert status == 0
    assert "yes" in out


def test_a_miss_is_an_error_that_names_the_folder_and_the_way_out(scene: Scene) -> None:
    status, out, err = scene.run("build", scene.unknown)
    assert (status, out) == (6, "")
    assert str(scene.home) in err
    assert "COOPERY_HOME" in err
    assert "Traceback" not in err


def test_another_folder_is_the_way_out(scene: Scene) -> None:
    home = scene.home.with_name("writable")
    assert scene.caller.build(scene.unknown, environ={"COOPERY_HOME": str(home)})["generation"] == 1
