"""Process 1 of a run. Started with three descriptors: a socket to Coopery, the specification, the real stderr.

Protocol, one message a packet: → ``ready``; ← ``go``; then → a JSON object, ``{"refused": …}`` (nothing was started;
another way is to be tried) or ``{"built": true}``; ← ``go``; then → ``{"exec": errno}`` or, when the program has ended,
``{"status": n}``. Meanwhile ← signal numbers, in decimal. When the socket closes Coopery is gone, and all is ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import Any

from coopery_oci.inside import program, syscalls, tree


def main(socket_fd: int, spec_fd: int, stderr_fd: int) -> None:
    """Run one program; see the module."""
    wakeup = _watch_children()
    with socket.socket(fileno=socket_fd) as link:
        link.send(b"ready")
        if link.recv(16) != b"go":
            return
        with os.fdopen(spec_fd, "rb") as stream:
            spec = json.loads(stream.read())
        mounted = spec["isolated"]
        try:
            answer = _run(spec, link, wakeup, stderr_fd)
        finally:
            program.end_all()
            tree.remove(spec["scratch"], mounted=mounted)
        _send(link, answer)


def _run(spec: dict[str, Any], link: socket.socket, wakeup: int, stderr_fd: int) -> dict[str, Any]:
    try:
        if os.getpid() != 1:
            syscalls.adopt_orphans()
        tree.build(spec)
        _send(link, {"built": True})
        message = link.recv(16)
        if message != b"go":
            return {"status": 128 + int(message or signal.SIGKILL)}
        os.dup2(stderr_fd, 2)
        os.close(stderr_fd)
        child = program.start(spec)
    except program.ExecFailed as exc:
        return {"exec": exc.number}
    except OSError as exc:
        return {"refused": str(exc)}
    return {"status": _wait(child, link, wakeup)}


def _wait(child: int, link: socket.socket, wakeup: int) -> int:
    """Pass signals on until the program ends; returns its status, 128 + n for signal n."""
    while True:
        ready = select.select([link.fileno(), wakeup], [], [])[0]
        if link.fileno() in ready:
            message = link.recv(16)
            os.kill(child, int(message) if message else signal.SIGKILL)
            if not message:
                return 128 + signal.SIGKILL
        if wakeup in ready:
            os.read(wakeup, 4096)
            status = _reap(child)
            if status is not None:
                return status


def _reap(child: int) -> int | None:
    """Collect everything that has ended; the program's status once it is among them."""
    status = None
    while True:
        try:
            ended, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if ended == 0:
            return status
        if ended == child:
            code = os.waitstatus_to_exitcode(raw)
            status = code if code >= 0 else 128 - code


def _watch_children() -> int:
    """A descriptor that is readable after a child ended. All that a terminal sends is left to the program."""
    receiving, sending = os.pipe()
    for descriptor in (receiving, sending):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # Coopery starts us with signals blocked, so that none is lost
    return receiving


def _send(link: socket.socket, answer: dict[str, Any]) -> None:
    try:
        link.send(json.dumps(answer).encode())
    except OSError:  # Coopery is gone: nobody is left to tell, and all is cleaned up
        sys.exit(1)
