"""One commit of a repository as a tar, by the `git` program: data only, nothing that a repository says is run.

Hooks, filters (LFS among them), configuration of the user and the machine, transports that start programs, and prompts
are all off. Credentials are those of the settings (netrc, keyring), for the host that the definition names, given to
git by its environment, never by its command line; for ``ssh`` the user's own agent and keys answer.
Source: git(1), git-config(1), "GIT_CONFIG_COUNT"; gitprotocol-capabilities(5).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from coopery import use
from coopery.blobs import disk_error, sync_folder
from coopery.errors import PackageError
from coopery.folders import scratch
from coopery.redact import masked
from coopery.tether import tethered
from coopery.wire.child_env import child_env
from coopery.wire.login import without_user

if TYPE_CHECKING:
    from coopery.settings import Settings
    from coopery_pip.access import Access

FORM: Final = "coopery.git.v1"
"""Raised when the same commit would give another tar."""

TOP: Final = "source"
"""The folder that all of it lies in."""

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED: Final = re.compile(r"[0-9a-f]{7,64}")
_SECONDS: Final = 1800
_CONFIG: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.logAllRefUpdates": "false",  # it would name this machine's user
    "core.autocrlf": "false",
    "credential.helper": "",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "user",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "advice.detachedHead": "false",
}
_KEPT: Final = ("PATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "HTTP_PROXY", "HTTPS_PROXY",
    "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")  # fmt: skip
_SECRETIVE: Final = ("FETCH_HEAD", "ORIG_HEAD", "logs", "hooks")
"""What of a repository's own folder says when and by whom it was fetched, and is no part of a commit."""


@frozen
class Request:
    """What is fetched.

    Attributes:
        url: for git; may name a user, never a password.
        reference: a commit, a tag or a branch, tried in this order.
        settings: proxy and certificates.
        access: credentials.
    """

    url: str
    reference: str
    settings: Settings = field(repr=False)
    access: Access = field(repr=False)

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{masked(without_user(self.url))}@{self.reference}"


@frozen
class Commit:
    """One commit, here: its full name, its time in seconds since 1970, and the tar."""

    commit: str
    time: int
    path: Path


def fetch(request: Request, place: Callable[[str, str], Path], staging: Path) -> Commit:
    """The commit that is asked for; from *place* (a path for a URL and a commit) where it is there.

    The tar has all of the commit's files with the time of the commit, those of its submodules, and the repository
    itself as ``.git``, with tags: many projects ask it for their version.

    Raises:
        PackageError: the repository cannot be had, has no such commit, or git is not installed.
        StoreFull, CacheError: the disk refused.
    """
    if COMMIT.fullmatch(request.reference):
        path = place(request.url, request.reference)
        if use.mark(path, staging):
            return Commit(request.reference, _time(path), path)
    with scratch(staging, "git") as folder:
        git = _Git(request, folder, _environment(request, folder))
        commit = git.get()
        path = place(request.url, commit)
        if not path.is_file():
            _keep(git.tree, git.time, folder / "made.tar", path)
        return Commit(commit, _time(path), path)


