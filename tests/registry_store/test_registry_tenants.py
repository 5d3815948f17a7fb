"""Tenants of one real registry, each with a repository: what keeps them apart is the registry's own tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from store_opener import Opener
from token_server import token_server

from coopery.cache import Record
from coopery.errors import CacheError
from coopery.stores.registry import RegistryCache
from real_registry import real_registry

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]
RIGHTS = {
    "a": {"team-a/": {"pull", "push", "delete"}},
    "b": {"team-b/": {"pull", "push", "delete"}},
    "reader": {"team-a/": {"pull"}},
}


@pytest.fixture
def as_user(tmp_path: Path) -> Iterator[Callable[[str, str], RegistryCache]]:
    """The store in a repository, as the user of that name sees it."""
    opened: list[Opener] = []
    with (
        token_server(tmp_path, RIGHTS) as (realm, certificate),
        real_registry(tmp_path / "registry", tokens=(realm, certificate)) as registry,
    ):

        def open_it(user: str, repository: str) -> RegistryCache:
            auth = base64.b64encode(f"{user}:{user}".encode()).decode()
            (tmp_path / "config.json").write_text(json.dumps({"auths": {urlsplit(realm).netloc: {"auth": auth}}}))
            opener = Opener(registry.host, tmp_path / "home", repository)
            opened.append(opener)
            store = opener()
            with suppress(CacheError):  # whose login it is, is looked up by the first question
                store.get("resolution", "first")
            return store

        yield open_it
        for opener in opened:
            opener.close()


def record(number: int, by: str) -> Record:
    return Record("resolution", f"{number:064x}", 1, {"by": by}, by, 1.5)


def test_no_tenant_reads_or_writes_another_s(as_user):
    """Same keys, two tenants: 0 cross hits; a token of A's opens nothing of B's."""
    one = as_user("a", "team-a/cache")
    for number in range(5):
        one.put(record(number, "a"), 0)
    other = as_user("b", "team-b/cache")
    assert [other.get("resolution", f"{number:064x}") for number in range(5)] == [None] * 5
    assert list(other.list("resolution")) == []
    other.put(record(0, "b"), 0)
    assert one.get("resolution", f"{0:064x}") == record(0, "a")
    intruder = as_user("a", "team-b/cache")
    for act in (
        lambda: intruder.put(record(1, "a"), 0),
        lambda: intruder.get("resolution", f"{0:064x}"),
        lambda: intruder.delete("resolution", f"{0:064x}"),
        lambda: list(intruder.list("resolution")),
    ):
        with pytest.raises(CacheError, match="team-b/cache"):
            act()
    assert [found.body for found in as_user("b", "team-b/cache").list("resolution")] == [{"by": "b"}]


def test_readable_by_all_writable_by_ci(as_user):
    as_user("a", "team-a/cache").put(record(0, "a"), 0)
    reader = as_user("reader", "team-a/cache")
    assert reader.get("resolution", f"{0:064x}") == record(0, "a")
    for act in (lambda: reader.put(record(1, "r"), 0), lambda: reader.delete("resolution", f"{0:064x}")):
        with pytest.raises(CacheError, match="team-a/cache"):
            act()
    assert len(list(as_user("a", "team-a/cache").list("resolution"))) == 1
