"""URLs: one reading, or none; what is shown of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.wire.origin import Origin, basic, is_loopback, parse, shown


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://example.org", Origin("http", "example.org", 80), "/"),
        ("https://Example.ORG:443/a/b?c=d", Origin("https", "example.org", 443), "/a/b?c=d"),
        ("https://[::1]:5000/v2/", Origin("https", "::1", 5000), "/v2/"),
        ("https://[0:0:0:0:0:0:0:1]/", Origin("https", "::1", 443), "/"),
        ("http://bücher.example/ü", Origin("http", "xn--bcher-kva.example", 80), "/%C3%BC"),
        ("https://user:pa%40ss@example.org:8443/x#part", Origin("https", "example.org", 8443), "/x"),
        ("https://a_b.example/%2e%2e/%41", Origin("https", "a_b.example", 443), "/%2e%2e/%41"),
    ],
)
def test_a_url_taken_apart(url: str, origin: Origin, target: str) -> None:
    address = parse(url)
    assert (address.origin, address.target) == (origin, target)
    assert parse(address.url) == parse(address.url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://user@/",
        "http://example.org:0/",
        "http://example.org:65536/",
        "http://example.org:port/",
        "http://exa mple.org/",
        "http://example.org/a b",
        "http://example.org/\r\nX-Injected: 1",
        "http://example.org\\@other.example/",
        "http://example.org/\x00",
        "http://[::1/",
        "http://[not-an-address]/",
        "http://a..b/",
        "http://-x/",
        "http://ex%41mple.org/",
        "http://example.org/" + "a" * 20_000,
    ],
)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(url)
    assert "passwd" not in str(caught.value)


def test_user_and_password_are_taken_out_and_not_shown() -> None:
    address = parse("https://me:s3cr%2Ft@example.org/t/tk-123/simple?X-Signature=abc")
    assert address.basic == basic("me", "s3cr/t")
    for text in (address.url, address.shown, repr(address), str(address.origin)):
        assert "s3cr" not in text
    assert address.shown == "https://example.org/t/***/simple?…"
    assert shown("no url at all s3cret") == "(no URL)"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://example.org/b"),
        ("b?c", "https://example.org/a/b?c"),
        ("?c", "https://example.org/a/x?c"),
        ("//other.example/b", "https://other.example/b"),
        ("http://other.example:81/b", "http://other.example:81/b"),
    ],
)
def test_joining(location: str, url: str) -> None:
    assert parse("https://example.org/a/x").join(location).url == url


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://x/", "http://a b/", "http://x\\y", "data:,x", "http://:1/"]
)
def test_joining_never_leaves_http(location: str) -> None:
    with pytest.raises(ValueError):
        parse("https://example.org/a/x").join(location)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example", "128.0.0.1", "notlocalhost", "::2", "127.0.0.1.example", "0.0.0.1"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("name", "called"),
    [("example.org", True), ("example.org:443", True), ("EXAMPLE.org", True), ("example.org:80", False)],
)
def test_names_of_an_origin(name: str, called: bool) -> None:
    assert Origin("https", "example.org", 443).is_called(name) is called


def test_a_port_of_its_own_must_be_named() -> None:
    origin = Origin("http", "example.org", 5000)
    assert origin.is_called("example.org:5000")
    assert not origin.is_called("example.org")
    assert not origin.is_called("example.org:500")


@given(st.text(max_size=60))
def test_any_text_is_read_the_same_again_or_refused(text: str) -> None:
    try:
        address = parse("http://" + text)
    except ValueError:
        return
    again = parse(address.url)
    assert (again.origin, again.target, again.userinfo) == (address.origin, address.target, "")
