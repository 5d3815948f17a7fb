"""What comes over the wire: read however it is cut, refused where it makes no sense, and no error but ours."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from coopery.errors import CacheError
from coopery_redis import server as server_module
from coopery_redis.address import parse
from coopery_redis.connection import Broken, Connection, Endpoint, Refused
from coopery_redis.server import Server

GREETING = b"+OK\r\n+OK\r\n"


@pytest.fixture
def answering() -> Iterator[Callable[..., int]]:
    """Servers that say what the test says, to everybody: the port of one. ``pieces`` are sent one after the other."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(*pieces: bytes, hold: bool = False) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    with connection, contextlib.suppress(OSError):
                        connection.recv(1 << 16)
                        for piece in pieces:
                            connection.sendall(piece)
                        while hold and connection.recv(1 << 16):
                            pass

        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() is told; closing alone tells nobody
        listener.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def connected(port: int) -> Connection:
    return Connection(Endpoint("127.0.0.1", port, "", 2.0, 2.0), ("", ""), 0)


WHOLE = (
    b":7\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n*3\r\n:-1\r\n$0\r\n\r\n*1\r\n+OK\r\n-ERR no such thing\r\n$2\r\n\xff\x00\r\n"
)


def test_replies_however_they_are_cut(answering):
    for size in (1, 2, 3, 7, 1000):
        sent = GREETING + WHOLE
        connection = connected(answering(*(sent[at : at + size] for at in range(0, len(sent), size)), hold=True))
        answers = connection.ask(*([("X",)] * 7))
        assert [str(one) if isinstance(one, Refused) else one for one in answers] == [
            7,
            b"a\r\nbc",
            None,
            None,
            [-1, b"", [b"OK"]],
            "ERR no such thing",
            b"\xff\x00",
        ]
        assert answers[5].code == "ERR"
        connection.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n",
        b"$99999999999\r\n",
        b"$1\r\nab\r\n",
        b"$x\r\n",
        b"*999999999\r\n",
        b"*1\r\n" * 20 + b":1\r\n",
        b":\r\n",
        b":1.5\r\n",
        b":" + b"1" * 30 + b"\r\n",
        b"\r\n",
        b"x" * 100_000,
        b"$5\r\nab",
        b"",
    ],
)
def test_what_makes_no_sense_is_an_error_of_ours(answering, garbage, monkeypatch):
    monkeypatch.setattr(server_module, "_PAUSES", (0.0,))
    port = answering(GREETING + garbage)
    connection = connected(port)
    with pytest.raises(Broken):
        connection.ask(("X",))
    connection.close()
    with pytest.raises(CacheError, match="see that it runs"):
        Server(parse(f"redis://127.0.0.1:{port}")).ask(("X",))  # what broke is closed


@pytest.mark.slow
def test_any_bytes_are_an_answer_or_an_error(answering):
    chance = random.Random(7)
    for _ in range(60):
        data = bytes(chance.choice(b"+-:$*0123\r\n\xff") for _ in range(chance.randrange(40)))
        connection = None
        with contextlib.suppress(Broken, Refused):
            connection = connected(answering(data))
            connection.ask(("X",), ("Y",))
        if connection is not None:
            connection.close()


@pytest.mark.slow
def test_more_threads_than_connections_wait_for_one_another(monkeypatch, answering):
    """And where nobody is done in time, that is said."""
    monkeypatch.setattr(server_module, "_CONNECTIONS", 2)
    monkeypatch.setattr(server_module, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(server_module, "_PAUSES", ())
    server = Server(parse(f"redis://127.0.0.1:{answering(GREETING, hold=True)}"))
    errors: list[str] = []

    def ask() -> None:
        try:
            server.ask(("X",))
        except CacheError as exc:
            errors.append(exc.message)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert len(errors) == 6
    assert any("did not answer in time" in error for error in errors)
    server.close()
