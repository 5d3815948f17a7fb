"""A base's own Python, laid out below a folder of ours and started by its own loader."""

from __future__ import annotations

import os
import platform
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from coopery import platform as image_platform
from coopery.bytecode import Compilers, Python, base, interpreter
from coopery.bytecode.compiler import Compiler, Job
from coopery.digest import of_bytes
from coopery.errors import PackageError
from coopery.facts import elf, python
from coopery.files import Stat
from coopery.target import Facts

pytestmark = pytest.mark.processes

HERE = platform.python_version()
MINOR = ".".join(HERE.split(".")[:2])
PROGRAM = f"{sys.base_prefix}/bin/python{MINOR}"
PYTHON = Python(HERE, f"lib/python{MINOR}/site-packages")
FACTS = Facts(platform=image_platform.of_host(), python=PROGRAM, python_version=MINOR, python_release=HERE)
SNAPSHOT = of_bytes(b"snapshot")


@frozen
class ThisMachine:
    """This machine's own files in the place of an image's."""

    without: Sequence[str] = ()
    reads: list[str] = field(factory=list)

    def lstat(self, path: str) -> Stat | None:
        try:
            found = os.lstat(path)
        except OSError:
            return None
        if stat.S_ISLNK(found.st_mode):
            return Stat("symlink", 0o777, target=os.readlink(path))
        return Stat("directory" if stat.S_ISDIR(found.st_mode) else "file", found.st_mode & 0o777, size=found.st_size)

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(path))) if Path(path).is_dir() else ()

    def read(self, path: str, limit: int) -> bytes:
        if path in self.without:
            raise FileNotFoundError(path)
        self.reads.append(path)
        with open(path, "rb") as stream:
            return stream.read(limit)


@pytest.fixture
def none_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no Python of the wanted version."""
    for near in ("running", "installed"):
        monkeypatch.setattr(f"coopery.bytecode.interpreter.{near}", dict[Python, Sequence[str]]().get)


@pytest.fixture
def compilers(tmp_path: Path) -> Compilers:
    return Compilers(tmp_path / "interpreters", tmp_path / "staging")


def test_it_is_started_with_its_own_libraries(tmp_path: Path) -> None:
    runtime = base.closure(ThisMachine, FACTS, SNAPSHOT)()
    assert runtime is not None
    interpreter.lay_out(runtime.entries(), tmp_path)
    command = runtime.command(tmp_path)
    assert interpreter.is_it(command, PYTHON)
    show = "import sys, json; print(open('/proc/self/maps').read(), *(m.__spec__ for m in sys.modules.values()))"
    used = subprocess.check_output([*command, "-s", "-S", "-c", show], env={}, text=True)
    code = set(re.findall(r"(/[^\s')]+(?:\.py|\.so[.0-9]*))", used))
    assert len(code) > 5
    assert {file for file in code if not file.startswith(str(tmp_path))} == set()


def test_it_compiles_as_the_same_version_does_elsewhere(tmp_path: Path, compilers: Compilers, none_near: None) -> None:
    compilers.offer(HERE, base.closure(ThisMachine, FACTS, SNAPSHOT))
    sources = sorted(Path(os.__file__).parent.glob("*.py"))[:40]
    (tmp_path / "out").mkdir()

    def hashes(compiler: Compiler, name: str) -> list[str]:
        jobs = [Job(f"/opt/{path.name}", path, tmp_path / "out" / f"{name}{path.name}c") for path in sources]
        return [answer.sha256 for answer in compiler.compile(jobs)]

    near = Compiler([sys.executable], tmp_path / "out")
    assert hashes(compilers.of(PYTHON), "base") == hashes(near, "near")
    near.close()
    compilers.close()


def test_it_is_laid_out_once(tmp_path: Path, compilers: Compilers, none_near: None) -> None:
    files = ThisMachine()
    compilers.offer(HERE, base.closure(lambda: files, FACTS, SNAPSHOT))
    compilers.of(PYTHON)
    first = len(files.reads)
    again = Compilers(tmp_path / "interpreters", tmp_path / "staging")
    again.offer(HERE, base.closure(lambda: files, FACTS, SNAPSHOT))
    again.of(PYTHON)
    assert len(files.reads) - first < 20 < first, "the libraries are looked at, the modules are not read again"


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: evolve(facts, platform="linux/s390x"),
        lambda facts: evolve(facts, python="/nowhere/bin/python3"),
        lambda facts: evolve(facts, python=None),
    ],
    ids=["another platform", "gone", "none"],
)
def test_what_cannot_run_here_is_not_offered(change: Callable[[Facts], Facts]) -> None:
    assert base.closure(ThisMachine, change(FACTS), SNAPSHOT)() is None


def test_a_base_whose_python_says_another_version(compilers: Compilers, none_near: None) -> None:
    other = Python(f"{MINOR}.99", PYTHON.site_packages)
    compilers.offer(other.version, base.closure(ThisMachine, FACTS, SNAPSHOT))
    with pytest.raises(PackageError, match=r"exactly this version.*(?s:.*)build\.bytecode to false"):
        compilers.of(other)


def test_nothing_is_looked_at_while_a_nearer_one_is_there(compilers: Compilers) -> None:
    files = ThisMachine()
    compilers.offer(HERE, base.closure(lambda: files, FACTS, SNAPSHOT))
    compilers.of(PYTHON)
    compilers.close()
    assert files.reads == []


def test_the_release_is_read_and_not_asked_for() -> None:
    assert python.release(ThisMachine(), PROGRAM, MINOR, FACTS.platform) == HERE
    assert python.release(ThisMachine(), PROGRAM, "3.1", FACTS.platform) is None


def test_what_a_program_needs() -> None:
    needed = elf.needed(Path(PROGRAM).read_bytes())
    listed = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert needed
    assert all(name in listed for name in needed)
    for other in (b"", b"\x7fELF", b"#!/bin/sh\n", Path(PROGRAM).read_bytes()[:5000]):
        assert elf.needed(other) == ()
