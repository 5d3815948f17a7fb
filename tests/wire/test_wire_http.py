"""Requests against a server that misbehaves on demand."""

from __future__ import annotations

import gc
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripted_server import RESET, FakeClock, Reply, Server

from coopery.errors import IntegrityError, NetworkError, UsageError
from coopery.settings import Settings
from coopery.wire.answer import Answer
from coopery.wire.http import Http
from coopery.wire.pools import Timeouts

TRANSIENT = [408, 429, 500, 502, 503, 504]


def test_a_document(http: Http, server: Server) -> None:
    assert http.get(f"{server.url}/a?b=c", limit=10) == b"hello"
    assert server.requests[0].path == "/a?b=c"
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].headers["user-agent"].startswith("coopery/")


def test_a_connection_is_used_again(http: Http, server: Server) -> None:
    server.replies = [Reply(body=b"x" * 100_000), Reply(404, b"no"), Reply(204), Reply(body=b"x")]
    for status in (200, 404, 204):
        with http.open("GET", server.url, accept_statuses=(200, 204, 404)) as answer:
            assert answer.status == status
            if status == 200:
                answer.whole(1 << 20)
    with http.open("HEAD", server.url):
        pass
    http.get(server.url, limit=10)
    assert server.connections == 1


def test_what_is_not_read_to_its_end_costs_its_connection(http: Http, server: Server) -> None:
    server.replies = [Reply(body=b"x" * 1_000_000)]
    with http.open("GET", server.url) as answer:
        assert answer.read(10) == b"x" * 10
    assert http.get(server.url, limit=10) == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize("failures", [1, 4])
@pytest.mark.parametrize("status", TRANSIENT)
def test_transient_answers_are_tried_again(
    http: Http, server: Server, clock: FakeClock, status: int, failures: int
) -> None:
    server.replies = [Reply(status)] * failures
    assert http.get(server.url, limit=10) == b"hello"
    assert len(server.requests) == failures + 1
    assert all(pause > 0 for pause in clock.slept)


@pytest.mark.parametrize("reply", [*(Reply(status) for status in TRANSIENT), RESET, Reply(body=b"hello", cut=3)])
def test_after_five_attempts_it_is_an_error(http: Http, server: Server, clock: FakeClock, reply: Reply) -> None:
    server.replies = [reply] * 9
    with pytest.raises(NetworkError) as caught:
        http.get(server.url, limit=10)
    assert len(server.requests) == 5
    assert caught.value.attempts == 5
    assert caught.value.transient
    assert caught.value.status == (reply.status if reply.status != 200 else 0)
    assert "tried 5 times" in str(caught.value)
    assert sum(clock.slept) <= 60
    assert len(clock.slept) == 4


def test_open_tries_again_as_well_unless_told_not_to(http: Http, server: Server) -> None:
    server.replies = [RESET, Reply(503)]
    with http.open("GET", server.url) as answer:
        assert answer.whole(10) == b"hello"
    server.replies = [Reply(503)]
    with pytest.raises(NetworkError), http.open("POST", server.url, body=b"x", retry=False):
        pass
    assert len(server.requests) == 4


def test_the_server_says_how_long_to_wait(http: Http, server: Server, clock: FakeClock) -> None:
    server.replies = [Reply(429, headers={"Retry-After": "2"}), Reply(503, headers={"Retry-After": "3600"})]
    http.get(server.url, limit=10)
    assert 2 < clock.slept[0] < 2.5
    assert 30 < clock.slept[1] <= 33.1


def test_a_server_that_asks_for_half_a_minute_each_time_is_given_up_within_a_minute(
    http: Http, server: Server, clock: FakeClock
) -> None:
    server.script = lambda _: Reply(429, headers={"Retry-After": "30"})
    with pytest.raises(NetworkError, match="429"):
        http.get(server.url, limit=10)
    assert clock.now <= 60


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 501, 599])
def test_a_refusal_is_asked_for_once(http: Http, server: Server, clock: FakeClock, status: int) -> None:
    server.script = lambda _: Reply(status)
    with pytest.raises(NetworkError) as caught:
        http.get(server.url, limit=10)
    assert (len(server.requests), clock.slept, caught.value.status) == (1, [], status)
    assert not caught.value.transient
    assert caught.value.exit_code == 8


def test_silence_is_tried_again(tmp_path: Path, server: Server, clock: FakeClock) -> None:
    server.replies = [Reply(silent=0.5), Reply(body=b"hel", headers={"Content-Length": "5"}, pause=0.3)]
    with Http(Settings(home=tmp_path), clock=clock, timeouts=Timeouts(1.0, 0.15)) as http:
        assert http.get(server.url, limit=10) == b"hello"
    assert len(server.requests) == 3


def test_nobody_listens(http: Http, clock: FakeClock) -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(NetworkError, match="refused") as caught:
        http.get(url, limit=10)
    assert (caught.value.attempts, caught.value.status) == (5, 0)


def test_a_name_that_nobody_has(http: Http) -> None:
    with pytest.raises(NetworkError, match="name of the host"):
        http.get("http://no-such-host.invalid/", limit=10)


def _drain(answer: Answer) -> None:
    while answer.read(1):
        pass


