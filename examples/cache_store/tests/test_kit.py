"""The kits of `coopery.testing`, on the database that COOPERY_TEST_DATABASE names. Its tables are dropped."""

import os

import psycopg
import pytest
from coopery_postgresql.store import PostgresqlCache

from coopery.testing import CacheContract, LeasesContract


class TestPostgresql(CacheContract, LeasesContract):
    @pytest.fixture
    def open_cache(self):
        """A function that opens the same store anew each time, empty when a test begins."""
        url, opened = os.environ["COOPERY_TEST_DATABASE"], []
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS coopery_records, coopery_leases")

        def open_it():
            opened.append(PostgresqlCache(url))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()

    @pytest.fixture
    def open_leases(self, open_cache):
        return open_cache
