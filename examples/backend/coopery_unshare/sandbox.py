"""One process in namespaces of its own, on an overlay over an unpacked image. Nothing outlives it.

It is no wall against hostile steps: the process is the machine's root. A real engine takes that right away.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from attrs import asdict, frozen

from coopery.cancel import Cancel
from coopery.snapshots.users import Account

_CHUNK: Final = 1 << 16
_POINTS: Final = ("dev", "proc", "tmp")
_LAUNCHER: Final = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
"""Whoever dies first, we or unshare, takes the process and all that it started along."""


class TookTooLong(Exception):  # noqa: N818 - says what happened; callers turn it into their own error
    """It was ended after the time that it had."""


@frozen
class Spec:
    """One process. ``mounts``: host path, absolute path in the image, writable."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    workdir: str
    account: Account
    mounts: tuple[tuple[str, str, bool], ...] = ()
    network: bool = True


def execute(folder: Path, spec: Spec, feed: Callable[[bytes], None], seconds: float, cancel: Cancel) -> int:
    """Run *spec* in *folder* (see `coopery_unshare.scratch`), its output to *feed*; returns its exit status.

    Raises:
        TookTooLong: it did not end within *seconds* (0: it may take any time).
        Cancelled: nobody waits for the build any more.
    """
    process = _start(folder, spec, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with cancel.calling(process.kill):
            if process.stdout is not None:
                _read(process.stdout, feed, seconds)
            status = process.wait()
        cancel.check()
        return status
    finally:
        _end(process)


def attach(folder: Path, spec: Spec) -> int:
    """Run *spec* in *folder* with this process's streams; returns its exit status."""
    process = _start(folder, spec)
    try:
        return process.wait()
    finally:
        _end(process)


def _start(folder: Path, spec: Spec, **streams: Any) -> subprocess.Popen[bytes]:
    """The spec goes by a file: what is in an argument vector, everybody on the machine can read."""
    for name in (*_POINTS, *(inside.strip("/") for _, inside, _ in spec.mounts)):
        _make_point(folder, Path(name))
    path = folder / "spec.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(spec)), encoding="utf-8", errors="surrogateescape")
    network = () if spec.network else ("--net",)
    command = (*_LAUNCHER, *network, sys.executable, "-I", Path(__file__).with_name("inside.py"), folder)
    return subprocess.Popen(command, env={"PATH": os.environ.get("PATH", os.defpath)}, **streams)


def _make_point(folder: Path, name: Path) -> None:
    """A mount point in a layer of its own, so that it is no change of the step's; like the image's folder if any.

    It hides a symlink of the image under that name, so that nothing is mounted where that would lead.
    """
    for path in (*reversed(name.parents[:-1]), name):
        made, there = folder / "points" / path, folder / "image" / path
        if not made.exists():
            made.mkdir(mode=0o755)
            if there.is_dir() and not there.is_symlink():
                shutil.copystat(there, made)
                os.chown(made, there.stat().st_uid, there.stat().st_gid)


def _read(stream: IO[bytes], feed: Callable[[bytes], None], seconds: float) -> None:
    deadline = time.monotonic() + seconds if seconds else None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([stream], [], [], left)[0]:
            raise TookTooLong(f"it did not end within {seconds:g} s")
        if not (data := os.read(stream.fileno(), _CHUNK)):
            return
        feed(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever happened, nothing of it runs on: the kernel ends what is left in its process namespace."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
