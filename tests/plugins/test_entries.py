"""Entry points are those that Python's own library finds, however the path looks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from coopery.entries import Entry, entries


def by_library(group: str) -> list[Entry]:
    def told(entry: EntryPoint) -> Entry:
        assert entry.dist is not None
        return Entry(entry.name, entry.value, entry.dist.name, entry.dist.version)

    return sorted(map(told, entry_points(group=group)), key=str)


def install(
    folder: Path, name: str, text: str | None, version: str = "1.0", kind: str = "dist-info", metadata: str = "METADATA"
) -> Path:
    """Record a distribution in *folder*, and nothing else of it."""
    recorded = folder / f"{name.replace('-', '_')}-{version}.{kind}"
    recorded.mkdir(parents=True)
    (recorded / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no field\n")
    if text is not None:
        (recorded / "entry_points.txt").write_text(text)
    return recorded


@pytest.mark.parametrize("group", ["coopery", "console_scripts", "pytest11", "nobody.has.this"])
def test_of_everything_that_is_installed_here(group):
    assert sorted(entries(group), key=str) == by_library(group)


def test_ours_are_found():
    assert {"oci", "conda", "pip"} <= {entry.name for entry in entries("coopery")}


def test_as_they_are_written(tmp_path, monkeypatch):
    """Comments, blanks, other sections, values with attributes and extras, names with blanks and dots."""
    text = "# a\n\n[other]\nx = a.b\n[coopery]\n a.b = one.two \n; odd = ;\nthe third=x:y.z [extra]\n[last]\ny=1\n"
    install(tmp_path, "Some-Thing", text)
    install(tmp_path, "egg", "[coopery]\negg = egg.plugin\n", kind="egg-info", metadata="PKG-INFO")
    install(tmp_path, "without", None)
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(entries("coopery"), key=str) == by_library("coopery")
    assert Entry("a.b", "one.two", "Some-Thing", "1.0") in entries("coopery")


def test_the_first_of_two_counts(tmp_path, monkeypatch):
    """Even if it has no entry points any more."""
    install(tmp_path / "b", "twice", "[coopery]\nold = old\n", "1.0")
    install(tmp_path / "b", "gone", "[coopery]\ngone = gone\n", "1.0")
    install(tmp_path / "a", "twice", "[coopery]\nnew = new\n", "2.0")
    install(tmp_path / "a", "gone", None, "2.0")
    for name in "ba":
        monkeypatch.syspath_prepend(tmp_path / name)
    found = entries("coopery")
    assert sorted(found, key=str) == by_library("coopery")
    assert {entry.name for entry in found} & {"old", "new", "gone"} == {"new"}


def test_without_metadata_the_entry_names_itself(tmp_path, monkeypatch):
    (install(tmp_path, "bare", "[coopery]\nbare = bare\n") / "METADATA").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    assert Entry("bare", "bare", "bare", "") in entries("coopery")


def test_what_is_in_an_archive(tmp_path, monkeypatch):
    """On a path with anything but folders, the library is asked."""
    recorded = install(tmp_path, "zipped", "[coopery]\nzipped = zipped.plugin\n")
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in recorded.iterdir():
            file.write(path, path.relative_to(tmp_path))
    shutil.rmtree(recorded)
    monkeypatch.syspath_prepend(archive)
    assert Entry("zipped", "zipped.plugin", "zipped", "1.0") in entries("coopery")


def test_what_somebody_else_finds(tmp_path, monkeypatch):
    from importlib.metadata import Distribution, DistributionFinder, PathDistribution

    recorded = install(tmp_path, "theirs", "[coopery]\ntheirs = theirs.plugin\n")

    class Finder(DistributionFinder):
        def find_spec(self, *_asked):
            return None

        def find_distributions(self, *_asked) -> list[Distribution]:
            return [PathDistribution(recorded)]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert Entry("theirs", "theirs.plugin", "theirs", "1.0") in entries("coopery")


def test_a_path_with_nothing_in_it(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    monkeypatch.setattr(sys, "path", ["", tmp_path / "absent", str(closed), *sys.path])
    monkeypatch.chdir(tmp_path)
    assert sorted(entries("coopery"), key=str) == by_library("coopery")


@pytest.mark.processes
def test_the_library_is_not_imported():
    code = "import coopery.entries, sys; assert coopery.entries.entries('coopery'); assert 'email' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