def test_a_body_that_comes_too_slowly(tmp_path: Path, server: Server) -> None:
    class Hasty(FakeClock):
        def monotonic(self) -> float:
            self.now += 7
            return self.now

    server.script = lambda _: Reply(body=b"x" * 40, pause=0.001)
    with (
        Http(Settings(home=tmp_path), clock=Hasty()) as http,
        http.open("GET", server.url) as answer,
        pytest.raises(NetworkError, match="slowly"),
    ):
        _drain(answer)


@pytest.mark.parametrize("stated", [True, False])
def test_a_document_has_an_upper_bound(http: Http, server: Server, stated: bool) -> None:
    headers = {} if stated else {"Transfer-Encoding": "chunked"}
    body = b"x" * 100 if stated else b"40\r\n" + b"x" * 64 + b"\r\n0\r\n\r\n"
    server.script = lambda _: Reply(body=body, headers=headers)
    with pytest.raises(NetworkError, match="more than 50 bytes"):
        http.get(server.url, limit=50)
    assert len(server.requests) == 1


def test_an_endless_body_is_not_read(http: Http, server: Server) -> None:
    server.script = lambda _: Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)
    with pytest.raises(NetworkError, match="more than 1000 bytes"):
        http.get(server.url, limit=1000)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
def test_what_is_no_http_is_our_error(http: Http, server: Server, raw: bytes) -> None:
    server.script = lambda _: Reply(raw=raw)
    with pytest.raises(NetworkError):
        http.get(server.url, limit=1000)
    assert len(server.requests) <= 5


@pytest.mark.parametrize("further", [{}, {"Connection": "close"}], ids=["stays open", "closes"])
def test_two_lengths_are_no_length(http: Http, server: Server, further: dict[str, str]) -> None:
    server.script = lambda _: Reply(body=b"hello!", headers={"Content-Length": "5, 6", **further})
    with pytest.raises(NetworkError, match="an answer that is no HTTP"):
        http.get(server.url, limit=1000)
    gc.collect()  # a socket that nobody closed would be a warning, and so an error
    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-anything"])
def test_an_encoded_answer_is_refused(http: Http, server: Server, encoding: str) -> None:
    server.script = lambda _: Reply(body=b"\x1f\x8b", headers={"Content-Encoding": encoding})
    with pytest.raises(NetworkError, match="encoded"):
        http.get(server.url, limit=10)
    assert len(server.requests) == 1


def test_bodies_travel_whole(http: Http, server: Server) -> None:
    data = os.urandom(300_000)
    with http.open("PUT", server.url, body=data):
        pass
    with http.open("PATCH", server.url, body=io.BytesIO(data), length=len(data)):
        pass
    with http.open("POST", server.url, body=io.BytesIO(data)):
        pass
    assert [request.body == data for request in server.requests] == [True] * 3
    assert "content-length" not in server.requests[2].headers


def test_a_body_that_is_read_once_is_sent_once(http: Http, server: Server) -> None:
    server.replies = [Reply(503)]
    with pytest.raises(NetworkError) as caught, http.open("PUT", server.url, body=io.BytesIO(b"abc"), length=3):
        pass
    assert (len(server.requests), caught.value.transient) == (1, True)


@pytest.mark.parametrize("error", [OSError(5, "disk"), IntegrityError("other bytes")])
def test_what_cannot_be_read_is_not_the_networks_fault(http: Http, server: Server, error: Exception) -> None:
    class Broken:
        def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002 - as bodies are read
            raise error

    with pytest.raises(type(error)) as caught, http.open("PUT", server.url, body=Broken(), length=3):
        pass
    assert caught.value is error


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.org", "http://a b/", "http://x:y/"])
def test_what_is_no_url_is_the_callers_mistake(http: Http, url: str) -> None:
    with pytest.raises(UsageError):
        http.get(url, limit=10)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (
            "application/json",
            b'{"errors":[{"code":"DENIED","message":"no\\n access\\u001b[31m"}]}',
            "DENIED: no access[31m",
        ),
        ("application/json", b'{"error":"invalid_scope","error_description":"x"}', "invalid_scope: x"),
        ("application/problem+json", b'{"title":"Gone","detail":"for good"}', "Gone: for good"),
        ("text/plain; charset=utf-8", b"go away\n", "go away"),
        ("text/html", b"<h1>no</h1>", "403 Forbidden\n"),
        ("application/json", b"[" * 20_000, "403 Forbidden\n"),
        ("application/json", b'{"errors":7}', "403 Forbidden\n"),
        ("text/plain", b"x" * 5000, "…"),
    ],
)
def test_a_server_says_why(http: Http, server: Server, kind: str, body: bytes, said: str) -> None:
    server.script = lambda _: Reply(403, body, {"Content-Type": kind})
    with pytest.raises(NetworkError) as caught:
        http.get(server.url, limit=10)
    assert said in f"{caught.value}\n"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_threads_share_one(http: Http, server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: http.get(server.url, limit=10), range(80)))
    assert got == [b"hello"] * 80
    assert server.connections <= 16


@pytest.mark.processes
def test_a_process_that_forks_gets_connections_of_its_own(http: Http, server: Server) -> None:
    http.get(server.url, limit=10)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if http.get(server.url, limit=10) == b"hello" else 2
        finally:
            os._exit(code)
    assert http.get(server.url, limit=10) == b"hello"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.connections == 2


def test_it_can_be_used_after_it_was_closed(http: Http, server: Server) -> None:
    http.get(server.url, limit=10)
    http.close()
    assert http.get(server.url, limit=10) == b"hello"
    assert threading.active_count() < 50
