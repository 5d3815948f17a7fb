"""Which proxy; and that it is used, and gets its password only."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_server import FakeClock, Reply, Server

from coopery.errors import NetworkError, UsageError
from coopery.settings import Settings
from coopery.wire.http import Http
from coopery.wire.origin import parse
from coopery.wire.proxies import read

FAR = "http://registry.example:5000/v2/"


def _chosen(url: str, environ: dict[str, str], **settings: str) -> str | None:
    proxy = read(Settings(home=Path("/nowhere"), **settings), environ).choose(parse(url).origin)  # type: ignore[arg-type]  # only texts are given
    return None if proxy is None else proxy.url


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://example.org/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://example.org/", "http://p:1/"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://example.org/", None),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "https://example.org/", "http://a:1/"),
        ({"ALL_PROXY": "p:1"}, "http://example.org/", "http://p:1/"),
        ({"HTTP_PROXY": "http://p:1"}, "http://example.org/", "http://p:1/"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://example.org/", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://example.org/", "http://p:1/"),
        ({"ALL_PROXY": "http://p:1"}, "http://localhost:5000/", None),
        ({"ALL_PROXY": "http://p:1"}, "http://127.0.0.2/", None),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]/", None),
        *(
            ({"ALL_PROXY": "http://p:1", "NO_PROXY": direct}, "https://a.example.org/", None)
            for direct in (
                "*",
                "example.org",
                ".example.org",
                "*.example.org",
                "x, a.example.org",
                "A.EXAMPLE.ORG:443",
                "x y example.org",
            )
        ),
        *(
            ({"ALL_PROXY": "http://p:1", "NO_PROXY": direct}, "https://a.example.org/", "http://p:1/")
            for direct in ("", "ample.org", "b.example.org", "example.org:80", "10.0.0.0/8", ".", "org.example")
        ),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3/", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.1.2.3"}, "http://10.1.2.3:8080/", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, "http://[fd00::1]/", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://11.1.2.3/", "http://p:1/"),
    ],
)
def test_the_environments_proxy(environ: dict[str, str], url: str, proxy: str | None) -> None:
    assert _chosen(url, environ) == proxy


def test_the_settings_come_first() -> None:
    environ = {"HTTPS_PROXY": "http://environment:1", "NO_PROXY": "example.org"}
    assert _chosen("https://a.example/", environ, proxy="http://settings:1") == "http://settings:1/"
    assert _chosen("http://a.example/", environ, proxy="http://settings:1") == "http://settings:1/"
    assert _chosen("https://example.org/", environ, proxy="http://settings:1") is None
    assert _chosen("https://example.org/", environ, no_proxy="a.example") == "http://environment:1/"


@pytest.mark.parametrize("proxy", ["socks5://me:canary@p:1080", "http://", "http://me:canary@a b/"])
def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(UsageError) as caught:
        _chosen("https://example.org/", {"HTTPS_PROXY": proxy})
    assert "canary" not in str(caught.value)


def test_requests_go_through_it_with_its_password(tmp_path: Path, server: Server, clock: FakeClock) -> None:
    proxy = server.url.replace("http://", "http://me:p%40ss@")
    with Http(Settings(home=tmp_path, proxy=proxy), clock=clock) as http:
        assert http.get(f"{FAR}a?b", limit=10) == b"hello"
    (request,) = server.requests
    assert request.path == f"{FAR}a?b"
    assert request.headers["host"] == "registry.example:5000"
    assert request.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="


def test_a_tunnel_that_is_refused_names_the_proxy_and_no_password(
    tmp_path: Path, server: Server, clock: FakeClock
) -> None:
    server.script = lambda _: Reply(407)
    proxy = server.url.replace("http://", "http://me:canary@")
    settings = Settings(home=tmp_path, proxy=proxy)
    with Http(settings, clock=clock) as http, pytest.raises(NetworkError, match="proxy") as caught:
        http.get("https://registry.example/v2/", limit=10)
    assert server.requests[0].method == "CONNECT"
    assert server.sent("Authorization") == []
    exc: BaseException | None = caught.value
    while exc is not None:
        assert "canary" not in f"{exc!r} {exc} {vars(exc)}"
        exc = exc.__cause__ or exc.__context__


def test_a_wrong_password_for_the_proxy(tmp_path: Path, server: Server, clock: FakeClock) -> None:
    server.script = lambda _: Reply(407)
    with Http(Settings(home=tmp_path, proxy=server.url), clock=clock) as http, pytest.raises(NetworkError) as caught:
        http.get(FAR, limit=10)
    assert caught.value.status == 407
    assert "proxy" in caught.value.remedy
