"""One build per key among processes: crowds, deaths, pauses, failures."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from coopery.errors import BuildError, CooperyError, StepFailed
from coopery.flights.flight import Flight, Guard, LeaseLost
from soak import rounds

pytestmark = pytest.mark.processes


def in_threads(count: int, work) -> list:
    """What *work* returned, or raised, in each of *count* threads."""
    results: list = [None] * count

    def run(number: int) -> None:
        try:
            results[number] = work()
        except Exception as exc:
            results[number] = f"{type(exc).__name__}: {exc}"

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    ("processes", "threads", "times"),
    [pytest.param(32, 4, 1, id="short"), pytest.param(32, 32, rounds(2, 20), id="long", marks=pytest.mark.slow)],
)
def test_one_missing_key_is_built_once(scene, crowd, processes, threads, times):
    def work() -> list:
        flight = Flight(scene.cache)
        return in_threads(threads, lambda: scene.get(flight, key))

    for number in range(times):
        key = f"key {number}"
        results = [result for process in crowd.all([work] * processes) for result in process]
        assert len(scene.noted("build")) == number + 1
        assert len(results) == processes * threads
        assert all(result == scene.look(key) is not None for result in results)


@pytest.mark.parametrize(
    ("keys", "seconds"), [pytest.param(32, 0.5, id="short"), pytest.param(200, 0.2, id="long", marks=pytest.mark.slow)]
)
def test_different_keys_do_not_wait_for_each_other(scene, crowd, keys, seconds):
    def work(first: int) -> list:
        flight = Flight(scene.cache)
        return [scene.get(flight, f"key {number}", seconds) for number in range(first, keys, 16)]

    crowd.all([lambda first=first: work(first) for first in range(16)])
    moments = [(float(line.split()[-1]), +1) for line in scene.noted("build")]
    moments += [(float(line.split()[-1]), -1) for line in scene.noted("built")]
    assert len(moments) == 2 * keys
    running = most = 0
    for _, step in sorted(moments):
        running += step
        most = max(most, running)
    assert most >= 4, f"of 16 builders no more than {most} ever built at once"


def test_a_killed_holder_is_replaced_long_before_its_lease_expires(scene, crowd):
    def work(seconds: float) -> dict:
        return scene.get(Flight(scene.cache, ttl=3600), "key", seconds)

    holder = crowd.start(lambda: work(60))
    scene.await_note("build")
    waiters = [crowd.start(lambda: work(0.1)) for _ in range(4)]
    scene.await_note("waiting", 4)
    os.kill(holder, signal.SIGKILL)
    assert crowd.result(holder) == "SIGKILL"
    results = [crowd.result(waiter) for waiter in waiters]
    assert all(result == scene.look("key") for result in results)
    assert len(scene.noted("build")) == 2
    assert len(scene.noted("built")) == 1


def test_a_paused_holder_is_replaced_and_does_no_harm(scene, crowd):
    def work(seconds: float) -> dict:
        return scene.get(Flight(scene.cache, ttl=0.5), "key", seconds)

    holder = crowd.start(lambda: work(0.3))
    scene.await_note("build")
    os.kill(holder, signal.SIGSTOP)
    waiter = crowd.start(lambda: work(0.1))
    published = crowd.result(waiter)
    os.kill(holder, signal.SIGCONT)
    assert crowd.result(holder) == published == scene.look("key")
    assert published["pid"] == waiter
    assert [len(scene.noted(word)) for word in ("build", "built", "overtaken")] == [2, 1, 1]


def test_a_holder_that_minds_its_guard_stops_and_takes_the_other_s_result(scene, crowd):
    def careful(guard: Guard) -> dict:
        scene.note("build")
        for _ in range(1000):
            time.sleep(0.01)
            try:
                guard.check()
            except LeaseLost:
                scene.note("stopped")
                raise
        return {}

    holder = crowd.start(lambda: scene.get(Flight(scene.cache, ttl=0.5), "key", build=careful))
    scene.await_note("build")
    os.kill(holder, signal.SIGSTOP)
    published = scene.get(Flight(scene.cache, ttl=0.5), "key", 0.0)
    os.kill(holder, signal.SIGCONT)
    assert crowd.result(holder) == published
    assert len(scene.noted("stopped")) == 1


def test_a_failure_is_shared_once_and_the_next_call_tries_again(scene, crowd):
    def fail(_guard: Guard) -> dict:
        scene.note("build")
        scene.await_note("asking", 32)
        time.sleep(1.0)  # the last of them has said so and is about to ask
        error = StepFailed("oci", "$.steps[2]", ["sh", "-c", "false"], 7, "the last line")
        error.log = "/logs/key/1.log"
        raise error

    def work() -> list:
        flight = Flight(scene.cache)

        def call() -> list:
            scene.note("asking")
            try:
                return scene.get(flight, "key", build=fail)
            except StepFailed as exc:
                return [str(exc), exc.backend, exc.step, exc.argv, exc.status, exc.stderr_tail, exc.log, exc.stage]

        return in_threads(4, call)

    results = [result for process in crowd.all([work] * 8) for result in process]
    assert len(scene.noted("build")) == 1
    assert results == [results[0]] * 32
    assert results[0][1:] == [
        *("oci", "$.steps[2]", ["sh", "-c", "false"], 7, "the last line", "/logs/key/1.log", "steps"),
    ]
    assert scene.get(Flight(scene.cache), "key", 0.0) == scene.look("key")


def test_an_error_that_is_none_of_ours_is_shared_as_a_build_error(scene, crowd):
    def fail(_guard: Guard) -> dict:
        scene.note("build")
        scene.await_note("waiting")
        return {"x": 1 / 0}

    def call() -> list:
        try:
            return scene.get(Flight(scene.cache), "key", build=fail)
        except (BuildError, ZeroDivisionError) as exc:
            return [type(exc).__name__, str(exc)]

    first = crowd.start(call)
    scene.await_note("build")
    second = crowd.start(call)
    assert crowd.result(first) == ["ZeroDivisionError", "division by zero"]
    assert crowd.result(second) == ["BuildError", "ZeroDivisionError: division by zero"]
    assert len(scene.noted("build")) == 1


def test_an_interrupted_holder_hands_over(scene, crowd):
    def interrupted(_guard: Guard) -> dict:
        scene.note("build")
        scene.await_note("waiting", 2)
        raise KeyboardInterrupt

    def call() -> str:
        try:
            return scene.get(Flight(scene.cache, ttl=3600), "key", build=interrupted)
        except KeyboardInterrupt:
            return "interrupted"

    holder = crowd.start(call)
    scene.await_note("build")
    waiters = [crowd.start(lambda: scene.get(Flight(scene.cache, ttl=3600), "key", 0.1)) for _ in range(2)]
    assert crowd.result(holder) == "interrupted"
    assert [crowd.result(waiter) for waiter in waiters] == [scene.look("key")] * 2
    assert len(scene.noted("build")) == 2


def test_a_waiter_that_is_interrupted_hurts_nobody(scene, crowd):
    def call() -> str | dict:
        try:
            return scene.get(Flight(scene.cache), "key", 0.6)
        except KeyboardInterrupt:
            return "interrupted"

    holder = crowd.start(call)
    scene.await_note("build")
    waiters = [crowd.start(call) for _ in range(3)]
    scene.await_note("waiting", 3)
    for waiter in waiters[:2]:
        os.kill(waiter, signal.SIGINT)
    assert [crowd.result(waiter) for waiter in waiters[:2]] == ["interrupted"] * 2
    assert crowd.result(holder) == crowd.result(waiters[2]) == scene.look("key")
    assert len(scene.noted("build")) == 1


def test_waiters_are_told_who_builds_once(scene, crowd):
    holder = crowd.start(lambda: scene.get(Flight(scene.cache), "key", 1.0))
    scene.await_note("build")
    scene.get(Flight(scene.cache), "key")
    crowd.result(holder)
    assert scene.noted("waiting") == [f"waiting {os.getpid()} for pid {holder}"]


def test_what_was_done_and_is_not_there_is_built_again(scene, crowd):
    def unrecorded(_guard: Guard) -> str:
        scene.note("build")
        scene.await_note("waiting")
        return "not recorded"

    holder = crowd.start(lambda: scene.get(Flight(scene.cache), "key", build=unrecorded))
    scene.await_note("build")
    assert scene.get(Flight(scene.cache), "key", 0.0) == scene.look("key")
    assert crowd.result(holder) == "not recorded"


def test_a_child_that_the_build_forks_does_not_release_the_lease(scene, crowd):
    def forking(_guard: Guard) -> dict:
        pid = os.fork()
        if pid == 0:
            raise SystemExit
        os.waitpid(pid, 0)
        scene.note("forked")
        return scene.build("key", 0.4)

    def call() -> dict:
        try:
            return scene.get(Flight(scene.cache, ttl=3600), "key", build=forking)
        except SystemExit:
            os._exit(0)

    holder = crowd.start(call)
    scene.await_note("forked")
    result = scene.get(Flight(scene.cache, ttl=3600), "key", 0.0)
    assert result == crowd.result(holder)
    assert len(scene.noted("build")) == 1


def test_a_fork_does_not_wait_for_threads_that_it_does_not_have(scene, crowd):
    flight = Flight(scene.cache)
    building = threading.Thread(target=lambda: scene.get(flight, "key", 0.5))
    building.start()
    scene.await_note("build")
    child = crowd.start(lambda: scene.get(flight, "key", 0.5))
    building.join()
    assert crowd.result(child) == scene.look("key")
    assert len(scene.noted("build")) == 1


def test_errors_know_each_other_by_class(scene, crowd):
    class OfAPluginError(BuildError):
        """A class that the waiting process does not know."""

    def fail(_guard: Guard) -> dict:
        scene.note("build")
        scene.await_note("waiting")
        raise type("Unheard", (OfAPluginError,), {})("gone", remedy="try")

    def call() -> str:
        with pytest.raises(CooperyError):
            scene.get(Flight(scene.cache), "key", build=fail)
        return ""

    holder = crowd.start(call)
    scene.await_note("build")
    with pytest.raises(OfAPluginError, match="gone") as caught:
        scene.get(Flight(scene.cache), "key")
    assert type(caught.value) is OfAPluginError
    assert caught.value.remedy == "try"
    crowd.result(holder)
