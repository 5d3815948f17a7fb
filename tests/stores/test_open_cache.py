"""From a URL to a store, and what that costs."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from coopery.cache import Record, StoreAbilities
from coopery.errors import PluginError, UsageError
from coopery.stores import leases_of, open_cache
from coopery.testing import MemoryCache

RECORD = Record("resolution", "key", 1, {"a": 1}, "user@host", 1.5)


@pytest.mark.parametrize(
    ("rest", "path"),
    [("", "home/records.sqlite"), ("{tmp}/x.sqlite", "x.sqlite"), ("//{tmp}/y.sqlite", "y.sqlite")],
)
def test_where_records_are_kept(tmp_path, rest, path):
    url = "sqlite:" + rest.format(tmp=tmp_path)
    open_cache(url, tmp_path / "home").put(RECORD, 0)
    assert (tmp_path / path).is_file()
    assert open_cache(url, tmp_path / "home").get("resolution", "key") == RECORD


@pytest.mark.parametrize("url", ["sqlite:relative/path", "sqlite:?mode=wal", "sqlite:/x?allow_network_fs=yes"])
def test_what_is_no_store_is_refused(tmp_path, url):
    with pytest.raises(UsageError, match=r"expected an absolute path|known is allow_network_fs=true"):
        open_cache(url, tmp_path)


def test_stores_of_plugins_come_by_their_scheme(tmp_path):
    def registered():
        return [MemoryCache]

    assert isinstance(open_cache("memory:", tmp_path, registered=registered), MemoryCache)
    with pytest.raises(PluginError, match="expected one of directory, memory, registry, sqlite"):
        open_cache("redis://host", tmp_path, registered=registered)
    open_cache("sqlite:", tmp_path, registered=lambda: pytest.fail("plugins were loaded for a store of ours"))


def test_leases_are_those_that_are_declared(tmp_path):
    class Plain(MemoryCache):
        abilities = StoreAbilities(leases=False)

    cache = open_cache("sqlite:", tmp_path)
    assert leases_of(cache) is cache
    assert leases_of(Plain()) is None


def test_damage_is_logged_where_nobody_listens(tmp_path, caplog):
    (tmp_path / "records.sqlite").write_bytes(b"garbage" * 100)
    tmp_path.chmod(0o700)
    with caplog.at_level(logging.WARNING, logger="coopery.stores"):
        assert open_cache("sqlite:", tmp_path).get("resolution", "key") is None
    assert "set aside" in caplog.text


def test_opening_a_store_imports_little():
    code = (
        "import sys, pathlib, coopery.stores; assert 'sqlite3' not in sys.modules;"
        "coopery.stores.open_cache('sqlite:', pathlib.Path('/nonexistent')).get('resolution', 'key');"
        "heavy = 'logging urllib.request tempfile random rich click rattler pluggy asyncio ctypes socket subprocess';"
        "print(*sorted(set(heavy.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
