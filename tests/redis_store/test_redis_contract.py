"""The kits, on a real server."""

from __future__ import annotations

import pytest

from coopery.testing import CacheContract, LeasesContract

pytestmark = pytest.mark.needs("redis")


class TestRedisRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, open_store):
        return open_store


class TestRedisLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self, open_store):
        return open_store
