"""What a project says of its build, read from archives that strangers made, with nothing unpacked."""

from __future__ import annotations

import gzip
import io
import resource
import tarfile
from pathlib import Path

import pytest

from coopery.errors import PackageError
from coopery_pip import project
from coopery_pip.code import Code
from coopery_pip.project import Project
from pip_build.yard import packed, zipped

SAID = '[build-system]\nrequires = ["hatchling>=1"]\nbuild-backend = "hatchling.build"\nbackend-path = ["tools"]\n'


def code(tmp_path: Path, data: bytes, name: str = "a-1.tar.gz", subdirectory: str = "") -> Code:
    (tmp_path / name).write_bytes(data)
    return Code(tmp_path / name, name, name, "", subdirectory)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_any_compression(tmp_path: Path, mode: str) -> None:
    found = project.read(code(tmp_path, packed("a-1", {"pyproject.toml": SAID, "z": "z" * 99_999}, mode)))
    assert found == Project(("hatchling>=1",), "hatchling.build", ("tools",))


def test_a_zip_a_subdirectory_and_no_top(tmp_path: Path) -> None:
    assert project.read(code(tmp_path, zipped("a", {"pyproject.toml": SAID}), "a.zip")).backend == "hatchling.build"
    deep = packed("a-1", {"pyproject.toml": "[project]\n", "x/y/pyproject.toml": SAID})
    assert project.read(code(tmp_path, deep, subdirectory="x/y")).backend == "hatchling.build"
    assert project.read(code(tmp_path, deep)) == Project()
    flat = packed(".", {"pyproject.toml": SAID, "other/file": ""})
    assert project.read(code(tmp_path, flat)).backend == "hatchling.build"


def test_what_says_nothing_is_built_as_ever(tmp_path: Path) -> None:
    assert project.read(code(tmp_path, packed("a-1", {"setup.py": ""}))) == Project()
    assert Project().requires == ("setuptools>=40.8.0", "wheel")
    text = '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
    assert project.read(code(tmp_path, packed("a-1", {"pyproject.toml": text}))).requires == ("setuptools>=61", "wheel")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[build-system", "pyproject.toml: cannot be read"),
        ("[build-system]\n", "a list of requirements"),
        ("build-system = 3\n", "a list of requirements"),
        ('[build-system]\nrequires = ["a b c"]\n', "is no requirement"),
        ('[build-system]\nrequires = ["a @ https://h/a.whl"]\n', "names a URL"),
        ("[build-system]\nrequires = []\nbuild-backend = 3\n", "expected text"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PackageError, match=message) as caught:
        project.read(code(tmp_path, packed("a-1", {"pyproject.toml": text})))
    assert caught.value.package == "a-1.tar.gz"


@pytest.mark.parametrize(
    "data", [b"no archive", gzip.compress(b"x" * 2000, mtime=0), b"BZh9", b"\xfd7zXZ\0", b"PK\3\4"]
)
@pytest.mark.parametrize("name", ["a-1.tar.gz", "a-1.zip"])
def test_what_is_no_archive(tmp_path: Path, data: bytes, name: str) -> None:
    with pytest.raises(PackageError, match=r"cannot be read|no zip archive"):
        project.read(code(tmp_path, data, name))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_bomb(tmp_path: Path, mode: str) -> None:
    """Zeros without end: given up where it is more than any project is."""
    path = tmp_path / "bomb"
    fast = {"preset": 0} if mode == "xz" else {"compresslevel": 1}
    with tarfile.open(path, f"w:{mode}", **fast) as archive:  # type: ignore[call-overload]  # a mode that there is
        member = tarfile.TarInfo("a-1/zeros")
        member.size = 80 << 20
        archive.addfile(member, _Zeros())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PackageError, match=r"stored bytes became|after decompression"):
        project.read(code(tmp_path, path.read_bytes()))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


class _Zeros(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)
