"""Threads that want the same at once: who shares what, and who may give up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from coopery.cancel import Cancel, Cancelled
from coopery.errors import PackageError
from coopery.flights.together import Found, Together

NOTHING = lambda: None  # noqa: E731 - what a look finds that finds nothing


class Gate:
    """Something that takes until it is opened, and counts how often it began."""

    def __init__(self, result: object = None) -> None:
        self.result, self.began, self.opened = result, threading.Semaphore(0), threading.Event()
        self.count = self.running = self.most = 0

    def __call__(self, *_rest: object) -> object:
        self.count += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.began.release()
        assert self.opened.wait(30)
        self.running -= 1
        return self.result


@pytest.fixture
def pool():
    with ThreadPoolExecutor(30) as made:
        yield made


def test_a_look_that_had_begun_is_not_shared(pool):
    """What it finds may be from before the call. Those who came meanwhile look after it, one at a time, and share."""
    together, first, second = Together(), Gate("old"), Gate("new")
    one = pool.submit(together.run, "x", first, NOTHING)
    assert first.began.acquire(timeout=30)
    others = [pool.submit(together.run, "x", second, NOTHING) for _ in range(20)]
    assert not second.began.acquire(timeout=0.2)
    first.opened.set()
    assert second.began.acquire(timeout=30)
    second.opened.set()
    assert one.result() == Found("old")
    assert {other.result() for other in others} == {Found("new")}
    assert second.most == 1, "one looks at a time"


def test_what_is_made_is_shared_by_whoever_comes(pool):
    together, making = Together(), Gate("made")
    asked = [pool.submit(together.run, "x", NOTHING, making) for _ in range(10)]
    assert making.began.acquire(timeout=30)
    asked += [pool.submit(together.run, "x", NOTHING, making) for _ in range(10)]
    making.opened.set()
    assert [one.result() for one in asked] == ["made"] * 20
    assert making.count < 20, "most of them shared"


def test_other_names_do_not_wait(pool):
    together, making = Together(), Gate("made")
    asked = pool.submit(together.run, "x", NOTHING, making)
    assert making.began.acquire(timeout=30)
    assert together.run("y", NOTHING, lambda *_: "other") == "other"
    making.opened.set()
    assert asked.result() == "made"


def test_a_failure_that_began_after_all_had_come_is_theirs(pool):
    """Those too who waited for the end of the look before it."""
    together, look, attempts = Together(), Gate(None), []

    def fail(*_rest: object) -> object:
        attempts.append(1)
        raise PackageError("a.conda", "is damaged")

    asked = [pool.submit(together.run, "x", look, fail)]
    assert look.began.acquire(timeout=30)
    asked += [pool.submit(together.run, "x", look, fail) for _ in range(10)]
    waiting = threading.Event()
    waiting.wait(0.2)  # for them to stand at the door
    look.opened.set()
    errors = [one.exception() for one in asked]
    assert {str(error) for error in errors} == {"a.conda: is damaged"}
    assert len({id(error) for error in errors}) == 11
    assert len(attempts) == 1


def test_the_making_ends_when_all_have_given_up(pool):
    together, cancels, seen = Together(), [Cancel(), Cancel()], threading.Event()

    def make(all_gone: Cancel, _tell: object) -> object:
        seen.set()
        assert all_gone.wait(30)
        all_gone.check()
        return "never"

    one = pool.submit(together.run, "x", NOTHING, make, cancel=cancels[0])
    assert seen.wait(30)
    other = pool.submit(together.run, "x", NOTHING, make, cancel=cancels[1])
    cancels[1].set()
    with pytest.raises(Cancelled):
        other.result(30)
    assert not one.done()
    cancels[0].set()
    with pytest.raises(Cancelled):
        one.result(30)


def test_who_cannot_give_up_keeps_it(pool):
    together, cancel, making = Together(), Cancel(), Gate("made")
    one = pool.submit(together.run, "x", NOTHING, making, cancel=cancel)
    assert making.began.acquire(timeout=30)
    other = pool.submit(together.run, "x", NOTHING, making)
    cancel.set()
    making.opened.set()
    assert other.result(30) == "made"
    assert one.result(30) == "made"


def test_a_cancel_calls_what_was_left_once():
    cancel, called = Cancel(), []
    with cancel.calling(lambda: called.append("during")):
        cancel.set()
        cancel.set()
    with cancel.calling(lambda: called.append("late")):
        pass
    assert called == ["during", "late"]
    assert cancel.is_set()
    with pytest.raises(Cancelled):
        cancel.check()


def test_what_is_over_is_not_called():
    cancel, called = Cancel(), []
    with cancel.calling(lambda: called.append("over")):
        pass
    cancel.set()
    assert called == []
