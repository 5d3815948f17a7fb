"""``pytest --coopery-store=URL``: what it runs, says and finds out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coopery.cache import Cache, Record
from coopery.errors import CacheError
from coopery.stores.directory import DirectoryCache
from coopery.stores.sqlite import SqliteCache
from coopery.testing import StorePromises
from coopery.testing.scene import Scene

pytestmark = [pytest.mark.processes, pytest.mark.slow]
PROMISES = ("test_01", "test_05", "test_06", "test_07", "test_09", "test_14_19", "test_15", "test_16", "test_35")


def run(folder: Path, *options: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *options]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_directory_with_its_files(tmp_path):
    """All promises, damage included; and what the store declares, and what of it was exercised."""
    code, text = run(tmp_path, f"--coopery-store=directory:{tmp_path}/s", f"--coopery-store-files={tmp_path}/s")
    assert code == 0, text[-3000:]
    assert all(f"::{promise}" in text for promise in PROMISES)
    assert "skipped" not in text.splitlines()[-1]
    table = text.partition("abilities of the store")[2]
    for ability in ("compare_and_set", "history", "leases", "list", "writable"):
        assert f"{ability:<18}declared      exercised" in table
    assert "attachments       not declared" in table


def test_without_the_option_nothing_is_run_or_said(tmp_path):
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    code, text = run(tmp_path)
    assert code == 0
    assert "1 passed" in text
    assert "abilities" not in text


def test_files_that_are_named_are_what_is_run(tmp_path):
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    code, text = run(tmp_path, "--coopery-store=sqlite:", "test_own.py")
    assert code == 0
    assert "1 passed" in text


def test_a_store_that_is_not_there_fails(tmp_path):
    code, text = run(tmp_path, "--coopery-store=nosuch:", "-x")
    assert code == 1
    assert "no cache store knows 'nosuch:'" in text


# --- broken stores are found out --------------------------------------------------------------------


class LoserKeepsItsOwn(DirectoryCache):
    """Tells every writer that it was first."""

    def put(self, record: Record, expected: int) -> Record:
        super().put(record, expected)
        return record


class Forgetful(DirectoryCache):
    """Stores nothing."""

    def put(self, record: Record, expected: int) -> Record:  # noqa: ARG002 - the protocol's
        return record


class OneNamespace(DirectoryCache):
    """Folds what a namespace keeps apart."""

    def get(self, kind, name, generation=None):
        return super().get(kind, name.rpartition(".")[2], generation)

    def put(self, record: Record, expected: int) -> Record:
        from attrs import evolve

        kept = super().put(evolve(record, name=record.name.rpartition(".")[2]), expected)
        return evolve(kept, name=record.name)


class Believing(SqliteCache):
    """Gives what it reads another writer, as if a bit had flipped."""

    def get(self, kind, name, generation=None):
        from attrs import evolve

        found = super().get(kind, name, generation)
        return found and evolve(found, writer="flipped")


class Flickering(DirectoryCache):
    """Is sometimes without what it has."""

    asked = 0

    def get(self, kind, name, generation=None):
        type(self).asked += 1
        return None if self.asked % 7 == 0 else super().get(kind, name, generation)


def fails(name: str, store: type[DirectoryCache | SqliteCache], folder: Path) -> bool:
    folder.mkdir(exist_ok=True)

    def open_it() -> Cache:
        return store(folder / "s")

    kit = StorePromises()
    scene = Scene(folder, open_it())
    arguments = {
        "test_01_without_leases_readers_converge": (folder, open_it),
        "test_14_19_nothing_damaged_is_believed": (open_it, iter([None])),
        "test_06_a_killed_builder_is_replaced": (scene,),
        "test_09_killed_at_random": (scene,),
    }.get(name, (open_it,))
    try:
        getattr(kit, name)(*arguments)
    except (AssertionError, CacheError, pytest.fail.Exception):
        return True
    finally:
        scene.end()
    return False


@pytest.mark.parametrize(
    ("store", "name"),
    [
        (LoserKeepsItsOwn, "test_01_without_leases_readers_converge"),
        (Forgetful, "test_01_without_leases_readers_converge"),
        (Forgetful, "test_09_killed_at_random"),
        (Forgetful, "test_15_who_only_reads_gets_hits"),
        (Believing, "test_14_19_nothing_damaged_is_believed"),
        (Flickering, "test_16_what_is_kept_is_never_missing"),
        (OneNamespace, "test_35_tenants_do_not_meet"),
    ],
)
def test_a_broken_store_is_found_out(store, name, tmp_path):
    assert fails(name, store, tmp_path / "broken"), f"{name} passes on {store.__name__}"
    whole = SqliteCache if store is Believing else DirectoryCache
    assert not fails(name, whole, tmp_path / "whole")
