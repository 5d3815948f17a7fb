"""The example plugin in examples/cache_store: it passes the kits on a real PostgreSQL, and holds many builders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from coopery.cache import Record
from coopery.errors import CacheError, UsageError
from coopery.testing import CacheContract, LeasesContract
from many_builders import ManyBuilders
from real_postgresql import RealPostgresql

EXAMPLE = Path(__file__).parents[2] / "examples" / "cache_store"
SECRET = "c4n4ry"  # noqa: S105 - what must not be shown

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture(scope="module")
def server() -> Iterator[RealPostgresql]:
    with tempfile.TemporaryDirectory() as folder:
        made = RealPostgresql(Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture(scope="module")
def store_class() -> Iterator[Any]:
    sys.path.insert(0, str(EXAMPLE))
    from coopery_postgresql.plugin import coopery_register_cache

    yield coopery_register_cache()
    sys.path.remove(str(EXAMPLE))
    for name in [name for name in sys.modules if name.startswith("coopery_postgresql")]:
        del sys.modules[name]


@pytest.fixture
def open_cache(server: RealPostgresql, store_class: Any) -> Iterator[Callable[[], Any]]:
    """Opens the same store anew each time; empty when a test begins."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS coopery_records, coopery_leases")
    opened: list[Any] = []

    def open_it() -> Any:
        opened.append(store_class(server.url()))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


def test_it_passes_the_kits(server: RealPostgresql) -> None:
    """As its author runs them."""
    variables = {**os.environ, "PYTHONPATH": str(EXAMPLE), "COOPERY_TEST_DATABASE": server.url()}
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", EXAMPLE, EXAMPLE / "tests"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, cwd=EXAMPLE)
    assert done.returncode == 0, done.stdout
    kits = [name for kit in (CacheContract, LeasesContract) for name in dir(kit) if name.startswith("test_")]
    assert int(done.stdout.splitlines()[-1].split()[0]) > len(kits)


@pytest.mark.processes
class TestManyOnPostgresql(ManyBuilders):
    @pytest.fixture
    def store(self, open_cache: Callable[[], Any]) -> Any:
        return open_cache()

    @pytest.fixture
    def restart(self, server: RealPostgresql) -> Callable[[], None]:
        """As if it was killed."""

        def restart() -> None:
            server.stop()
            server.start()

        return restart


def record(name: str = "key", generation: int = 1) -> Record:
    return Record("resolution", name, generation, {"x": 1}, "user@host", 1.5)


def test_a_server_that_comes_back_is_asked_again(server: RealPostgresql, open_cache: Callable[[], Any]) -> None:
    store = open_cache()
    store.put(record(), 0)
    server.stop()
    back = threading.Timer(0.5, server.start)
    back.start()
    assert store.get("resolution", "key") == record()
    back.join()


def test_a_server_that_is_away_is_a_cache_error(
    tmp_path: Path, store_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    store = store_class(f"postgresql://me:{SECRET}@/db?host={tmp_path}")
    with pytest.raises(CacheError) as caught:
        store.get("resolution", "key")
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


def test_what_is_no_url_is_refused_without_being_shown(tmp_path: Path, store_class: Any) -> None:
    with pytest.raises(UsageError) as caught:
        store_class.from_url(f"postgresql://me:{SECRET}@h/db?nosuch=1", tmp_path, print)
    assert SECRET not in f"{caught.value}"


def test_what_the_database_cannot_hold_is_a_cache_error(open_cache: Callable[[], Any]) -> None:
    store = open_cache()
    for name in ("a\0b", "\ud800"):
        with pytest.raises(CacheError):
            store.put(record(name), 0)
    assert list(store.list("resolution")) == []


def test_it_is_as_short_as_the_docs_say() -> None:
    lines = [path.read_text(encoding="utf-8").count("\n") for path in (EXAMPLE / "coopery_postgresql").glob("*.py")]
    assert sum(lines) < 150


@pytest.mark.slow
def test_installed_it_is_found_by_its_scheme(
    tmp_path: Path, server: RealPostgresql, open_cache: Callable[[], Any]
) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site]
    subprocess.run([*pip, source], check=True, capture_output=True)
    definition = tmp_path / "environment.yaml"
    (tmp_path / "hello.txt").write_text("hello\n")
    definition.write_text("base: scratch\nsteps:\n  - {copy: hello.txt, to: /}\n")
    ids = []
    for home in ("one", "other"):
        variables = {**os.environ, "PYTHONPATH": str(site), "COOPERY_HOME": str(tmp_path / home)}
        variables["COOPERY_CACHE"] = server.url()
        command = [sys.executable, "-m", "coopery", "build", definition, "--output", "json"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ids.append(json.loads(done.stdout)["images"][0]["id"])
    assert ids[0] == ids[1]
    (found,) = open_cache().list("resolution")
    assert found.body["image"] == ids[0]
