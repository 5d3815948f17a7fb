"""Coroutines, threads and processes that wait for one image."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import farm
import pytest

from coopery import Builder
from coopery.cancel import Cancelled
from coopery.errors import BackendError
from coopery.events import Waiting
from coopery.stores.sqlite import SqliteCache
from soak import rounds

pytestmark = pytest.mark.slow


class Counted(SqliteCache):
    """A store that counts how often it is read."""

    reads = 0

    def get(self, *args, **options):
        type(self).reads += 1
        return super().get(*args, **options)


def gathered(*waiting, **options):
    async def main():
        return await asyncio.gather(*waiting, **options)

    return asyncio.run(main())


def until(ready, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("coroutines", [500, 5000])
def test_coroutines_and_threads_need_one_build(machine, define, tmp_path, monkeypatch, coroutines):
    """And at most one look into the store in each 50 ms, whoever asks, beside those of the build itself."""
    monkeypatch.setenv(farm.SECONDS, "1.0")
    Counted.reads = 0
    builder = machine(cache=Counted(tmp_path / "records"))
    environment, images = define(), []
    threads = [threading.Thread(target=lambda: images.append(builder.build(environment))) for _ in range(200)]
    before, started = threading.active_count(), time.monotonic()
    for thread in threads:
        thread.start()
    most = 0

    async def main():
        nonlocal most
        asked = [asyncio.ensure_future(builder.build_async(environment)) for _ in range(coroutines)]
        await asyncio.sleep(0.2)
        most = threading.active_count()
        return await asyncio.gather(*asked)

    images += asyncio.run(main())
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - started
    assert (farm.noted("build"), len(images), len({image.id for image in images})) == (1, coroutines + 200, 1)
    assert most <= before + 200 + 40, "coroutines have no thread of their own"
    assert Counted.reads <= elapsed / 0.05 + 20


def test_a_hit_is_told_to_all(machine, define):
    builder = machine()
    builder.build(define())
    images = gathered(*(builder.build_async(define()) for _ in range(50)))
    assert all(image.hit for image in images)
    assert farm.noted("build") == 1


def test_what_is_known_does_not_wait_for_builds(machine, define, monkeypatch):
    builder = machine()
    builder.build(define(0))
    monkeypatch.setenv(farm.SECONDS, "20")

    async def main():
        building = [asyncio.ensure_future(builder.build_async(define(number))) for number in range(1, 41)]
        await asyncio.sleep(0.1)
        known = await builder.build_async(define(0))
        assert not any(one.done() for one in building)
        for one in building:
            one.cancel()
        await asyncio.gather(*building, return_exceptions=True)
        return known

    assert asyncio.run(main()).hit


def test_cancelling_all_but_one_leaves_that_one(machine, define, monkeypatch):
    monkeypatch.setenv(farm.SECONDS, "1.0")
    builder = machine()

    async def main():
        asked = [asyncio.ensure_future(builder.build_async(define())) for _ in range(100)]
        while not farm.noted("build"):
            await asyncio.sleep(0.01)
        for one in asked[:99]:
            one.cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    *gone, image = asyncio.run(main())
    assert all(isinstance(one, asyncio.CancelledError) for one in gone)
    assert image.id
    assert (farm.noted("build"), farm.noted("cancelled")) == (1, 0)


def test_cancelling_all_stops_the_build_and_frees_the_claim(machine, define, monkeypatch):
    monkeypatch.setenv(farm.SECONDS, "60")
    builder, other = machine("a", lease_seconds=3600), machine("b", lease_seconds=3600)

    async def main():
        asked = [asyncio.ensure_future(builder.build_async(define())) for _ in range(100)]
        while not farm.noted("build"):
            await asyncio.sleep(0.01)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(main())
    until(lambda: farm.noted("cancelled"), float(rounds(30, 2)))
    monkeypatch.setenv(farm.SECONDS, "0")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(other.build, define()).result(60).id, "the claim was released, whose lease is an hour"
    assert (farm.noted("build"), farm.noted("cancelled")) == (2, 1)
    assert builder.build(define()).id


def test_a_thread_that_waits_keeps_the_build(machine, define, monkeypatch):
    """Whoever began it: what coroutines cancel goes on for a thread that joined, and is done once."""
    monkeypatch.setenv(farm.SECONDS, "4.0")
    events: list = []
    builder, images = machine(on_event=events.append), []

    async def main():
        asked = asyncio.ensure_future(builder.build_async(define()))
        while not farm.noted("build"):
            await asyncio.sleep(0.01)
        thread = threading.Thread(target=lambda: images.append(builder.build(define())))
        thread.start()
        while not any(isinstance(event, Waiting) for event in events):
            await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        return thread

    asyncio.run(main()).join()
    assert len(images) == 1
    assert (farm.noted("build"), farm.noted("cancelled")) == (1, 0)


def test_a_failure_is_one_attempt_for_all(machine, define, monkeypatch):
    monkeypatch.setenv(farm.SECONDS, "0.5")
    monkeypatch.setenv(farm.FAILS, "yes")
    builder = machine()
    results = gathered(*(builder.build_async(define()) for _ in range(500)), return_exceptions=True)
    assert farm.noted("build") == 1
    assert {(type(error), str(error), error.backend) for error in results} == {
        (BackendError, "farm: the barn burns\n  fetch water", "farm")
    }
    assert len({id(error) for error in results}) == 500
    monkeypatch.delenv(farm.FAILS)
    assert gathered(builder.build_async(define()))[0].id


def test_several_loops_share_one_build(machine, define, monkeypatch):
    monkeypatch.setenv(farm.SECONDS, "0.5")
    builder, images = machine(), []

    def loop() -> None:
        images.extend(gathered(*(builder.build_async(define()) for _ in range(5))))

    threads = [threading.Thread(target=loop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(images), farm.noted("build")) == (25, 1)


def test_closing_the_builder_stops_what_coroutines_wait_for(machine, define, monkeypatch):
    monkeypatch.setenv(farm.SECONDS, "60")
    builder: Builder = machine()

    async def main():
        asked = asyncio.ensure_future(builder.build_async(define()))
        while not farm.noted("build"):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(builder.close)
        return await asyncio.gather(asked, return_exceptions=True)

    (error,) = asyncio.run(main())
    assert isinstance(error, Cancelled)
    assert farm.noted("cancelled") == 1
