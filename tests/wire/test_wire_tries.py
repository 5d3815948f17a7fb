"""How often, how long, and with how much chance: PROMISES' row on transient faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import FakeClock

from coopery.errors import NetworkError
from coopery.events import Event, Retrying, ignore
from coopery.wire.tries import MOST, SECONDS, Tries, retry_after


def _trouble(asked: float = 0.0, *, transient: bool = True) -> NetworkError:
    return NetworkError("https://example.org/", "503", status=503, transient=transient, retry_after=asked)


@given(
    chances=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8),
    asked=st.lists(st.floats(0, 100), min_size=8, max_size=8),
    spent=st.lists(st.floats(0, 40), min_size=8, max_size=8),
)
def test_at_most_five_attempts_within_a_minute(chances: list[float], asked: list[float], spent: list[float]) -> None:
    clock = FakeClock(chances=tuple(chances))
    tries = Tries(clock, ignore)
    attempts = 0
    begun = []
    last = None
    while last is None:
        begun.append(clock.now)
        attempts += 1
        clock.now += spent[attempts]
        try:
            tries.failed(_trouble(asked[attempts]))
        except NetworkError as exc:
            last = exc
    assert last.attempts == attempts
    assert attempts <= MOST
    assert max(begun) <= SECONDS
    assert all(pause > 0 for pause in clock.slept)
    assert all(pause >= min(wanted, 30) for pause, wanted in zip(clock.slept, asked[1:], strict=False))
    assert all(pause <= 33.1 for pause in clock.slept)


def test_pauses_grow_and_are_drawn_by_chance() -> None:
    high, low = FakeClock(chances=(0.999,)), FakeClock(chances=(0.0,))
    for clock in (high, low):
        tries = Tries(clock, ignore)
        for _ in range(4):
            tries.failed(_trouble())
    assert high.slept == pytest.approx([0.4995, 0.999, 1.998, 3.996])
    assert low.slept == [0.05] * 4


def test_what_cannot_help_is_not_waited_for() -> None:
    clock = FakeClock()
    with pytest.raises(NetworkError) as caught:
        Tries(clock, ignore).failed(_trouble(transient=False))
    assert (caught.value.attempts, clock.slept) == (1, [])


def test_attempts_within_attempts_do_not_multiply() -> None:
    clock = FakeClock()
    with pytest.raises(NetworkError) as caught:
        Tries(clock, ignore).failed(_trouble().after(5))
    assert (caught.value.attempts, clock.slept) == (5, [])


def test_progress_counts_anew() -> None:
    tries = Tries(clock := FakeClock(), ignore)
    for _ in range(20):
        tries.failed(_trouble())
        tries.progressed()
    assert len(clock.slept) == 20


def test_time_in_which_bytes_moved_is_not_held_against_the_next_attempt() -> None:
    tries = Tries(clock := FakeClock(), ignore)
    clock.now = 1000.0
    tries.moved()
    tries.failed(_trouble())
    assert tries.left == pytest.approx(SECONDS - clock.slept[0])


def test_every_further_attempt_is_told() -> None:
    told: list[Event] = []
    tries = Tries(FakeClock(), told.append)
    tries.failed(_trouble())
    tries.failed(_trouble(2))
    assert [(event.attempt, event.attempts) for event in told if isinstance(event, Retrying)] == [(2, 5), (3, 5)]


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("2", "", 2),
        ("0", "", 0),
        ("", "", 0),
        ("-1", "", 0),
        ("1e3", "", 0),
        ("²", "", 0),
        ("9" * 400, "", 0),
        ("soon", "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 30),
        ("Wed, 21 Oct 2015 07:27:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", "", 0),
        ("Wed, 99 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_what_a_server_asks_for(value: str, date: str, seconds: float) -> None:
    assert retry_after(value, date) == seconds
