"""``WWW-Authenticate``, read with suspicion; and who may be shown a login."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.registry.challenge import challenges
from coopery.registry.realm import is_safe, may_know
from coopery.wire.origin import parse

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'


def _read(header: str) -> list[tuple[str, dict[str, str]]]:
    return [(challenge.scheme, dict(challenge.parameters)) for challenge in challenges(header)]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a b"', [("basic", {"realm": "a b"})]),
        ("BASIC realm=simple", [("basic", {"realm": "simple"})]),
        (
            HUB,
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (r'Bearer realm="a\"b\\c"', [("bearer", {"realm": r'a"b\c'})]),
        ('Bearer realm = "a" , service = "b"', [("bearer", {"realm": "a", "service": "b"})]),
        (
            'Negotiate abc==, Basic realm="x", Bearer realm="y"',
            [("negotiate", {}), ("basic", {"realm": "x"}), ("bearer", {"realm": "y"})],
        ),
        ('Bearer realm="a, Basic realm=b"', [("bearer", {"realm": "a, Basic realm=b"})]),
        ('Bearer realm="a", realm="b"', []),
        ('Bearer realm="a", REALM="b", Basic realm="c"', [("basic", {"realm": "c"})]),
        ('Bearer realm="a', [("bearer", {})]),
        ('Bearer realm="a"x, Basic', [("bearer", {})]),
        ('Bearer realm="a\r\nBasic realm=b"', []),
        ("=, ,,=", []),
        (",, Basic ,,", [("basic", {})]),
        ('Bearer realm="ü"', [("bearer", {"realm": "ü"})]),
    ],
)
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert _read(header) == found


@given(st.text(max_size=300))
def test_any_header_is_read_or_not(header: str) -> None:
    assert all(challenge.scheme for challenge in challenges(header))


@pytest.mark.parametrize("piece", ['Bearer realm="', "a=,", '"\\', "Basic ,", 'a="b",', "= ", "x " * 3])
def test_long_ones_are_read_in_no_time(piece: str) -> None:
    began = time.process_time()
    challenges(piece * 20_000)
    assert time.process_time() - began < 20, "as long as its input, not as its square"


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token"),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("https://registry.example.org", "https://gitlab.example.org/jwt/auth"),
        ("https://ghcr.io", "https://ghcr.io/token"),
        ("https://example.org:5000", "https://example.org:5001/token"),
        ("https://example.org", "https://auth.example.org/token"),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/token"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token"),
        ("http://registry.lan:5000", "http://registry.lan:5000/token"),
        ("https://10.0.0.1", "https://10.0.0.1:5001/token"),
    ],
)
def test_who_may_know(registry: str, realm: str) -> None:
    assert may_know(parse(registry).origin, parse(realm).origin)


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io.evil.example/token"),
        ("https://registry-1.docker.io", "https://evil.io/token"),
        ("https://ghcr.io", "https://evil.io/token"),
        ("https://registry.co.uk", "https://evil.co.uk/token"),
        ("https://example.org", "http://example.org/token"),
        ("https://example.org", "https://notexample.org/token"),
        ("https://registry.example.org", "https://example.com/token"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
        ("http://127.0.0.1:5000", "http://127.0.0.2:5000/token"),
        ("http://127.0.0.1:5000", "https://127.0.0.1:5000/token"),
        ("http://registry.lan", "https://registry.lan/token"),
        ("https://10.0.0.1", "https://11.0.0.1/token"),
        ("https://10.0.0.1", "https://evil.0.0.1.example/token"),
        ("https://localhost", "https://evil.localhost.example/token"),
        ("https://a", "https://b/token"),
    ],
)
def test_who_may_not_know(registry: str, realm: str) -> None:
    assert not may_know(parse(registry).origin, parse(realm).origin)


def test_a_registry_behind_tls_does_not_lead_out_of_it() -> None:
    secure, plain = parse("https://example.org").origin, parse("http://example.org").origin
    assert is_safe(secure, secure)
    assert is_safe(plain, plain)
    assert is_safe(plain, secure)
    assert not is_safe(secure, plain)
