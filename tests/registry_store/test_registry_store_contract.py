"""The kit: on a registry in this process, and on real ones."""

from __future__ import annotations

from typing import ClassVar

import pytest
from store_opener import Opener

from coopery.errors import CacheError
from coopery.stores.namespace import Namespace
from coopery.testing import CacheContract
from coopery.testing.cache_contract import record


@pytest.mark.slow
class TestFakeRegistry(CacheContract):
    @pytest.fixture
    def open_cache(self, open_fake):
        return open_fake


@pytest.mark.slow
class TestPagedRegistry(CacheContract):
    """One that gives tags in order, two at a time, and has the API for referrers."""

    @pytest.fixture
    def open_cache(self, open_fake, fake):
        fake.page, fake.referrers_api = 2, True
        return open_fake


@pytest.mark.slow
class TestNamespace(CacheContract):
    @pytest.fixture
    def open_cache(self, open_fake):
        return lambda: Namespace(open_fake(), "team")


class TestRealRegistry(CacheContract):
    pytestmark: ClassVar = [pytest.mark.needs("registry"), pytest.mark.processes]

    @pytest.fixture
    def open_cache(self, open_real):
        return open_real


@pytest.mark.needs("registry")
@pytest.mark.processes
def test_a_registry_that_asks_for_a_password(open_closed):
    """Docker's and Podman's logins are used; without one the error says how to log in."""
    store = open_closed()
    assert store.put(record(), 0) == record()
    assert [found.name for found in open_closed().list("resolution", "k")] == ["key"]
    assert store.delete("resolution", "key")


@pytest.mark.needs("registry")
@pytest.mark.processes
def test_a_registry_that_gets_no_password(real_closed, tmp_path):
    store = Opener(real_closed.host, tmp_path)()
    for ask in (lambda: store.get("resolution", "key"), lambda: store.put(record(), 0)):
        with pytest.raises(CacheError, match="log in: docker login"):
            ask()
    store.close()
