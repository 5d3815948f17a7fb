"""URLs of Redis servers: what they mean, what is refused, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coopery.errors import UsageError
from coopery.plugins import Plugins
from coopery.stores import open_cache
from coopery_redis.address import parse
from coopery_redis.store import RedisCache, RedisTlsCache

SECRET = "c4n4ry"  # noqa: S105 - what must not be shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"host": "h", "port": 6379, "database": 0, "namespace": "default", "tls": False, "socket": ""}),
        ("redis://h:7000/3?namespace=team", {"host": "h", "port": 7000, "database": 3, "namespace": "team"}),
        ("redis://[::1]:7000/", {"host": "::1", "port": 7000, "database": 0}),
        ("rediss://h/1?ca=/ca.pem&namespace=a", {"tls": True, "ca": "/ca.pem", "database": 1, "namespace": "a"}),
        ("redis:/run/redis.sock", {"host": "", "socket": "/run/redis.sock", "database": 0}),
        ("redis:/run/a%20b.sock?database=2", {"socket": "/run/a b.sock", "database": 2}),
        ("redis://us%40er:p%2Fw@h", {"user": "us@er", "password": "p/w", "host": "h"}),
        ("redis://:pw@h", {"user": "", "password": "pw", "host": "h"}),
    ],
)
def test_what_a_url_means(url, expected):
    address = parse(url)
    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis:", "expected a host"),
        ("redis:relative.sock", "expected a host"),
        ("redis://", "expected a host"),
        ("redis:///0", "expected a host"),
        ("redis://:7000", "expected a host"),
        ("rediss:/run/redis.sock", "expected a host"),
        ("redis://h#x", "expected a host"),
        ("redis://h:port", "no address"),
        ("redis://h:99999", "no address"),
        ("redis://[::1", "no address"),
        ("redis://h?namespace", "no address"),
        ("redis://h/zero", "expected the number of a database, got 'zero'"),
        ("redis://h/1/2", "expected the number of a database, got '1/2'"),
        ("redis://h/-1", "expected the number of a database"),
        ("redis://h/٣", "expected the number of a database"),
        ("redis:/s?database=x", "expected the number of a database, got 'x'"),
        ("redis://h?db=1", "unknown option 'db'; known are namespace"),
        ("redis://h?database=1", "unknown option 'database'"),
        ("redis://h?ca=/x", "unknown option 'ca'"),
        (f"redis://h?password={SECRET}", "unknown option 'password'"),
        ("redis://h?namespace=", "is no name"),
        ("redis://h?namespace=a:b", "is no name"),
        ("redis://h?namespace=a%7D", "is no name"),
        ("redis://h?namespace=" + "a" * 64, "is no name"),
    ],
)
def test_what_is_refused(url, reason):
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=40))
@example("//[")
@example("//h:٣")
@example("/\0")
def test_any_text_is_an_address_or_refused(rest):
    try:
        address = parse(f"redis:{rest}")
    except UsageError:
        return
    assert bool(address.host) != bool(address.socket)


@pytest.mark.parametrize(
    "url",
    [f"redis://user:{SECRET}@h/x", f"redis://user:{SECRET}@h:port", f"redis://:{SECRET}@h?x=1", f"redis://{SECRET}@/"],
)
def test_no_password_is_shown(url, tmp_path):
    with pytest.raises(UsageError) as caught:
        RedisCache.from_url(url, tmp_path, print)
    assert SECRET not in f"{caught.value!r} {caught.value}"
    good = RedisCache.from_url(f"redis://user:{SECRET}@h", tmp_path, print)
    assert SECRET not in f"{good!r} {parse(f'redis://user:{SECRET}@h')!r}"
    assert "redis://***@h" in repr(good)


def test_where_a_password_comes_from(tmp_path: Path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine h login me password of-netrc\n")
    environ = {"NETRC": str(netrc), "REDISCLI_AUTH": "of-the-variable", "HOME": str(tmp_path)}
    assert parse("redis://a:b@h").login(environ) == ("a", "b")
    assert parse("redis://H").login(environ) == ("me", "of-netrc")
    assert parse("redis://me@h").login(environ) == ("me", "of-netrc")
    assert parse("redis://other@h").login(environ) == ("other", "of-the-variable")
    assert parse("redis://elsewhere").login(environ) == ("", "of-the-variable")
    assert parse("redis:/h").login(environ) == ("", "of-the-variable")
    assert parse("redis:/h").login({"HOME": str(tmp_path)}) == ("", "")


def test_both_schemes_are_found_by_their_entry_points(tmp_path):
    caches = Plugins().caches()
    assert caches["redis"] is RedisCache
    assert caches["rediss"] is RedisTlsCache
    opened = open_cache("rediss://h/2?namespace=team", tmp_path, registered=lambda: Plugins().caches().values())
    assert repr(opened) == "RedisTlsCache('rediss://h/2?namespace=team')"


def test_a_store_without_its_plugin_does_not_show_the_password(tmp_path):
    from coopery.errors import PluginError

    with pytest.raises(PluginError) as caught:
        open_cache(f"nosuch://u:{SECRET}@h", tmp_path)
    assert SECRET not in str(caught.value)
