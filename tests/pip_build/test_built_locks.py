"""What was built, in locks and in other tools' files: written, read strictly, compared with what is asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import pytest

from coopery import formats, lockfile
from coopery.definition import Pip
from coopery.digest import of_bytes
from coopery.errors import LockFileError, UsageError
from coopery.exchange import Located
from coopery.formats.writing import Outline
from coopery.lock import Artifact, Built, Lock, moves
from coopery.lockfile import Locked, LockFile
from coopery_pip.installed import direct_url_document
from coopery_pip.machine import Machine
from coopery_pip.satisfied import Question, unmet

COMMIT = "c" * 40
URL = f"git+https://h.example/o/n@{COMMIT}"


def wheel(name: str, source: str = "pypi", built: Built | None = None, sha256: str = "a" * 64) -> Artifact:
    return Artifact("pip", name, "1.0", "", "", f"{name}-1.0-py3-none-any.whl", source, sha256, 5, built)


TOOLS = (wheel("setuptools"),)
FROM_GIT = wheel("fromgit", URL, Built(f"{URL}#subdirectory=a/b", "", TOOLS))
FROM_URL = wheel("archived", "https://h.example/x.zip", Built("https://h.example/x.zip", "b" * 64, TOOLS))
FROM_INDEX = wheel("listed", "pypi", Built("listed-1.0.tar.gz", "d" * 64))
ALL = (FROM_GIT, FROM_URL, FROM_INDEX)


def text_of(*artifacts: Artifact) -> str:
    return LockFile([Locked(Lock("linux/amd64", of_bytes(b"base"), {}, artifacts))]).text


def read(text: str, folder: object) -> Lock:
    path = folder / "x.lock"  # type: ignore[operator]  # a path
    path.write_text(text)
    locked = lockfile.read(path).of("linux/amd64")
    assert locked is not None
    return locked.lock


def test_a_lock_file_reads_back(tmp_path: object) -> None:
    lock = read(text_of(*ALL), tmp_path)
    assert lock.artifacts == tuple(sorted(ALL))
    assert Lock.from_json(lock.to_json()) == lock


def test_what_is_not_built_is_written_as_ever() -> None:
    """Digests of locks, which records and images are found by, are what they were before anything could be built."""
    lock = Lock("linux/amd64", of_bytes(b"base"), {}, [wheel("plain")])
    assert "built" not in lock.canonical().decode()
    assert "built" not in text_of(wheel("plain"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: listed-1.0.tar.gz", 'source: "-x"', "expected a repository"),
        ("source: listed-1.0.tar.gz", 'source: "a b\\u0007"', "expected a repository"),
        ("source: listed-1.0.tar.gz", "source: https://user:word@h/x.zip", "expected a repository"),
        ("source: listed-1.0.tar.gz", "other: 1", "source"),
        (f"hash: sha256:{'d' * 64}", "hash: sha256:d", "64 lower-case"),
        ("tools: []", "tools: 3", "a list of packages"),
        ("tools: []", "tools: []\n          more: 3", "unknown key"),
    ],
)
def test_a_lock_file_is_read_strictly(tmp_path: object, old: str, new: str, message: str) -> None:
    text = text_of(FROM_INDEX)
    assert old in text
    with pytest.raises(LockFileError, match=message):
        read(text.replace(old, new), tmp_path)


def test_tools_are_not_built_themselves(tmp_path: object) -> None:
    nested = wheel("outer", "pypi", Built("outer-1.0.tar.gz", "d" * 64, (FROM_INDEX,)))
    with pytest.raises(LockFileError, match="what packages are built with is not built itself"):
        read(text_of(nested), tmp_path)


def test_what_moved_within_one_version() -> None:
    """A branch that moved, or a build that gave other bytes: the version alone would not tell."""
    base = of_bytes(b"base")
    before, after = (Lock("linux/amd64", base, {}, [one]) for one in (wheel("fromgit", sha256="f" * 64), FROM_GIT))
    assert [str(move) for move in moves(before, after)] == [f"  fromgit 1.0 -> built from {URL}#subdirectory=a/b"]


def located() -> list[Located]:
    return [
        Located(FROM_GIT, URL),
        Located(FROM_URL, "https://h.example/x.zip"),
        Located(FROM_INDEX, "https://files.example/listed-1.0.tar.gz", index="https://h.example/simple"),
    ]


def test_as_a_pylock_file() -> None:
    """PEP 751: what is built from source is a repository, an archive or an sdist."""
    text = formats.write("pylock", Outline("linux/amd64", tuple(located())))
    found = {one["name"]: one for one in tomllib.loads(text.decode())["packages"]}
    vcs = {"type": "git", "url": "https://h.example/o/n", "commit-id": COMMIT, "subdirectory": "a/b"}
    assert found["fromgit"]["vcs"] == vcs
    assert found["archived"]["archive"] == {"url": "https://h.example/x.zip", "hashes": {"sha256": "b" * 64}}
    assert found["listed"]["sdist"]["hashes"] == {"sha256": "d" * 64}
    assert found["listed"]["index"] == "https://h.example/simple"
    assert not any("wheels" in one for one in found.values())


def test_as_requirements() -> None:
    text = formats.write("requirements", Outline("linux/amd64", tuple(located()))).decode()
    assert f"fromgit @ {URL}#subdirectory=a/b\n" in text
    assert f"archived @ https://h.example/x.zip \\\n    --hash=sha256:{'b' * 64}\n" in text
    assert f"listed==1.0 \\\n    --hash=sha256:{'d' * 64}\n" in text


def test_pixi_has_no_room() -> None:
    with pytest.raises(UsageError, match=r"built from source: fromgit 1\.0"):
        formats.write("pixi", Outline("linux/amd64", tuple(located())))


def test_where_it_came_from_is_in_the_image() -> None:
    assert b'"commit_id": "cccc' in direct_url_document(FROM_GIT)
    assert b'"subdirectory": "a/b"' in direct_url_document(FROM_GIT)
    assert b'"sha256=bbbb' in direct_url_document(FROM_URL)
    assert direct_url_document(FROM_INDEX) == b""


def why_not(asked: Pip, *artifacts: Artifact, before: Sequence[str] | None = None) -> list[str]:
    return list(unmet(Question(asked, before, artifacts, Machine("3.12.1", "x86_64", 36))))


def test_what_still_answers() -> None:
    """A name that a URL only looks like is the one that the lock found."""
    assert why_not(Pip((URL,)), FROM_GIT) == []
    assert why_not(Pip((URL,)), FROM_GIT, before=(URL,)) == []
    assert why_not(Pip((f"https://h.example/x.zip#sha256={'b' * 64}",)), FROM_URL) == []
    assert why_not(Pip(("listed",), no_binary=("listed",)), FROM_INDEX) == []


def test_what_answers_no_more() -> None:
    other = URL.replace("ccc", "ddd")
    assert "the lock has none" in why_not(Pip((other,)), FROM_GIT)[0]
    assert "the lock has 1.0 from" in why_not(Pip((f"fromgit @ {other}",)), FROM_GIT)[0]
    assert "the lock has 1.0" in why_not(Pip((f"archived @ https://h.example/x.zip#sha256={'e' * 64}",)), FROM_URL)[0]
    assert "only_binary allows wheels" in why_not(Pip(("listed",), only_binary=(":all:",)), FROM_INDEX)[0]
    assert "no_binary has it built" in why_not(Pip(("plain",), no_binary=("plain",)), wheel("plain"))[0]
