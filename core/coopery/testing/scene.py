"""Crowds of real processes that build through one store; they can be killed, stopped and waited for."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coopery.cache import Cache, Record
from coopery.flights.flight import Flight
from coopery.leases import Leases
from coopery.stores import leases_of

_PATIENCE = 60.0


class Scene:
    """One store for many processes, and a log with one line per event, which all of them append to.

    Children are forked, so that a store must carry that, as every store must.

    Args:
        folder: where the log is.
        store: safe across forks: each child opens its own connection.
        leases: those of *store* unless given.
    """

    def __init__(self, folder: Path, store: Cache, leases: Leases | None = None) -> None:
        self.store = store
        self.leases = leases if leases is not None else leases_of(store)
        self._log = folder / "events"
        self._log.touch()
        self._children: dict[int, Path] = {}

    def note(self, *words: object) -> None:
        """Write one line into the log, in one step."""
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND)
        os.write(handle, (" ".join(map(str, words)) + "\n").encode())
        os.close(handle)

    def noted(self, words: str) -> int:
        """How many lines begin with *words*."""
        return sum(f"{line} ".startswith(f"{words} ") for line in self._log.read_text().splitlines())

    def await_note(self, words: str, count: int = 1) -> None:
        """Wait until there are so many."""
        end = time.monotonic() + _PATIENCE
        while self.noted(words) < count:
            assert time.monotonic() < end, f"{words} did not happen"
            time.sleep(0.01)

    def recorded(self, key: str) -> dict[str, Any] | None:
        """What everybody gets for *key* now."""
        found = self.store.get("resolution", key)
        return None if found is None else dict(found.body)

    def obtain(self, flight: Flight, key: str, seconds: float, together: int = 0) -> dict[str, Any]:
        """Find *key*, or build it for *seconds* and publish it by compare-and-set, or wait for who does.

        Nobody publishes before *together* builds of it have begun.
        """

        def build(_guard: object) -> dict[str, Any]:
            self.note(f"build {key}", os.getpid())
            self.await_note(f"build {key}", together)
            time.sleep(seconds)
            record = Record("resolution", key, 1, {"pid": os.getpid(), "at": time.time_ns()}, "w", time.time())
            kept = self.store.put(record, 0)
            self.note("published" if kept == record else "overtaken", key, os.getpid())
            return dict(kept.body)

        return flight.run(
            key, f"pid {os.getpid()}", lambda: self.recorded(key), build, lambda holder: self.note("waiting", holder)
        )

    def crowd(
        self, processes: int, threads: int, key: str, seconds: float, ttl: float = 30.0, together: int = 0
    ) -> list[Any]:
        """What each of so many threads of so many processes got; *together*: see `obtain`."""
        started = [self.start(lambda: self.in_threads(threads, key, seconds, ttl, together)) for _ in range(processes)]
        return [result for pid in started for result in self.result(pid)]

    def in_threads(self, threads: int, key: str, seconds: float, ttl: float = 30.0, together: int = 0) -> list[Any]:
        """What each of so many threads of this process got; *together*: see `obtain`."""
        results: list[Any] = [None] * threads
        flight = Flight(self.leases, ttl)

        def work(number: int) -> None:
            try:
                results[number] = self.obtain(flight, key, seconds, together)
            except Exception as exc:
                results[number] = f"{type(exc).__name__}: {exc}"

        running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return results

    def start(self, work: Callable[[], Any]) -> int:
        """Run *work* in a forked child; `result` gives what it returned."""
        answer = self._log.with_name(f"answer {time.monotonic_ns()}")
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                answer.write_text(json.dumps(work()))
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.stderr)
            finally:
                os._exit(status)
        self._children[pid] = answer
        return pid

    def result(self, pid: int) -> Any:
        """What the child *pid* returned; the name of the signal that ended it."""
        end = time.monotonic() + _PATIENCE
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < end, f"child {pid} does not end"
            time.sleep(0.01)
        answer = self._children.pop(pid)
        if os.WIFSIGNALED(ended[1]):
            return signal.Signals(os.WTERMSIG(ended[1])).name
        assert ended[1] == 0, "the child failed; its traceback is above"
        return json.loads(answer.read_text())

    def end(self) -> None:
        """Kill what is left of the children."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
