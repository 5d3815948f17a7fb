"""Work on files that belong to this user's subordinate ids: in a user namespace where each has its owner of the image.

What a step writes as user 33 belongs, outside, to an id that we may neither read nor delete. A child enters a user
namespace, is given the same ids there as Apptainer's ``--fakeroot`` gives, and does one of the verbs of
`coopery_singularity.inside`. Source: user_namespaces(7), newuidmap(1), subuid(5).
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

from coopery.errors import BackendError
from coopery_singularity.apptainer import NAME

_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from coopery_singularity import inside; inside.main()"
)
_WAIT: Final = 'echo ready; read -r _ && exec "$@"'
_ENOUGH: Final = 65536
_TAIL: Final = 1000


@contextmanager
def child(verb: Literal["changes", "remove"], folder: Path) -> Iterator[IO[bytes]]:
    """The output of *verb* on *folder*, done with the owners of an image. Root needs no namespace.

    Raises:
        BackendError: this user has no subordinate ids, or the kernel allows no namespace; or the verb failed.
    """
    paths = json.dumps([path for path in sys.path if path])
    argv = [sys.executable, "-I", "-S", "-c", _BOOT, paths, verb, str(folder)]
    if os.geteuid() != 0:
        argv = [_tool("unshare"), "--user", "--", "/bin/sh", "-c", _WAIT, "wait", *argv]
    with tempfile.TemporaryFile() as noise, _started(argv, noise) as process:
        assert process.stdin is not None  # noqa: S101 - all three were asked for
        assert process.stdout is not None  # noqa: S101 - as above
        try:
            if os.geteuid() != 0:
                _map(process)
            process.stdin.close()
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        if process.wait():
            noise.seek(max(0, noise.seek(0, os.SEEK_END) - _TAIL))
            raise BackendError(NAME, f"{verb} of {folder} failed: {noise.read().decode('utf-8', 'replace').strip()}")


def why_not() -> str:
    """Why this user cannot be root of a namespace with many ids; empty where it can, as far as files tell."""
    if os.geteuid() == 0:
        return ""
    missing = [name for name in ("newuidmap", "newgidmap") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} are not on PATH (package uidmap)"
    if not _range("/etc/subuid", _user(), os.geteuid()) or not _range("/etc/subgid", _user(), os.geteuid()):
        return f"the user {_user()} has no subordinate ids in /etc/subuid and /etc/subgid"
    return ""


def _started(argv: list[str], noise: IO[bytes]) -> subprocess.Popen[bytes]:
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, env=environ, cwd="/", bufsize=0
        )
    except OSError as exc:
        raise BackendError(NAME, f"{argv[0]} cannot be started: {exc.strerror}") from exc


def _map(process: subprocess.Popen[bytes]) -> None:
    """Give the child, which waits, its ids; then let it go on."""
    assert process.stdin is not None  # noqa: S101 - it was asked for
    assert process.stdout is not None  # noqa: S101 - as above
    if os.read(process.stdout.fileno(), 6) != b"ready\n":
        raise BackendError(NAME, "no user namespace can be made", remedy="allow them: sysctl user.max_user_namespaces")
    for tool, file, own in (("newuidmap", "/etc/subuid", os.geteuid()), ("newgidmap", "/etc/subgid", os.getegid())):
        found = _range(file, _user(), os.geteuid())
        if found is None:
            raise BackendError(NAME, why_not(), remedy=remedy())
        words = ["0", str(own), "1", "1", str(found[0]), str(found[1])]
        done = subprocess.run([_tool(tool), str(process.pid), *words], capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise BackendError(NAME, f"{tool} refused: {said}", remedy=remedy())
    process.stdin.write(b"go\n")


def remedy() -> str:
    """What to do where `why_not` says something."""
    return f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_user()}"


def _range(file: str, user: str, number: int) -> tuple[int, int] | None:
    """The first range of *user* that is large enough for an image, else the first."""
    try:
        lines = [line.split(":") for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return None
    mine = [
        (int(start), int(count))
        for owner, start, count in (line for line in lines if len(line) == 3)
        if owner in (user, str(number)) and start.isdecimal() and count.isdecimal()
    ]
    return next((found for found in mine if found[1] >= _ENOUGH), mine[0] if mine else None)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackendError(NAME, f"{name} is not on PATH", remedy="install util-linux and uidmap")
    return found
