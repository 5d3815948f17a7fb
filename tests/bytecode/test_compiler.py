"""``.pyc`` files: one answer for one source, whoever compiles it, in whatever order and company."""

from __future__ import annotations

import importlib.util
import marshal
import os
import platform
import random
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from coopery.bytecode import Python, compile_child, interpreter
from coopery.bytecode.compiler import CompileError, Compiler, Job

pytestmark = pytest.mark.processes

HERE = platform.python_version()
MINOR = ".".join(HERE.split(".")[:2])
STDLIB = Path(os.__file__).parent
CHILD = Path(compile_child.__file__)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def compiler(empty: Path) -> Iterator[Compiler]:
    one = Compiler([sys.executable], empty)
    yield one
    one.close()


def test_a_pyc_is_checked_against_nothing_and_runs(tmp_path: Path, compiler: Compiler) -> None:
    source = b"def f(): return 'x' * 3\nVALUE = f()\n"
    [answer] = compiler.compile([Job("/opt/env/m.py", source, tmp_path / "m.pyc")])
    data = (tmp_path / "m.pyc").read_bytes()
    assert answer.size == len(data)
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x01\0\0\0"  # PEP 552: hash-based, unchecked
    assert data[8:16] == importlib.util.source_hash(source)
    code = marshal.loads(data[16:])  # noqa: S302 - our own
    assert code.co_filename == "/opt/env/m.py"
    module = types.ModuleType("m")
    exec(code, module.__dict__)  # noqa: S102 - our own
    assert module.VALUE == "xxx"


def test_answers_are_in_the_order_of_the_jobs(tmp_path: Path, compiler: Compiler) -> None:
    (tmp_path / "source.py").write_text("x = 1\n")
    sources = [tmp_path / "source.py" if n % 3 else f"x = {n}\n".encode() for n in range(100)]
    sources[50] = b"x = = 1\n"
    jobs = [Job(f"/opt/{n}.py", source, tmp_path / f"{n}.pyc") for n, source in enumerate(sources)]
    answers = compiler.compile(jobs)
    assert [n for n, answer in enumerate(answers) if answer.size < 0] == [50]
    for n in range(0, 100, 3):
        code = marshal.loads((tmp_path / f"{n}.pyc").read_bytes()[16:])  # noqa: S302 - our own
        assert code.co_filename == f"/opt/{n}.py"


@pytest.mark.parametrize("source", [b"x = = 1", b"\0", b"\xff", b"# coding: nonsense\n", b"(" * 5000, b"print 'old'"])
def test_what_does_not_compile_is_left_out(tmp_path: Path, compiler: Compiler, source: bytes) -> None:
    answers = compiler.compile([Job("/m.py", source, tmp_path / "m.pyc"), Job("/n.py", b"x = 1", tmp_path / "n.pyc")])
    assert [answer.size > 0 for answer in answers] == [False, True]
    assert not (tmp_path / "m.pyc").exists()


def test_order_company_and_process_do_not_matter(tmp_path: Path, empty: Path) -> None:
    files = sorted(path for path in STDLIB.glob("*.py"))[:60] + sorted(STDLIB.glob("json/*.py"))
    seen: set[tuple[str, ...]] = set()
    for seed, workers in ((0, 1), (1, 2), (2, 2)):
        order = list(range(len(files)))
        random.Random(seed).shuffle(order)
        compiler = Compiler([sys.executable], empty, workers)
        sources = [files[n].read_bytes() if (n + seed) % 2 else files[n] for n in order]
        jobs = [
            Job(f"/opt/env/{n}.py", source, tmp_path / f"{n}.pyc") for n, source in zip(order, sources, strict=True)
        ]
        answers = dict(zip(order, compiler.compile(jobs), strict=True))
        compiler.close()
        seen.add(tuple(answers[n].sha256 for n in range(len(files))))
    assert len(seen) == 1


def test_what_the_process_already_holds_does_not_matter() -> None:
    """bpo-34093: marshal flags what has other owners; names and constants that other modules hold are such."""
    source = textwrap.dedent(
        """
        import os.path
        CONSTANTS = ("decimal", "Context", " ", "%", 1000003, 3.5, (1, 2), frozenset({"a", "b"}), b"x", "é", "…", "")
        def prec(context, Emax=None, *, encoding=" "):
            def inner(): return context, encoding, __name__
            return {"rounding": [x for x in inner() if x in {"a", "decimal", 3}]}
        """
    ).encode()
    script = f"""
        import runpy, sys, hashlib
        child = runpy.run_path({str(CHILD)!r}, run_name="child")
        if "crowd" in sys.argv:
            import decimal, asyncio, email.mime.text, xml.dom.minidom, logging.config
            held = [compile({source!r}, "/opt/env/m.py", "exec") for _ in range(3)]
            for number in range(0, 256, 2):
                sys.intern(chr(number))
        for number in range(256):
            sys.intern(chr(number))
        print(hashlib.sha256(child["compiled"]({source!r}, "/opt/env/m.py")).hexdigest())
    """
    found = set()
    for seed, *crowd in (("0",), ("1", "crowd"), ("2",), ("random", "crowd")):
        argv = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), *crowd]
        found.add(subprocess.check_output(argv, env={"PYTHONHASHSEED": seed}, text=True))
    assert len(found) == 1


def test_a_process_that_dies_is_an_error_and_replaced(tmp_path: Path, empty: Path) -> None:
    compiler = Compiler([sys.executable], empty, 1)
    compiler.compile([Job("/m.py", b"x = 1", tmp_path / "m.pyc")])
    process = compiler._idle.get()
    assert process is not None
    process._process.kill()
    compiler._idle.put(process)
    with pytest.raises(CompileError, match=r"(?s)status -9 at one of /m\.py.*build\.bytecode"):
        compiler.compile([Job("/m.py", b"x = 1", tmp_path / "m.pyc")])
    assert compiler.compile([Job("/m.py", b"x = 1", tmp_path / "m.pyc")])[0].size > 0
    compiler.close()


def test_an_interpreter_that_is_gone(tmp_path: Path, empty: Path) -> None:
    compiler = Compiler([str(tmp_path / "absent")], empty, 1)
    with pytest.raises(CompileError, match=r"cannot be started: .*No such file"):
        compiler.compile([Job("/m.py", b"x = 1", tmp_path / "m.pyc")])
    compiler.close()


def test_a_module_never_runs(tmp_path: Path, compiler: Compiler) -> None:
    source = f"open({str(tmp_path / 'ran')!r}, 'w')\n".encode()
    compiler.compile([Job("/m.py", source, tmp_path / "m.pyc")])
    assert not (tmp_path / "ran").exists()


def test_an_interpreter_must_be_exactly_that_version() -> None:
    here = Python(HERE, f"lib/python{MINOR}/site-packages")
    assert interpreter.running(here) is not None
    assert interpreter.is_it([sys.executable], here)
    assert not interpreter.is_it([sys.executable], evolve(here, version=f"{MINOR}.99"))
    assert not interpreter.is_it(["/bin/sh"], here)
    assert not interpreter.is_it(["/nowhere"], here)
