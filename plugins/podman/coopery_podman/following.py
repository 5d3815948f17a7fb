"""One long process of an engine: its output handed on as it comes, ended after its time or with us."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from coopery_podman.calling import Argv, end, started

Feed = Callable[[bytes], None]

_CHUNK: Final = 1 << 16
_TICK: Final = 0.5
_GRACE: Final = 3.0

_ENGINES_OWN: Final = re.compile(rb"(?:Error: (?:while running runtime: )?exit|subprocess exited with) status \d+")


class TookTooLong(Exception):  # noqa: N818 - says what happened; callers turn it into their own error
    """The time was up; the process and all its children were ended."""


def follow(
    argv: Argv,
    backend: str,
    feed: Feed,
    *,
    errors: Feed | None = None,
    seconds: float = 0.0,
    env: Mapping[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Run *argv*, hand what it prints to *feed* as it comes, and return its exit status.

    Both streams are handed on in whole lines, so that neither begins in the middle of one of the other's; the last
    line of each gets a newline where it has none.

    Whatever ends this call, an exception in *feed* or Ctrl-C included, the process is ended first: asked, so that an
    engine can tidy up, then killed.

    Args:
        argv: what to run.
        backend: whose name errors carry.
        feed: takes some bytes.
        errors: takes those of its standard error; *feed* unless given.
        seconds: after which it is ended; 0: never.
        env: variables over this process's.
        check: called several times a second; raises to give up.

    Raises:
        TookTooLong: it did not end within *seconds*.
        BackendError: it could not be started.
    """
    process = started(argv, backend, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101 - we asked for pipes
    assert process.stderr is not None  # noqa: S101 - as above
    streams = {process.stdout.fileno(): _Lines(feed), process.stderr.fileno(): _Lines(errors or feed)}
    try:
        _pump(process, streams, time.monotonic() + seconds if seconds else float("inf"), check)
        for lines in streams.values():
            lines.end()
        return process.wait()
    finally:
        _stop(process)
        process.stdout.close()
        process.stderr.close()


class _Lines:
    """Hands on whole lines of one stream; a line that does not end, in pieces."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Some bytes more."""
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if newline:
            self._feed(whole + newline)
        self._rest = rest
        if len(rest) >= _CHUNK:
            self._feed(rest)
            self._rest = b""

    def end(self) -> None:
        """No more will come."""
        if self._rest:
            self._feed(self._rest + b"\n")
            self._rest = b""


def _pump(
    process: subprocess.Popen[bytes], streams: Mapping[int, _Lines], deadline: float, check: Callable[[], None]
) -> None:
    """Until the output ends, or the process has ended and a child that outlives it prints nothing."""
    with selectors.DefaultSelector() as selector:
        for handle in streams:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            check()
            left = deadline - time.monotonic()
            if left <= 0:
                raise TookTooLong
            ready = selector.select(min(_TICK, left))
            if not ready and process.poll() is not None:
                return
            for key, _ in ready:
                if data := os.read(key.fd, _CHUNK):
                    streams[key.fd].take(data)
                else:
                    selector.unregister(key.fd)
    while process.poll() is None:  # it closed its output, and still runs
        check()
        if time.monotonic() >= deadline:
            raise TookTooLong
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(_TICK, max(deadline - time.monotonic(), 0.01)))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    end(process)


class WithoutEpilogue:
    """Keeps back what buildah itself says at the very end of a step that failed: the status, in two or three lines."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._held = b""
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        """Some bytes more."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._lines(lines)
        if not self._could_be_ours(self._rest):
            self._feed(self._held + self._rest)
            self._held = self._rest = b""

    def close(self) -> None:
        """No more will come: what is still held back is buildah's own."""
        if self._rest and not _ENGINES_OWN.fullmatch(self._rest):
            self._feed(self._held + self._rest)
        self._held = self._rest = b""

    def _lines(self, lines: list[bytes]) -> None:
        for line in lines:
            self._held += line + b"\n"
            if not _ENGINES_OWN.fullmatch(line):
                self._feed(self._held)
                self._held = b""

    @staticmethod
    def _could_be_ours(begun: bytes) -> bool:
        """Whether a line that began so may become one of buildah's."""
        return len(begun) < 64 and (not begun or begun[:1] in b"Es")
