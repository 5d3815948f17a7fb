"""Where a redirect may lead, and what goes along."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_server import FakeClock, Reply, Server

from coopery.errors import NetworkError
from coopery.settings import Settings
from coopery.wire.http import Http
from coopery.wire.origin import basic


def _to(url: str, status: int = 302) -> Reply:
    return Reply(status, headers={"Location": url})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_followed_on_the_same_host(http: Http, server: Server, status: int) -> None:
    server.replies = [_to("/b?c", status)]
    with http.open("GET", f"{server.url}/a", headers={"Authorization": "Basic x"}) as answer:
        assert answer.url == f"{server.url}/b?c"
    assert server.sent("Authorization") == ["Basic x"] * 2


def test_no_credentials_go_along_to_another_host(http: Http, server: Server, other: Server) -> None:
    server.script = lambda _: _to(f"{other.url}/blob?signature=x")
    asked: list[str] = []

    def login(url: str) -> str | None:
        asked.append(url)
        return basic("me", "canary") if url.startswith(server.url) else None

    with_user = server.url.replace("http://", "http://me:canary@")
    assert http.get(server.url, limit=10, login=login) == b"hello"
    assert http.get(with_user, limit=10) == b"hello"
    assert http.get(server.url, limit=10, headers={"authorization": "Bearer canary", "cookie": "canary"}) == b"hello"
    assert len(server.sent("Authorization")) == 3
    assert other.sent("Authorization") == []
    assert other.sent("Cookie") == []
    assert asked == [f"{server.url}/", f"{other.url}/blob?signature=x"]


def test_another_port_is_another_host(http: Http, server: Server) -> None:
    with Server() as neighbour:
        server.script = lambda _: _to(neighbour.url)
        http.get(server.url, limit=10, headers={"Authorization": "Bearer canary"})
        assert neighbour.sent("Authorization") == []


def test_credentials_do_not_come_back_on_the_way_back(http: Http, server: Server, other: Server) -> None:
    """What another host redirects to is its choice: it could aim our credentials at any path."""
    other.script = lambda _: _to(f"{server.url}/delete-everything")
    server.replies = [_to(other.url)]
    http.get(server.url.replace("http://", "http://me:canary@"), limit=10)
    assert [request.path for request in server.requests] == ["/", "/delete-everything"]
    assert len(server.sent("Authorization")) == 1


def test_a_user_in_a_redirect_is_no_login(http: Http, server: Server, other: Server) -> None:
    server.script = lambda _: _to(other.url.replace("http://", "http://me:theirs@"))
    http.get(server.url, limit=10)
    assert other.sent("Authorization") == []


def test_every_request_is_asked_anew_from_the_beginning(http: Http, server: Server, other: Server) -> None:
    server.script = lambda _: _to(other.url)
    other.replies = [Reply(503)]
    http.get(server.url, limit=10)
    assert (len(server.requests), len(other.requests)) == (2, 2)


def test_loops_end(http: Http, server: Server) -> None:
    server.script = lambda request: _to(request.path + "x")
    with pytest.raises(NetworkError, match="more than 10 redirects"):
        http.get(server.url, limit=10)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "http://a b/", "http://x\\@y/", "//:0/", ""]
)
def test_nowhere(http: Http, server: Server, location: str) -> None:
    server.script = lambda _: _to(location)
    with pytest.raises(NetworkError, match="nowhere"):
        http.get(f"{server.url}/x", limit=10)
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_what_is_sent_goes_only_where_it_was_meant_to(http: Http, server: Server, other: Server, method: str) -> None:
    for status in (302, 307, 308):
        server.replies = [_to(other.url, status)]
        with pytest.raises(NetworkError, match="redirects a"), http.open(method, server.url, body=b"layers"):
            pass
    assert other.requests == []


def test_a_put_may_be_redirected_on_its_host(http: Http, server: Server) -> None:
    server.replies = [_to("/there", 307)]
    with http.open("PUT", server.url, body=b"layers"):
        pass
    assert [(request.method, request.path, request.body) for request in server.requests] == [
        ("PUT", "/", b"layers"),
        ("PUT", "/there", b"layers"),
    ]


def test_a_post_is_never_made_a_get(http: Http, server: Server) -> None:
    server.replies = [_to("/there", 303)]
    with pytest.raises(NetworkError), http.open("POST", server.url, body=b"x"):
        pass
    assert len(server.requests) == 1


def test_which_hosts_are_plain(tmp_path: Path, clock: FakeClock) -> None:
    from coopery.wire.origin import parse

    with Http(Settings(home=tmp_path, plain_http=("registry.example:5000",)), clock=clock) as http:
        plain = {url: http.is_plain(parse(url).origin) for url in ("http://registry.example:5000", "http://[::1]:1")}
        others = {
            url: http.is_plain(parse(url).origin) for url in ("http://registry.example", "http://127.0.0.1.nip.io")
        }
    assert set(plain.values()) == {True}
    assert set(others.values()) == {False}