class _Git:
    """One repository being fetched."""

    def __init__(self, request: Request, folder: Path, env: dict[str, str]) -> None:
        self._request, self._env = request, env
        self.tree = folder / "tree"
        self.time = 0

    def get(self) -> str:
        """Fetch, find the commit and check it out; its full name."""
        self.tree.mkdir()
        self._git("init", "--quiet", "--template=")
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        self._git("fetch", "--quiet", "--no-tags", "--", self._request.url, *everything)
        commit = self._commit()
        self._git("checkout", "--quiet", "--force", "--detach", commit)
        if (self.tree / ".gitmodules").is_file():
            self._git("submodule", "--quiet", "update", "--init", "--recursive", "--checkout")
        self.time = int(self._git("log", "-1", "--format=%ct", commit))
        for one in self._own_folders():
            for name in _SECRETIVE:
                found = one / name
                shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
        return commit

    def _own_folders(self) -> Iterable[Path]:
        modules = self.tree / ".git" / "modules"
        return [self.tree / ".git", *(head.parent for head in modules.rglob("HEAD") if head.parent.name != "logs")]

    def _commit(self) -> str:
        reference = self._request.reference
        names = [f"refs/tags/{reference}", f"refs/remotes/origin/{reference}"]
        if _ABBREVIATED.fullmatch(reference):
            names.insert(0, reference)
        if COMMIT.fullmatch(reference):
            names = [reference]
        for name in names:
            if found := self._known(name):
                return found
        if COMMIT.fullmatch(reference):  # of no branch and no tag: some servers give it when it is asked for by name
            self._git("fetch", "--quiet", "--no-tags", "--", self._request.url, reference)
            if found := self._known(reference):
                return found
        raise PackageError(self._request.shown, "the repository has no such commit, tag or branch")

    def _known(self, name: str) -> str:
        try:
            found = self._git("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        except PackageError:
            return ""
        return found.splitlines()[-1] if found else ""

    def _git(self, *words: str) -> str:
        program = shutil.which("git", path=self._env.get("PATH"))
        if program is None:
            raise PackageError(self._request.shown, "git is not installed here", remedy="apt install git")
        try:
            done = subprocess.run(
                tethered([program, *words]),
                cwd=self.tree,
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError) as exc:
            raise PackageError(self._request.shown, f"git {words[0]} did not end: {type(exc).__name__}") from exc
        if done.returncode:
            said = masked(done.stderr.decode("utf-8", "replace")).replace(str(self.tree), "").strip()
            raise PackageError(
                self._request.shown, f"git {words[0]} failed: {said or f'status {done.returncode}'}", remedy=_REMEDY
            )
        return done.stdout.decode("utf-8", "replace").strip()


_REMEDY: Final = "see that the URL is right, and that netrc or the keyring has a login for its host if it asks for one"


def _environment(request: Request, folder: Path) -> dict[str, str]:
    settings = child_env(request.settings)
    found = {name: os.environ[name] for name in _KEPT if name in os.environ} | settings
    if "SSL_CERT_FILE" in found:
        found["GIT_SSL_CAINFO"] = found["SSL_CERT_FILE"]
    if proxy := found.get("ALL_PROXY"):
        found.setdefault("all_proxy", proxy)
    config = [*_CONFIG.items(), *_login(request)]
    found |= {
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for at, (name, value) in enumerate(config):
        found |= {f"GIT_CONFIG_KEY_{at}": name, f"GIT_CONFIG_VALUE_{at}": value}
    return found


def _login(request: Request) -> list[tuple[str, str]]:
    """The header that logs in to the host of the repository, and to no other; nor is a redirect followed with it."""
    if not request.url.startswith(("https://", "http://")):
        return []
    authorization = request.access(request.url)
    if authorization is None:
        return []
    scheme, _, rest = without_user(request.url).partition("://")
    origin = f"{scheme}://{rest.partition('/')[0]}/"
    return [(f"http.{origin}.extraHeader", f"Authorization: {authorization}"), ("http.followRedirects", "false")]


def _keep(tree: Path, time: int, made: Path, target: Path) -> None:
    """Write the tar of *tree* and put it in its place, whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(made, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in _walk(tree):
                archive.add(path, f"{TOP}/{path.relative_to(tree)}", recursive=False, filter=_plain(time))
        with made.open("rb") as stream:
            os.fsync(stream.fileno())
        made.replace(target)
        sync_folder(target.parent)
    except OSError as exc:
        raise disk_error(exc) from exc


def _walk(tree: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(tree):
        folders.sort()
        yield from (Path(folder, name) for name in sorted([*folders, *files]))


def _plain(time: int) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    """Without this machine's users, and with one time."""

    def change(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = time
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    return change


def _time(path: Path) -> int:
    """When the commit was made: the time of all that is in its tar."""
    with tarfile.open(path, "r:") as archive:
        first = archive.next()
    return int(first.mtime) if first is not None else 0
