"""The program itself: started in its root, signalled, waited for, and everything that it left behind ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from typing import Any, NoReturn

from coopery_oci.inside import syscalls


class ExecFailed(Exception):  # noqa: N818 - says what happened; carries the errno to the other side
    """The program could not be started; ``number`` is the errno."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(os.strerror(number))


def start(spec: dict[str, Any]) -> int:
    """Start the program; returns its process id once it really runs.

    Raises:
        ExecFailed: it is not there, or cannot be executed.
        OSError: the root could not be entered.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _become(spec, sending)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        answer = stream.read().decode()
    if not answer:
        return child
    os.waitpid(child, 0)
    kind, number, text = answer.split(" ", 2)
    if kind == "exec":
        raise ExecFailed(int(number))
    raise OSError(int(number), text)


def end_all() -> None:
    """End every process that the program left behind."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    """Children of this process; orphans of the program become that too (`syscalls.adopt_orphans`)."""
    if os.getpid() == 1:  # the /proc in sight is the host's and numbers processes otherwise
        try:
            child, _ = os.waitpid(-1, 0)
        except ChildProcessError:
            return []
        return [child]
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
            return [int(number) for number in stream.read().split()]
    except FileNotFoundError:  # a kernel built without this list: what the program left behind is not known
        return []


def _become(spec: dict[str, Any], sending: int) -> NoReturn:
    """In the child: enter the root, take on the user, and turn into the program. Never returns."""
    kind = "root"
    try:
        _enter(spec)
        syscalls.die_with_parent(signal.SIGKILL)  # now, since a change of user takes it back
        kind = "exec"
        _reset_signals(spec["ignored_signals"])
        _execute(spec["argv"], spec["env"])
    except OSError as exc:
        os.write(sending, f"{kind} {exc.errno or 0} {exc}".encode(errors="replace"))
    finally:
        os._exit(127)


def _enter(spec: dict[str, Any]) -> None:
    root = f"{spec['scratch']}/root"
    if spec["real_root"] and not spec["user_namespace"]:
        syscalls.bound_capabilities()
    if spec["isolated"]:
        syscalls.enter_root(root)
    elif spec["chroot"]:
        os.chroot(root)
    os.chdir(spec["cwd"])
    if spec["real_root"] and spec["chroot"]:
        os.setgroups(spec["groups"])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    syscalls.drop_ambient()
    os.umask(0o022)


def _reset_signals(ignored: list[int]) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):  # some are the C library's own
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """execvp(3) with the image's PATH: the first file that can be executed; EACCES is kept in mind on the way."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, env)  # noqa: S606 - to become the program is what this process is for
    refused = errno.ENOENT
    for folder in env.get("PATH", "").split(":"):
        try:
            os.execve(f"{folder or '.'}/{argv[0]}", argv, env)  # noqa: S606 - as above
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise
            refused = errno.EACCES if exc.errno == errno.EACCES else refused
    raise OSError(refused, os.strerror(refused), argv[0])
