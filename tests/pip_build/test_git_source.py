"""Repositories as data: by git over http, with nothing of theirs run and no secret told."""

from __future__ import annotations

import base64
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.errors import PackageError
from coopery.settings import Settings
from coopery_pip import git
from coopery_pip.access import Access
from coopery_pip.code import repository_of
from pip_build.yard import Yard

pytestmark = pytest.mark.processes

Fetch = Callable[..., git.Commit]


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def get(yard: Yard, name: str, reference: str) -> git.Commit:
        url = f"{yard.url}/{name}.git"
        request = git.Request(url, reference, Settings(home=tmp_path), Access((), [url]))
        return git.fetch(request, lambda _url, commit: tmp_path / "kept" / f"{commit}.tar", tmp_path / "staging")

    return get


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {member.name.removeprefix("source/"): member for member in archive}


def test_a_commit_is_a_tar_of_its_files_and_of_the_repository(yard: Yard, fetch: Fetch, tmp_path: Path) -> None:
    first = yard.commit("one", {"a.txt": "first"}, "v1")
    yard.commit("one", {"a.txt": "second", "b/run.sh": "x"}, links={"link": "b/run.sh"})
    found = fetch(yard, "one", first)
    assert (found.commit, found.time) == (first, 1_700_000_000)
    there = members(found.path)
    assert there["a.txt"].size == 5
    assert "b" not in there
    assert ".git/refs/tags/v1" in there
    assert not [name for name in there if name.startswith((".git/hooks", ".git/logs")) or "FETCH_HEAD" in name]
    assert {(one.uid, one.uname, one.mtime) for one in there.values()} == {(0, "", 1_700_000_000)}
    before = len(yard.asked)
    assert fetch(yard, "one", first) == found
    assert len(yard.asked) == before  # a commit that is here is asked of nobody
    assert list((tmp_path / "staging").iterdir()) == []


def test_tags_and_branches_name_commits(yard: Yard, fetch: Fetch) -> None:
    first = yard.commit("one", {"a.txt": "first"}, "v1")
    second = yard.commit("one", {"a.txt": "second"})
    assert fetch(yard, "one", "v1").commit == first
    assert fetch(yard, "one", "main").commit == second
    assert fetch(yard, "one", second[:9]).commit == second
    with pytest.raises(PackageError, match="no such commit, tag or branch"):
        fetch(yard, "one", "v2")
    with pytest.raises(PackageError, match=r"one\.git@--upload-pack=x: the repository has no such"):
        fetch(yard, "one", "--upload-pack=x")
    with pytest.raises(PackageError, match="git fetch failed"):
        fetch(yard, "none", "v2")


def test_nothing_of_a_repository_or_a_user_is_run(
    yard: Yard, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, hooks and helpers of the user's own configuration; a submodule by a program."""
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {ran}\ncat\n")
    program.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").symlink_to(program)
    config = f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {program}\n[credential]\n\thelper = {program}\n"
    config += f'[filter "evil"]\n\tsmudge = {program}\n\trequired = true\n[protocol "ext"]\n\tallow = always\n'
    (tmp_path / ".gitconfig").write_text(config)
    for name, value in (
        ("HOME", tmp_path),
        ("GIT_CONFIG_GLOBAL", tmp_path / ".gitconfig"),
        ("GIT_SSH_COMMAND", program),
    ):
        monkeypatch.setenv(name, str(value))
    commit = yard.commit("one", {"a.txt": "first", ".gitattributes": "*.txt filter=evil\n"})
    assert members(fetch(yard, "one", commit).path)["a.txt"].size == 5
    modules = f'[submodule "x"]\n\tpath = x\n\turl = ext::{program} %S\n'
    yard.write("one", {".gitmodules": modules})
    yard.git("one", "update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    yard.git("one", "add", ".gitmodules")
    yard.git("one", "commit", "--quiet", "-m", "evil")
    yard.publish("one")
    with pytest.raises(PackageError, match=r"git submodule failed: .*transport 'ext' not allowed"):
        fetch(yard, "one", "main")
    assert not ran.exists()


def test_submodules_come_along(yard: Yard, fetch: Fetch) -> None:
    inner = yard.commit("inner", {"deep.txt": "deep"})
    yard.commit("outer", {"a.txt": "first"})
    yard.write("outer", {".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {yard.url}/inner.git\n'})
    yard.git("outer", "update-index", "--add", "--cacheinfo", f"160000,{inner},x")
    yard.git("outer", "add", ".gitmodules")
    yard.git("outer", "commit", "--quiet", "-m", "with")
    yard.publish("outer")
    found = fetch(yard, "outer", "main")
    assert members(found.path)["x/deep.txt"].size == 4


def test_a_login_is_for_its_host_and_told_to_nobody(
    yard: Yard, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither git's command lines nor an error have it."""
    secret = "canary-5f3a"  # noqa: S105 - a made-up one, which is looked for
    lines: list[str] = []
    real = subprocess.run

    def run(argv: list[str], **options: object) -> object:
        lines.append(" ".join(argv))
        return real(argv, **options)  # type: ignore[call-overload]  # passed on

    commit = yard.commit("one", {"a.txt": "first"})
    yard.lock("Basic " + base64.b64encode(f"user:{secret}".encode()).decode())
    with pytest.raises(PackageError, match="git fetch failed") as caught:
        fetch(yard, "one", commit)
    assert "netrc" in caught.value.remedy
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login user password {secret}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setattr(subprocess, "run", run)
    found = fetch(yard, "one", commit)
    assert lines
    for text in (*lines, str(caught.value), found.path.read_bytes().decode("latin-1")):
        assert secret not in text
        assert base64.b64encode(f"user:{secret}".encode()).decode() not in text


def test_a_machine_without_git(yard: Yard, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = yard.commit("one", {"a.txt": "first"})
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    with pytest.raises(PackageError, match="git is not installed") as caught:
        fetch(yard, "one", commit)
    assert "apt install git" in caught.value.remedy


def test_what_a_requirement_says_of_a_repository() -> None:
    assert repository_of("git+ssh://git@h/o/n.git@v1.0") == ("ssh://git@h/o/n.git", "v1.0", "")
    assert repository_of("git+https://h/n@a/b#egg=x&subdirectory=c/d") == ("https://h/n", "a/b", "c/d")
