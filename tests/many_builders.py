"""Crowds of real processes that build through one store on a real server, which is also restarted under them."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coopery.cache import Record
from coopery.flights.flight import Flight
from coopery.testing.scene import Scene
from soak import rounds

_PATIENCE = 60.0


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
