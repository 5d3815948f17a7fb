"""Starting an engine's program: to its end, or until it takes too long. Exits become our errors, here and only here."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from coopery.errors import BackendError

Argv = tuple[str, ...]

_TAIL: Final = 2000
_CHUNK: Final = 1 << 20
_FULL: Final = "no space left on device"
_PACKAGES: Final = {"buildah": "buildah", "podman": "podman", "unshare": "util-linux", "setpriv": "util-linux"}


def call(
    argv: Argv,
    backend: str,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float,
) -> str:
    """Run *argv* in a session of its own and return what it printed, without the last newline.

    Raises:
        BackendError: see `failure`, `absent`; or it took longer than *seconds* and was ended, with all its children.
    """
    with started(argv, backend, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as exc:
            raise BackendError(
                backend,
                f"{_words(argv)} did not end within {seconds:g} s, and was ended",
                remedy="see whether another process holds a lock on its storage",
            ) from exc
        finally:
            end(process)
    if process.returncode:
        raise failure(argv, backend, process.returncode, err.decode("utf-8", "replace"))
    return out.decode("utf-8", "replace").removesuffix("\n")


def stream(argv: Argv, backend: str, sink: Callable[[bytes], object], allowed: Collection[int] = ()) -> int:
    """Run *argv* to its end and hand its standard output to *sink*, piece by piece.

    Returns:
        Its exit status: 0, or one of *allowed*.

    Raises:
        BackendError: as `call`; what *sink* raises.
    """
    with tempfile.TemporaryFile() as said:
        process = started(argv, backend, stdout=subprocess.PIPE, stderr=said.fileno())
        try:
            assert process.stdout is not None  # noqa: S101 - we asked for a pipe
            with process.stdout:
                while data := process.stdout.read(_CHUNK):
                    sink(data)
            process.wait()
        finally:
            end(process)
        if process.returncode and process.returncode not in allowed:
            said.seek(0)
            raise failure(argv, backend, process.returncode, said.read(_TAIL).decode("utf-8", "replace"))
        return process.returncode


def started(
    argv: Argv,
    backend: str,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """*argv*, started with no input, in a session of its own, so that `end` reaches all of it.

    Raises:
        BackendError: it is not installed, or may not be started.
    """
    environ = {**os.environ, **(env or {})}
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd, env=environ, start_new_session=True
        )
    except OSError as exc:
        raise absent(argv[0], backend, exc) from exc


def end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and its session, unless it has ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def absent(program: str, backend: str, exc: OSError) -> BackendError:
    """The error for a *program* that could not be started."""
    if isinstance(exc, FileNotFoundError):
        package = _PACKAGES.get(os.path.basename(program), program)
        return BackendError(backend, f"{program} is not installed", remedy=f"on Debian: apt-get install {package}")
    return BackendError(backend, f"{program} cannot be started: {exc.strerror}")


def failure(argv: Argv, backend: str, status: int, said: str) -> BackendError:
    """The error for *argv* that ended with *status* and *said* something."""
    tail = said.strip()[-_TAIL:] or "it said nothing"
    how = f"signal {-status} ended it" if status < 0 else f"exit status {status}"
    remedy = (
        "make room where the engine keeps its images: podman system df, podman image prune" if _FULL in said else ""
    )
    return BackendError(backend, f"{_words(argv)}: {how}\n{tail}", remedy=remedy)


def _words(argv: Argv) -> str:
    """The program and its command, without what may be long or private."""
    words = iter(argv)
    program = os.path.basename(next(words))
    for word in words:
        if word in ("--root", "--runroot", "--storage-driver", "--runtime"):
            next(words, None)
        elif not word.startswith("-"):
            return f"{program} {word}"
    return program
