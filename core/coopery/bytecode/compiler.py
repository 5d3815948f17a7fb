"""A few processes of the right Python, which turn modules into ``.pyc`` files for as long as a build needs them."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import IO, Any, Final

from attrs import frozen

from coopery.errors import BuildError

_BATCH: Final = 24
"""Requests written before the first answer is read: some kilobytes, which always fit into a pipe."""

_TIMEOUT: Final = 300.0
"""Seconds for one batch; a module takes milliseconds."""


@frozen
class Job:
    """One module to compile.

    Attributes:
        name: path in the image, which tracebacks show.
        source: path of the source on this machine, or the source itself.
        out: where the ``.pyc`` is written.
    """

    name: str
    source: Path | bytes
    out: Path


@frozen
class Answer:
    """What became of a job; size -1 when the module does not compile."""

    size: int = -1
    sha256: str = ""


class CompileError(BuildError):
    """A compiling process died, hung or talked nonsense."""

    stage = "layers"


class Compiler:
    """Compiles with the Python that *command* starts. Threads may share it; processes start when they are needed.

    Args:
        command: what starts a Python of exactly the wanted version.
        folder: an empty folder for the processes to be in.
        workers: how many at once.
    """

    def __init__(self, command: Sequence[str], folder: Path, workers: int = 2) -> None:
        self._argv = [*command, "-s", "-S", "-B", "-c", _child()]
        self._folder = folder
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._threads = ThreadPoolExecutor(workers, "coopery-compile")
        self._close = weakref.finalize(self, _close, self._idle, self._threads)

    def compile(self, jobs: Sequence[Job]) -> list[Answer]:
        """Compile all of *jobs*; answers are in their order.

        Raises:
            CompileError: a process died or hung.
        """
        return [answer for answers in self._threads.map(self._batch, _batches(jobs)) for answer in answers]

    def close(self) -> None:
        """End the processes. May be called twice."""
        self._close()

    def _batch(self, jobs: Sequence[Job]) -> list[Answer]:
        process = self._idle.get()
        try:
            process = process or _start(self._argv, self._folder)
            answers = process.compile(jobs)
        except BaseException:
            if process is not None:
                process.kill()
            self._idle.put(None)
            raise
        self._idle.put(process)
        return answers


def _start(argv: list[str], folder: Path) -> _Process:
    try:
        return _Process(argv, folder)
    except OSError as exc:
        raise CompileError(f"{argv[0]}, which is to compile modules, cannot be started: {exc}") from exc


class _Process:
    def __init__(self, argv: list[str], folder: Path) -> None:
        # No variable of this machine reaches the process; without a fixed hash seed older Pythons order sets at random.
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env={"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; we end it
        )

    def compile(self, jobs: Sequence[Job]) -> list[Answer]:
        watch = threading.Timer(_TIMEOUT, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            stdin, stdout = self._pipes()
            for job in jobs:
                stdin.write(_request(job))
            stdin.flush()
            return [_answer(stdout.readline()) for _ in jobs]
        except (OSError, ValueError, KeyError) as exc:
            self.kill()
            names = ", ".join(job.name for job in jobs[:3])
            status = self._process.returncode
            raise CompileError(
                f"the Python that compiles modules ended with status {status} at one of {names}, …",
                remedy="set build.bytecode to false to do without compiled modules",
            ) from exc
        finally:
            watch.cancel()

    def kill(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what was buffered for it is of no use any more
                    pipe.close()
        self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both were asked for as pipes")
        return self._process.stdin, self._process.stdout


def _child() -> str:
    return resources.files("coopery.bytecode").joinpath("compile_child.py").read_text(encoding="utf-8")


def _batches(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    """In order, in runs of at most `_BATCH`; a source that is handed over rather than named goes alone."""
    run: list[Job] = []
    for job in jobs:
        alone = isinstance(job.source, bytes)
        if run and (alone or len(run) == _BATCH):
            yield run
            run = []
        if alone:
            yield [job]
        else:
            run.append(job)
    if run:
        yield run


def _request(job: Job) -> bytes:
    request: dict[str, Any] = {"name": job.name, "out": str(job.out)}
    if isinstance(job.source, bytes):
        return json.dumps({**request, "inline": len(job.source)}).encode() + b"\n" + job.source
    return json.dumps({**request, "path": str(job.source)}).encode() + b"\n"


def _answer(line: bytes) -> Answer:
    answer = json.loads(line)
    return Answer() if "skipped" in answer else Answer(int(answer["size"]), str(answer["sha256"]))


def _close(idle: queue.LifoQueue[_Process | None], threads: ThreadPoolExecutor) -> None:
    threads.shutdown(wait=True, cancel_futures=True)
    for process in _drain(idle):
        process.kill()


def _drain(idle: queue.LifoQueue[_Process | None]) -> Iterable[_Process]:
    while not idle.empty():
        process = idle.get()
        if process is not None:
            yield process
