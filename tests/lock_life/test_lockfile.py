"""The lock file: one form for one lock, few lines for one change, and no way in for what is not meant."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from ruamel.yaml import YAML

from coopery.digest import of_bytes
from coopery.errors import LockFileError, NotFound, UsageError
from coopery.lock import Artifact, Lock
from coopery.lockfile import FILE_TAG, Locked, LockFile, asked, glance, read, save
from coopery.lockfile.text import parse, write
from soak import rounds

BASE = of_bytes(b"base")


def artifact(name: str, version: str = "1.0", **changes: Any) -> Artifact:
    kind = "conda"
    made = Artifact(kind, name, version, "py_0", "noarch", f"{name}-{version}-py_0.conda", "conda-forge", "ab" * 32, 7)
    return evolve(made, **changes)


def wheel(name: str, version: str = "1.0", source: str = "pypi") -> Artifact:
    return Artifact("pip", name, version, "", "", f"{name}-{version}-py3-none-any.whl", source, "cd" * 32, 9)


def lock(*artifacts: Artifact, platform: str = "linux/amd64") -> Lock:
    return Lock(platform, BASE, {"glibc": "2.36", "linux": "5.10"}, artifacts)


ASKED = {"base": {"scratch": True}, "conda": {"channels": ["conda-forge"], "dependencies": ["numpy=1.26", "1.0"]}}


def file_of(*artifacts: Artifact) -> LockFile:
    return LockFile([Locked(lock(*artifacts), ASKED)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "environment.lock"


# --- the form ----------------------------------------------------------------------------------------------------


def test_the_whole_form(path: Path) -> None:
    save(path, file_of(artifact("numpy", "1.26.4"), wheel("wandb", "0.18")))
    body = path.read_text().split("\n\n", 1)[1]
    assert body == (
        "linux/amd64:\n"
        "  asked:\n"
        "    base:\n"
        "      scratch: true\n"
        "    conda:\n"
        "      channels:\n"
        "        - conda-forge\n"
        "      dependencies:\n"
        "        - numpy=1.26\n"
        '        - "1.0"\n'
        f"  base: {BASE}\n"
        "  facts:\n"
        '    glibc: "2.36"\n'
        '    linux: "5.10"\n'
        "  packages:\n"
        "    conda:\n"
        "      - name: numpy\n"
        '        version: "1.26.4"\n'
        "        build: py_0\n"
        "        subdir: noarch\n"
        "        from: conda-forge\n"
        "        file: numpy-1.26.4-py_0.conda\n"
        f"        hash: sha256:{'ab' * 32}\n"
        "        size: 7\n"
        "    pip:\n"
        "      - name: wandb\n"
        '        version: "0.18"\n'
        "        from: pypi\n"
        "        file: wandb-0.18-py3-none-any.whl\n"
        f"        hash: sha256:{'cd' * 32}\n"
        "        size: 9\n"
    )
    assert path.read_text().startswith("# ")
    assert f"lock-file: {FILE_TAG}\n" in path.read_text()


def test_one_package_that_changed_is_a_few_lines_near_its_name() -> None:
    names = [f"package-{letter}" for letter in string.ascii_lowercase]
    before = file_of(*map(artifact, names)).text.splitlines()
    after = file_of(*(artifact(n, "2.0" if n == "package-m" else "1.0") for n in names)).text.splitlines()
    changed = [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    at = before.index("      - name: package-m")
    assert changed == [at + 1, at + 5]


def test_platforms_share_a_file_and_do_not_touch_each_other(path: Path) -> None:
    amd, arm = (Locked(lock(artifact("a"), platform=name), ASKED) for name in ("linux/amd64", "linux/arm64"))
    save(path, LockFile([arm, amd]))
    assert read(path).platforms == ("linux/amd64", "linux/arm64")
    names = [found.name for platform in read(path).platforms if (found := glance(path, platform))]
    save(path, read(path).having(evolve(arm, lock=lock(artifact("a", "2.0"), platform="linux/arm64"))))
    again = [found.name for platform in read(path).platforms if (found := glance(path, platform))]
    assert names[0] == again[0]
    assert names[1] != again[1]
    assert glance(path, "linux/s390x") is None


def test_what_a_glance_names_is_what_a_record_names(path: Path) -> None:
    locked = Locked(lock(artifact("a"), wheel("b")), ASKED)
    save(path, LockFile([locked]))
    found = glance(path, "linux/amd64")
    assert found is not None
    assert found.name == locked.name
    assert found.read() == locked
    path.write_text(path.read_text().replace('"1.0"', '"1.1"', 1))
    with pytest.raises(UsageError, match="changed while"):
        found.read()


def test_any_yaml_reader_sees_the_same(path: Path) -> None:
    save(path, file_of(artifact("y"), artifact("no", "1e3"), artifact("null", "0x10"), wheel("numpy", "2024.1")))
    text = path.read_text()
    assert YAML(typ="safe", pure=True).load(text) == parse(text)


def test_line_ends_of_another_system_are_no_change(path: Path) -> None:
    save(path, file_of(artifact("a")))
    before = glance(path, "linux/amd64")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    after = glance(path, "linux/amd64")
    assert before is not None
    assert after is not None
    assert before.name == after.name
    assert read(path) == file_of(artifact("a"))


def test_no_secret_of_a_definition_is_written() -> None:
    identity = {
        "base": {"scratch": True},
        "pip": {"index_url": "https://me:canary@example.org/simple"},
        "conda": {"channels": ["https://example.org/t/canary/main"]},
        "target": {"platform": "linux/arm64"},
    }
    found = asked(identity)
    assert "canary" not in str(found)
    assert "target" not in found


# --- properties ---------------------------------------------------------------------------------------------------

_words = st.text(alphabet=string.ascii_letters + string.digits + "._+!-=", min_size=1, max_size=12).map(
    lambda text: f"a{text}"
)
_texts = st.text(max_size=20) | st.sampled_from(["", "null", "no", "1.0", "1e5", "a: b", "- x", "#", "~", "{}", "[]"])
_scalars = _texts | st.booleans() | st.integers(0, 2**53)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(_scalars | st.dictionaries(_texts, inner, max_size=3), max_size=4)
        | st.dictionaries(_texts, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(_texts, _values, max_size=4))
@examples(max_examples=rounds(60, 10_000))
def test_what_is_written_reads_back_equal(value: dict[str, Any]) -> None:
    assert parse(write(value)) == value


_artifacts = st.builds(
    Artifact,
    kind=st.sampled_from(["conda", "pip"]),
    name=_words.map(lambda text: text.replace("+", "").replace("!", "").replace("=", "")),
    version=_words,
    build=_words | st.just(""),
    subdir=st.sampled_from(["", "linux-64", "noarch"]),
    file_name=_words,
    source=st.sampled_from(["conda-forge", "./channel", "https://example.org/simple", "pypi"]),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    size=st.integers(0, 2**40),
)


@given(st.lists(_artifacts, max_size=6, unique_by=lambda found: (found.kind, found.name)))
@examples(max_examples=rounds(25, 10_000))
def test_a_lock_file_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, artifacts: list[Artifact]) -> None:
    path = tmp_path_factory.getbasetemp() / "property.lock"
    save(path, file_of(*artifacts))
    assert read(path) == file_of(*artifacts)
    assert read(path).text == path.read_text()


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@examples(max_examples=rounds(60, 10_000))
def test_junk_is_refused_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.lock"
    path.write_bytes(f"lock-file: {FILE_TAG}\nlinux/amd64:\n".encode() + junk)
    with pytest.raises(LockFileError):
        read(path)


# --- mistakes -------------------------------------------------------------------------------------------------------


def edited(path: Path, old: str, new: str) -> list[str]:
    """The mistakes that are told when *old* in a good file has become *new*."""
    save(path, file_of(artifact("numpy", "1.26.4"), wheel("wandb", "0.18")))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LockFileError) as caught:
        read(path)
    assert caught.value.exit_code == 2
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


NUMPY = '$["linux/amd64"].packages.conda[0]'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: numpy\n", "name: ../numpy\n", f"21: {NUMPY}.name: expected a package name"),
        ("file: numpy-1.26.4-py_0.conda", "file: ../../x.conda", f"26: {NUMPY}.file: expected a file name"),
        ("file: numpy-1.26.4-py_0.conda", 'file: ".hidden"', f"26: {NUMPY}.file: expected"),
        ("subdir: noarch", "subdir: a/b", f"24: {NUMPY}.subdir: expected a subdir"),
        ('version: "1.26.4"', "version: 1.26", "22: $: expected a value, found '1.26'"),
        ('version: "1.26.4"', "version: 126", f"22: {NUMPY}.version: expected a version, found 126"),
        (f"hash: sha256:{'ab' * 32}", "hash: sha256:ABAB", f"27: {NUMPY}.hash: expected sha256:"),
        (f"hash: sha256:{'ab' * 32}", f"hash: md5:{'ab' * 16}", f"27: {NUMPY}.hash: expected sha256:"),
        ("size: 7", "size: -7", "28: $: expected a value, found '-7'"),
        ("size: 7", "size: true", f"28: {NUMPY}.size: expected a number of bytes, found true"),
        ("        size: 7\n", "", f"21: {NUMPY}: expected the key size"),
        ("size: 7", "size: 7\n        url: https://x.example/y", f"29: {NUMPY}.url: unknown key 'url'"),
        ("from: pypi", "from: https://u:canary@x.example/simple", "expected a channel or an index, with no user in it"),
        (f"  base: {BASE}\n", "  base: latest\n", "expected a digest, found 'latest'"),
        ("linux/amd64:", "windows/amd64:", "expected a platform, found 'windows/amd64'"),
        ("    pip:\n", "    'pip':\n", "expected `key: value`"),
        ("    pip:\n", "    PIP:\n", "expected a kind of packages, found 'PIP'"),
        ("      - name: wandb", "      - name: wandb\n        name: other", "'name' stands twice, first on line 30"),
        ("  facts:\n", "<<<<<<< mine\n  facts:\n", "this is a merge conflict"),
        ("  facts:\n", "\tfacts:\n", "use spaces, no tabs"),
        ("  facts:\n", "   facts:\n", "two spaces for each level"),
        ("  facts:\n", "    facts:\n", "two spaces for each level"),
        ("  asked:\n", "  asked: x\n  ignored:\n", "expected a mapping"),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, old: str, new: str, told: str) -> None:
    problems = edited(path, old, new)
    assert any(told in problem for problem in problems), problems
    assert all(problem[0].isdigit() for problem in problems), problems
    assert "canary" not in str(problems)


def test_one_name_twice_is_ambiguous(path: Path) -> None:
    path.write_text(file_of(artifact("numpy"), artifact("numpy", "2.0")).text)
    with pytest.raises(LockFileError, match="numpy stands twice, first on line 21"):
        read(path)


def test_one_platform_twice_is_ambiguous(path: Path) -> None:
    text = file_of(artifact("numpy")).text
    path.write_text(text + "\n" + text.split("\n\n")[1])
    for look in (read, lambda found: glance(found, "linux/amd64")):
        with pytest.raises(LockFileError, match="stands twice"):
            look(path)


def test_every_mistake_is_told_at_once(path: Path) -> None:
    bad = file_of(*(artifact(f"p{n}", size=-1) for n in range(3))).text.replace("size: -1", 'size: "x"')
    path.write_text(bad)
    with pytest.raises(LockFileError) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [28, 36, 44]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lock-file: coopery.lock-file.v9\n", "expected a lock file of version coopery.lock-file.v1"),
        ("version: 6\nenvironments: {}\n", "expected a lock file of Coopery"),
        ("", "expected a lock file of Coopery"),
        ('{"tag": "coopery.lock.v1"}', "expected a lock file of Coopery"),
    ],
)
def test_another_format_is_refused_with_what_to_do(path: Path, text: str, told: str) -> None:
    path.write_text(text)
    for look in (read, lambda found: glance(found, "linux/amd64")):
        with pytest.raises(LockFileError, match=told) as caught:
            look(path)
        assert caught.value.problems[0].remedy


def test_what_is_no_file_is_refused(path: Path) -> None:
    with pytest.raises(NotFound, match="there is no lock file"):
        read(path)
    os.mkfifo(path)
    with pytest.raises(LockFileError, match="regular file"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(LockFileError, match="folder"):
        read(path)


@pytest.mark.parametrize(
    "bomb",
    [
        "- a\n" * 500_000,
        "x:\n" + "".join(f"{'  ' * n}a:\n" for n in range(1, 2000)),
        "a: " + "x" * 100_000,
        "x" * 9_000_000,
    ],
    ids=["lines", "depth", "line", "bytes"],
)
def test_bombs_are_bounded(path: Path, bomb: str) -> None:
    path.write_text(f"lock-file: {FILE_TAG}\n{bomb}")
    with pytest.raises(LockFileError):
        read(path)


# --- writing --------------------------------------------------------------------------------------------------------


def test_it_appears_whole_or_not_at_all(path: Path) -> None:
    save(path, file_of(artifact("a")))
    save(path, file_of(artifact("b")))
    assert read(path) == file_of(artifact("b"))
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(UsageError, match="is not there"):
        save(path.parent / "absent" / "a.lock", file_of())
    (path.parent / "folder.lock").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        save(path.parent / "folder.lock", file_of())
    assert {found.name for found in path.parent.iterdir()} == {path.name, "folder.lock"}


@pytest.mark.parametrize("wrong", [{"name": "../x"}, {"file_name": "a/b"}, {"source": "https://u:p@x.example/"}])
def test_what_would_not_read_back_is_not_written(path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(LockFileError):
        save(path, file_of(evolve(artifact("a"), **wrong)))
    assert not path.exists()


@pytest.mark.parametrize("source", ["./my channel", "/srv/kanäle", "https://example.org/simple?x=1", "file:///srv/cf"])
def test_sources_as_definitions_name_them(path: Path, source: str) -> None:
    save(path, file_of(artifact("a", source=source), artifact("org.apache:spark", "3.5")))
    assert read(path).sections[0].lock.artifacts[0].source == source


def test_a_link_to_it_stays_a_link(path: Path) -> None:
    real = path.with_name("real.lock")
    path.symlink_to(real.name)
    save(path, file_of(artifact("a")))
    assert path.is_symlink()
    assert read(real) == file_of(artifact("a"))
