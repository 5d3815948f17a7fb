"""Crowds of real processes that build through one store on a real server, which is also restarted under them."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coopery.cache import Record
from coopery.flight import Flight
from soak import rounds

_PATIENCE = 60.0


class Scene:
    """One store for many processes, and a log with one line per event, which all of them append to.

    Args:
        folder: where the log is.
        store: safe across forks: each child opens its own connection.
    """

    def __init__(self, folder: Path, store: Any) -> None:
        self.store = store
        self._log = folder / "events"
        self._log.touch()
        self._children: dict[int, Path] = {}

    def note(self, *words: object) -> None:
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND)
        os.write(handle, (" ".join(map(str, words)) + "\n").encode())
        os.close(handle)

    def noted(self, word: str) -> int:
        return sum(line.split()[0] == word for line in self._log.read_text().splitlines())

    def await_note(self, word: str, count: int = 1) -> None:
        end = time.monotonic() + _PATIENCE
        while self.noted(word) < count:
            assert time.monotonic() < end, f"{word} did not happen"
            time.sleep(0.01)

    def recorded(self, key: str) -> dict[str, Any] | None:
        found = self.store.get("resolution", key)
        return None if found is None else dict(found.body)

    def obtain(self, flight: Flight, key: str, seconds: float) -> dict[str, Any]:
        """Find *key*, or build it for *seconds* and publish it by compare-and-set, or wait for who does."""

        def build(_guard: object) -> dict[str, Any]:
            self.note("build", key, os.getpid())
            time.sleep(seconds)
            record = Record("resolution", key, 1, {"pid": os.getpid(), "at": time.time_ns()}, "w", time.time())
            kept = self.store.put(record, 0)
            self.note("published" if kept == record else "overtaken", key, os.getpid())
            return dict(kept.body)

        return flight.run(
            key, f"pid {os.getpid()}", lambda: self.recorded(key), build, lambda holder: self.note("waiting", holder)
        )

    def crowd(self, processes: int, threads: int, key: str, seconds: float, ttl: float = 30.0) -> list[Any]:
        """What each of so many threads of so many processes got."""
        started = [self.start(lambda: self.in_threads(threads, key, seconds, ttl)) for _ in range(processes)]
        return [result for pid in started for result in self.result(pid)]

    def in_threads(self, threads: int, key: str, seconds: float, ttl: float = 30.0) -> list[Any]:
        results: list[Any] = [None] * threads
        flight = Flight(self.store, ttl)

        def work(number: int) -> None:
            try:
                results[number] = self.obtain(flight, key, seconds)
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
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class ManyBuilders:
    """Subclass it, and write the fixtures ``store`` (opened, safe across forks) and ``restart`` (of its server)."""

    @pytest.fixture
    def store(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def restart(self) -> Callable[[], None]:
        raise NotImplementedError

    @pytest.fixture
    def scene(self, tmp_path: Path, store: Any) -> Iterator[Scene]:
        scene = Scene(tmp_path, store)
        yield scene
        scene.end()
        store.close()

    def test_one_missing_key_is_built_once(self, scene: Scene) -> None:
        crowd = rounds(8, 32)
        for number in range(rounds(1, 20)):
            results = scene.crowd(crowd, crowd, f"key {number}", 0.5)
            assert results == [scene.recorded(f"key {number}")] * crowd**2
            assert (scene.noted("build"), scene.noted("published")) == (number + 1, number + 1)

    def test_a_killed_holder_is_replaced(self, scene: Scene) -> None:
        holder = scene.start(lambda: scene.in_threads(1, "key", 60, 1.0))
        scene.await_note("build")
        waiters = [scene.start(lambda: scene.in_threads(2, "key", 0.1, 1.0)) for _ in range(4)]
        scene.await_note("waiting", 4)
        os.kill(holder, signal.SIGKILL)
        assert scene.result(holder) == "SIGKILL"
        results = [result for waiter in waiters for result in scene.result(waiter)]
        assert results == [scene.recorded("key")] * 8
        assert (scene.noted("build"), scene.noted("published")) == (2, 1)

    def test_builders_killed_at_random(self, scene: Scene) -> None:
        """Whenever one is killed, the next gets it done, once."""
        chance = random.Random(3)
        for number in range(rounds(6, 200)):
            key = f"key {number}"
            doomed = scene.start(lambda key=key: scene.in_threads(2, key, 0.02, 0.3))  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.06))
            with suppress(ProcessLookupError):
                os.kill(doomed, signal.SIGKILL)
            scene.result(doomed)
            assert scene.in_threads(2, key, 0.0, 0.3) == [scene.recorded(key)] * 2
            assert scene.recorded(key) is not None

    def test_a_paused_holder_does_no_harm(self, scene: Scene) -> None:
        for number in range(1, rounds(1, 100) + 1):
            key = f"key {number}"
            holder = scene.start(lambda key=key: scene.in_threads(1, key, 0.3, 0.6))  # type: ignore[misc]
            scene.await_note("build", 2 * number - 1)
            os.kill(holder, signal.SIGSTOP)
            waiter = scene.start(lambda key=key: scene.in_threads(1, key, 0.1, 0.6))  # type: ignore[misc]
            published = scene.result(waiter)
            os.kill(holder, signal.SIGCONT)
            assert scene.result(holder) == published == [scene.recorded(key)]
            assert published[0]["pid"] == waiter
            assert [scene.noted(word) for word in ("build", "published", "overtaken")] == [2 * number, number, number]

    def test_a_restart_in_the_middle_of_a_build(self, scene: Scene, restart: Callable[[], None]) -> None:
        """The holder renews and publishes after it, waiters ask again: nobody is told of it."""
        started = [scene.start(lambda: scene.in_threads(8, "key", 2.0, 3.0)) for _ in range(4)]
        scene.await_note("waiting", 3)
        restart()
        results = [result for pid in started for result in scene.result(pid)]
        assert results == [scene.recorded("key")] * 32
        assert scene.noted("published") == 1

    def test_restarts_while_many_keys_are_built(self, scene: Scene, restart: Callable[[], None]) -> None:
        def work(first: int) -> list[Any]:
            flight = Flight(scene.store, 3.0)
            return [scene.obtain(flight, f"key {(first + number) % 12}", 0.1) for number in range(12)]

        started = [scene.start(lambda first=first: work(first)) for first in (0, 3, 6, 9)]
        scene.await_note("published", 2)
        restart()
        results = [scene.result(pid) for pid in started]
        assert scene.noted("published") == 12
        for first, got in zip((0, 3, 6, 9), results, strict=True):
            assert got == [scene.recorded(f"key {(first + number) % 12}") for number in range(12)]

    def test_forks_share_no_connection(self, scene: Scene) -> None:
        """Threads of the parent use the store all the time, and each child uses it at once."""
        done = threading.Event()
        errors: list[Exception] = []

        def busy() -> None:
            try:
                while not done.is_set():
                    assert scene.recorded("key") == {"n": 1}
            except Exception as exc:
                errors.append(exc)

        scene.store.put(Record("resolution", "key", 1, {"n": 1}), 0)
        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):

                def child(name: str = f"child {number}") -> Any:
                    scene.store.put(Record("resolution", name, 1, {"name": name}), 0)
                    return [scene.recorded("key"), scene.recorded(name)]

                assert scene.result(scene.start(child)) == [{"n": 1}, {"name": f"child {number}"}]
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert errors == []
