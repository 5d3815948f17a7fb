"""Build logs: ``logs/<key>/<UTC time>-<pid>.log``, one event a line, in words.

A line is on its way to the disk when `BuildLog.write` returns, so that a killed build leaves all that it said. Names
sort by time. Logs of failed and of finished builds are kept, the newest `KEPT` of each key.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from coopery import events as _events
from coopery import private, spelled
from coopery.blobs import disk_error
from coopery.errors import CacheError
from coopery.redact import Redactor

KEPT: Final = 20
_PROGRESS_SECONDS: Final = 1.0
_LONGEST: Final = 8192


class BuildLog:
    """One log, open for appending; an observer of events. A context manager.

    A disk that fails must not fail the build: the first failure ends the log, and stands in ``problem``.

    Args:
        path: a file that exists.
        secrets: values that no line may hold; each of their usual encodings is masked.
    """

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.problem: CacheError | None = None
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._redactor = Redactor(secrets)
        self._started = time.monotonic()
        self._shown = -_PROGRESS_SECONDS

    @classmethod
    def create(cls, home: Path, key: str, secrets: Iterable[str] = ()) -> BuildLog:
        """A new log for *key*, private to its owner.

        Raises:
            CacheError: the disk refused.
        """
        folder = _folder(home, key)
        try:
            private.make_folder(home)
            private.make_inner(folder.parent)
            private.make_inner(folder)
            path = _claim_name(folder)
            _prune(folder)
            log = cls(path, secrets)
        except OSError as exc:
            raise disk_error(exc) from exc
        log.write(f"key {key}, {datetime.now(UTC).isoformat(timespec='seconds')}, pid {os.getpid()}")
        return log

    def __enter__(self) -> BuildLog:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, event: _events.Event) -> None:
        """Note *event*. Progress is noted once a second at most, and when it is complete."""
        if isinstance(event, _events.Progress):
            now = time.monotonic()
            if event.done != event.total and now - self._shown < _PROGRESS_SECONDS:
                return
            self._shown = now
        self.write(words(event))

    def write(self, line: str) -> None:
        """Append *line*, with the seconds since the start before it. Line ends in it become lines that are indented."""
        if self._handle < 0:
            return
        lines = [_printable(part) for part in self._redactor(line).splitlines() or [""]]
        text = f"{time.monotonic() - self._started:9.3f}  " + "\n           ".join(lines) + "\n"
        try:
            os.write(self._handle, text.encode(errors="replace"))
        except OSError as exc:
            self.problem = disk_error(exc)
            self.close()

    def close(self) -> None:
        """End the log. May be called twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def newest(home: Path, key: str) -> Path | None:
    """The newest log of *key*, or None."""
    names = _names(_folder(home, key))
    return _folder(home, key) / names[-1] if names else None


def keys(home: Path, prefix: str = "") -> list[str]:
    """The keys that begin with *prefix* and have logs, sorted."""
    try:
        found = os.listdir(home / "logs")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise disk_error(exc) from exc
    return sorted(key for key in found if key.startswith(prefix) and _is_key(key) and _names(home / "logs" / key))


def words(event: _events.Event) -> str:  # noqa: PLR0911, PLR0912 - one case per event, side by side, reads best
    """*event* in one line; an error's own line ends are kept."""
    match event:
        case _events.Hit():
            return f"hit: {event.reference}"
        case _events.Waiting():
            return f"waiting: {event.holder} builds it"
        case _events.BackendChosen():
            return f"backend: {event.backend}{_tail(event.reason)}"
        case _events.BuildStarted():
            return f"build started{f': {event.name}' if event.name else ''}"
        case _events.StageStarted():
            return f"{event.stage}: started{_tail(event.detail)}"
        case _events.StageFinished():
            return f"{event.stage}: done in {event.seconds:.3f} s{_tail(event.detail)}"
        case _events.Progress():
            of = f" of {event.total}" if event.total else ""
            return f"{event.stage}: {event.done}{of} {event.unit}{_tail(event.item)}"
        case _events.Output():
            return f"{event.stage}| {event.line}"
        case _events.Warned():
            return f"warning: {event.message}"
        case _events.Retrying():
            again = f"trying again in {event.seconds:.3f} s, {event.attempt} of {event.attempts}"
            return f"{again}: {event.message}"
        case _events.LayerDone():
            return f"layers: {event.name} {'made' if event.made else 'reused'}, {event.size} bytes"
        case _events.BaseMoved():
            return f"base: {event.reference} moved from {event.before} to {event.after}"
        case _events.PackagesMoved():
            return "\n".join(("packages moved:", *event.lines))
        case _events.BuildFinished():
            return f"build finished in {event.seconds:.3f} s: {event.image} is {event.reference}"
        case _events.BuildFailed():
            return f"build failed: {event.message}"
        case _:
            return type(event).__name__  # an event of a later version: better named than lost


def _tail(detail: str) -> str:
    return f", {detail}" if detail else ""


def _printable(text: str) -> str:
    """*text* without what a terminal would obey, so that no package or step can forge a line or hide one."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return spelled.line(shown)


def _is_key(key: str) -> bool:
    return bool(key) and key.isascii() and key.isalnum() and key == key.lower()


def _folder(home: Path, key: str) -> Path:
    if not _is_key(key):
        raise CacheError(f"{key!r}: no key, so that it can have no log")
    return home / "logs" / key


def _claim_name(folder: Path) -> Path:
    """A new file, ours alone: two builds in one microsecond of one process do not meet."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    for count in itertools.count():
        path = folder / f"{stamp}-{os.getpid()}{f'.{count}' if count else ''}.log"
        try:
            private.make_new_file(path)
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable: counting has no end")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".log"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _prune(folder: Path) -> None:
    for name in _names(folder)[:-KEPT]:
        (folder / name).unlink(missing_ok=True)
