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
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from coopery import Builder, Environment, hookimpl
from coopery.cache import Record
from coopery.errors import CacheError, UsageError
from coopery.events import Event, Warned
from coopery.leases import Outcome
from coopery.plugins import Plugins
from coopery.records import resolution
from coopery.testing import CacheContract, LeasesContract
from many_builders import ManyBuilders
from real_postgresql import RealPostgresql

EXAMPLE = Path(__file__).parents[2] / "examples" / "cache_store"
GRANT = "GRANT SELECT ON coopery_records, coopery_leases TO readers;"
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


@pytest.fixture
def reader(server: RealPostgresql, open_cache: Callable[[], Any]) -> Iterator[str]:
    """URL of a role that may read what ours, CI's, has made, and nothing else."""
    assert list(open_cache().list("resolution")) == []  # the tables are made
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE readers; {GRANT}; CREATE ROLE reader LOGIN IN ROLE readers")
        yield server.url(user="reader")
        connection.execute("DROP ROLE reader; DROP OWNED BY readers; DROP ROLE readers")


def test_who_may_read_alone_reads_and_is_refused_in_words(
    reader: str, open_cache: Callable[[], Any], store_class: Any
) -> None:
    ours = open_cache()
    ours.put(record(), 0)
    lease = ours.acquire("key", "ci", 30.0).lease
    theirs = store_class(reader)
    assert theirs.get("resolution", "key") == record()
    assert list(theirs.list("resolution")) == [record()]
    for call in (
        lambda: theirs.put(record("new"), 0),
        lambda: theirs.put(record(generation=2), 1),
        lambda: theirs.delete("resolution", "key"),
        lambda: theirs.acquire("key", "reader", 30.0),
        lambda: theirs.release(lease, Outcome("done", lease.token)),
    ):
        with pytest.raises(CacheError, match="permission denied for table"):
            call()
    theirs.close()
    assert list(ours.list("resolution")) == [record()]
    assert ours.renew(lease, 30.0)


def test_readers_have_hits_of_ci_and_records_of_their_own(
    reader: str, open_cache: Callable[[], Any], store_class: Any, tmp_path: Path
) -> None:
    @hookimpl
    def coopery_register_cache() -> Any:
        return store_class

    plugins = Plugins([("postgresql", SimpleNamespace(coopery_register_cache=coopery_register_cache))])
    events: list[Event] = []

    def builder(name: str, cache: Any) -> Builder:
        return Builder(home=tmp_path / "homes" / name, cache=cache, plugins=plugins, on_event=events.append)

    def define(name: str) -> Environment:
        (tmp_path / name).write_text(name)
        steps = [{"copy": name, "to": "/data"}]
        return Environment.from_dict({"name": name, "base": "scratch", "steps": steps}, tmp_path)

    with builder("ci", open_cache()) as ci:
        known = ci.build(define("known"))
    apart = f"sqlite: {reader}&readonly=true"
    with builder("reader", apart) as there:
        assert there.build(define("known")).id == known.id
        made = there.build(define("own"))
        assert (made.cached, made.hit) == (True, False)
    with builder("reader", apart) as there:
        assert there.build(define("own")).hit
    assert [one.key for one in keys_in(open_cache())] == [known.key]
    assert not [event for event in events if isinstance(event, Warned)]
    with builder("bold", reader) as bold:
        assert bold.build(define("known")).id == known.id
        assert not bold.build(define("own")).cached
    assert "permission denied" in [event.message for event in events if isinstance(event, Warned)][-1]


def keys_in(store: Any) -> list[Any]:
    return [known for known in map(resolution, store.list("resolution")) if known is not None]


def test_the_guide_says_how_readers_are_let_in() -> None:
    assert GRANT in (EXAMPLE.parents[1] / "docs" / "writing-a-cache-store.md").read_text(encoding="utf-8")


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
