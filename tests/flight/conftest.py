"""Crowds of real processes that ask for the same things at once."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery.cache import Record
from coopery.flights.flight import Flight, Guard
from coopery.stores.directory import DirectoryCache
from coopery.stores.sqlite import SqliteCache


class Scene:
    """A store, and a log with one line per event, which all processes append to."""

    def __init__(self, folder: Path, store: str = "sqlite") -> None:
        self.log = folder / "events"
        self.log.touch()
        # Both are safe across forks: each child opens its own connection, or nothing is kept open.
        opened = {"sqlite": SqliteCache, "directory": DirectoryCache}[store]
        self.cache: SqliteCache | DirectoryCache = opened(folder / "home" / "records")

    def note(self, *words: object) -> None:
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        os.write(handle, (" ".join(map(str, words)) + "\n").encode())
        os.close(handle)

    def noted(self, word: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.split()[0] == word]

    def await_note(self, word: str, count: int = 1) -> None:
        end = time.monotonic() + 30
        while len(self.noted(word)) < count:
            assert time.monotonic() < end, f"{word} did not happen"
            time.sleep(0.01)

    def look(self, key: str) -> dict[str, Any] | None:
        found = self.cache.get("resolution", key)
        return None if found is None else dict(found.body)

    def build(self, key: str, seconds: float) -> dict[str, Any]:
        """Build for *seconds* and publish by compare-and-set; what is returned is what is recorded."""
        self.note("build", key, os.getpid(), time.monotonic())
        time.sleep(seconds)
        record = Record("resolution", key, 1, {"key": key, "pid": os.getpid(), "at": time.time_ns()}, "w", time.time())
        kept = self.cache.put(record, 0)
        self.note("built" if kept == record else "overtaken", key, os.getpid(), time.monotonic())
        return dict(kept.body)

    def get(self, flight: Flight, key: str, seconds: float = 0.3, build: Callable[[Guard], Any] | None = None) -> Any:
        return flight.run(
            key,
            f"pid {os.getpid()}",
            lambda: self.look(key),
            build or (lambda _guard: self.build(key, seconds)),
            lambda holder: self.note("waiting", os.getpid(), "for", holder),
        )


class Crowd:
    """Forked children; none outlives the test."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}

    def start(self, work: Callable[[], Any]) -> int:
        """Run *work* in a child; `result` gives what it returned."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.write(writer, json.dumps(work()).encode())
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.stderr)
            finally:
                os._exit(status)
        os.close(writer)
        self._children[pid] = reader
        return pid

    def result(self, pid: int, seconds: float = 60.0) -> Any:
        """What the child *pid* returned; the name of the signal that ended it."""
        reader = self._children.pop(pid)
        with os.fdopen(reader, "rb") as stream:
            answer = b""
            while select.select([stream], [], [], seconds)[0] and (more := os.read(reader, 1 << 16)):
                answer += more
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        assert status == 0, "the child failed; its traceback is above"
        return json.loads(answer)

    def all(self, works: list[Callable[[], Any]]) -> list[Any]:
        """The results of *works*, one child each, started together."""
        return [self.result(pid) for pid in [self.start(work) for work in works]]

    def end(self) -> None:
        for pid, reader in self._children.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)


@pytest.fixture(params=["sqlite", "directory"])
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    return Scene(tmp_path, request.param)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.end()
