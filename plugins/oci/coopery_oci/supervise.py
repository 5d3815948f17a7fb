"""Coopery's side of a run: starts `coopery_oci.inside`, hands on signals, brings back the status.

The program shares this process's terminal and process group, so that what the terminal sends (Ctrl-C, Ctrl-Z, a
hang-up) reaches it without us; only what others send to this process is handed on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from attrs import frozen

import coopery_oci
from coopery.foreground import HANDED_ON, held, was_sent
from coopery_oci.ways import Way

_START_SECONDS: Final = 30.0
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from coopery_oci.inside.__main__ import main; "
    "main(*map(int, sys.argv[2:]))"
)


class Refused(Exception):  # noqa: N818 - says what happened: this machine does not allow this way
    """This way cannot be gone here; nothing was started."""


@frozen
class Ended:
    """How it ended: the exit status, or the errno that kept the program from starting."""

    status: int = 0
    exec_error: int | None = None


def attempt(way: Way, spec: Mapping[str, Any], started: Callable[[], None]) -> Ended:
    """Run the program of *spec* by *way*.

    Args:
        way: how.
        spec: what `coopery_oci.inside` is told.
        started: called once, just before the program starts.

    Raises:
        Refused: this machine does not allow it, with the reason.
    """
    with held() as (blocked, _), _launched(way, spec) as (launched, link, noise):
        _shake_hands(way, spec, launched, link, noise)
        answer = _follow(launched, link, blocked, started)
    if "refused" in answer:
        raise Refused(answer["refused"])
    return Ended(status=answer.get("status", 128 + signal.SIGKILL), exec_error=answer.get("exec"))


@contextlib.contextmanager
def _launched(way: Way, spec: Mapping[str, Any]) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket, BinaryIO]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    specification, stderr = _memory(json.dumps(spec).encode()), os.dup(2)
    inherited = (theirs.fileno(), specification, stderr)
    argv = [*way.launcher, sys.executable, "-I", "-S", "-c", _BOOT, _package_folder(), *map(str, inherited)]
    with ours, tempfile.TemporaryFile() as noise:
        try:
            launched = subprocess.Popen(argv, pass_fds=inherited, stderr=noise, cwd="/", env=_plain_environment())
        except OSError as exc:
            raise Refused(str(exc)) from exc
        finally:
            theirs.close()
            os.close(specification)
            os.close(stderr)
        try:
            yield launched, ours, noise
        finally:
            ours.close()  # the other side sees it and ends everything
            _wait(launched)


def _wait(launched: subprocess.Popen[bytes]) -> None:
    try:
        launched.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:  # stuck in the kernel: process 1 goes, and all of its namespace with it
        launched.kill()
        launched.wait()


def _shake_hands(
    way: Way, spec: Mapping[str, Any], launched: subprocess.Popen[bytes], link: socket.socket, noise: BinaryIO
) -> None:
    link.settimeout(_START_SECONDS)
    try:
        if link.recv(16) != b"ready":
            launched.wait()
            noise.seek(0)
            raise Refused(noise.read(2000).decode(errors="replace").strip() or f"{way.name}: nothing was started")
        if way.user_namespace:
            _map_ids(launched.pid, spec["uid"], spec["gid"])
        link.send(b"go")
    except OSError as exc:
        raise Refused(f"{way.name}: {exc}") from exc


def _map_ids(pid: int, uid: int, gid: int) -> None:
    """Say who is who in the namespace of process *pid*.

    Root maps every id that it has to itself. Anybody else may map one id only: it becomes the one that the image
    asks for, so that every file of the image belongs to it. Source: user_namespaces(7).
    """
    process = Path("/proc") / str(pid)
    if os.geteuid() == 0:
        for name in ("uid_map", "gid_map"):
            ranges = [line.split() for line in Path("/proc/self", name).read_text(encoding="ascii").splitlines()]
            (process / name).write_text("".join(f"{first} {first} {count}\n" for first, _, count in ranges))
        return
    (process / "setgroups").write_text("deny")
    (process / "uid_map").write_text(f"{uid} {os.geteuid()} 1")
    (process / "gid_map").write_text(f"{gid} {os.getegid()} 1")


def _follow(
    launched: subprocess.Popen[bytes],
    link: socket.socket,
    blocked: frozenset[signal.Signals],
    started: Callable[[], None],
) -> dict[str, Any]:
    """Pass signals on until the other side has said all; returns the last thing that it said."""
    link.setblocking(False)
    running = False
    while True:
        if not running:
            select.select([link], [], [], 0.02)
        caught = signal.sigtimedwait(blocked, 0.1 if running else 0)
        gone = launched.poll() is not None
        if caught is not None and caught.si_signo in HANDED_ON:
            if not running:
                return {"status": 128 + caught.si_signo}
            _pass_on(caught, link)
        while (message := _receive(link)) is not None:
            if "built" not in message:
                return message
            running = True
            started()
            with contextlib.suppress(OSError):  # it has just been ended by somebody else
                link.send(b"go")
        if gone:
            return {}


def _pass_on(caught: signal.struct_siginfo, link: socket.socket) -> None:
    if was_sent(caught):
        with contextlib.suppress(OSError):  # it has just ended
            link.send(str(int(caught.si_signo)).encode())


def _receive(link: socket.socket) -> dict[str, Any] | None:
    try:
        message = link.recv(1 << 16)
    except OSError:
        return None
    answer: dict[str, Any] | None = json.loads(message) if message else None
    return answer


def _memory(content: bytes) -> int:
    """A descriptor with *content*, on no disk: the environment of a run may hold secrets."""
    descriptor = os.memfd_create("coopery-run")
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _package_folder() -> str:
    return str(Path(coopery_oci.__file__).parent.parent)


def _plain_environment() -> dict[str, str]:
    """What ``unshare`` and ``cp`` need; the program gets its own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
