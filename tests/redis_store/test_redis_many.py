"""Many builders, one Redis: one build per key, through deaths, pauses and restarts of the server."""

from __future__ import annotations

import signal

import pytest

from coopery_redis.address import parse
from coopery_redis.store import RedisCache
from many_builders import ManyBuilders, Scene

pytestmark = [pytest.mark.needs("redis"), pytest.mark.processes]


class TestManyOnRedis(ManyBuilders):
    """The server is killed, and finds what it knew in its append-only file."""

    @pytest.fixture
    def own(self, make_server):
        return make_server()

    @pytest.fixture
    def store(self, own):
        store = RedisCache(parse(own.url()))
        store.get("resolution", "key")  # connected here, so that the children have a parent's connection to leave alone
        return store

    @pytest.fixture
    def restart(self, own):
        def restart() -> None:
            own.stop(signal.SIGKILL)
            own.start()

        return restart


def test_a_restart_that_forgets_all_lets_the_holder_go_on(tmp_path, make_server):
    server = make_server(durable=False)
    store = RedisCache(parse(server.url()))
    scene = Scene(tmp_path, store)
    holder = scene.start(lambda: scene.in_threads(1, "key", 2.0, 1.0))
    scene.await_note("build")
    server.stop()
    server.start()
    assert server.command("DBSIZE") == b"0"
    assert scene.result(holder) == [scene.recorded("key")]
    assert (scene.noted("build"), scene.noted("published")) == (1, 1)
    store.close()
