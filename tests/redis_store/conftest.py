"""Real Redis servers: one for most tests, emptied before each; and one of a test's own, to be stopped and killed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery_redis.address import parse
from coopery_redis.store import RedisCache
from real_redis import RealRedis


@pytest.fixture(scope="session")
def shared() -> Iterator[RealRedis]:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket
        server = RealRedis(Path(folder), durable=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def server(shared: RealRedis) -> RealRedis:
    """A server with nothing in it."""
    shared.command("FLUSHALL")
    return shared


@pytest.fixture
def make_server() -> Iterator[Callable[..., RealRedis]]:
    """Starts servers of the test's own."""
    made = []
    with tempfile.TemporaryDirectory() as folder:

        def make(*args: object, **options: object) -> RealRedis:
            server = RealRedis(Path(folder) / str(len(made)), *args, **options)  # type: ignore[arg-type]
            made.append(server)
            server.start()
            return server

        yield make
        for server in made:
            server.stop()


@pytest.fixture
def open_store(server: RealRedis) -> Iterator[Callable[..., RedisCache]]:
    """Opens the shared server's store anew each time; all are closed at the end."""
    opened: list[RedisCache] = []

    def open_it(namespace: str = "tests", **options: object) -> RedisCache:
        opened.append(RedisCache(parse(server.url(namespace)), **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()
