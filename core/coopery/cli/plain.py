"""Progress as plain lines: for pipes, logs of CI, and terminals that can do no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO

from coopery import events as ev
from coopery.cli import words

QUIET_SECONDS: Final = 5.0
"""A stage that is under way says so again after this long; its end is always told."""

LABELS: Final = {"lock": "solve"}


def label(stage: str) -> str:
    """What people call *stage*."""
    return LABELS.get(stage, stage)


class Plain:
    """One line for each event that says something new."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def show(self, event: ev.Event) -> None:
        """Print *event*, if it is worth a line."""
        if isinstance(event, ev.Progress) and not self._due(event):
            return
        if line := words.clean(line_of(event)):
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is held."""

    def _due(self, event: ev.Progress) -> bool:
        now = self._clock()
        if now - self._told.setdefault((event.stage, event.unit), now) < QUIET_SECONDS:
            return False
        self._told[event.stage, event.unit] = now
        return True


def line_of(event: ev.Event) -> str:  # noqa: PLR0911, PLR0912 - one case per event, side by side, reads best
    """*event* in a line or more; empty where it says nothing new."""
    match event:
        case ev.BackendChosen():
            return f"backend: {event.backend}{_tail(event.reason)}"
        case ev.BuildStarted():
            return f"building {event.name or 'environment'}, key {event.key[:12]}"
        case ev.Waiting():
            return f"waiting: {event.holder} builds key {event.key[:12]}"
        case ev.StageStarted():
            return f"{label(event.stage)}: {event.detail or 'started'}"
        case ev.StageFinished():
            return f"{label(event.stage)}: done in {words.seconds(event.seconds)}{_tail(event.detail)}"
        case ev.Progress():
            return f"{label(event.stage)}: {so_far(event)}{_tail(event.item)}"
        case ev.LayerDone(made=True):
            return f"layers: made {event.name}, {words.size(event.size)}"
        case ev.Output(stage="image"):
            return event.line  # of a process that runs in a finished image
        case ev.Output():
            return f"{label(event.stage)}| {event.line}"
        case ev.Warned():
            return f"warning: {event.message}"
        case ev.Retrying():
            again = f"trying again in {words.seconds(event.seconds)}, {event.attempt} of {event.attempts}"
            return f"{again}: {event.message}"
        case ev.BaseMoved():
            return f"base: {event.reference} moved from {event.before} to {event.after}"
        case ev.PackagesMoved(lines=()):
            return "packages: none moved"
        case ev.PackagesMoved():
            return "\n".join(("packages moved:", *(f"  {line}" for line in event.lines)))
        case _:
            return ""  # what ends a build is told by the result, or by the error


def so_far(event: ev.Progress) -> str:
    """``12 of 55 packages``, ``1.2 MB of 450.0 MB``."""
    if event.unit == "bytes":
        done, total = words.size(event.done), words.size(event.total)
        return f"{done} of {total}" if event.total else done
    if not event.total:
        return words.count(event.done, event.unit[:-1]) if event.done else "under way"
    return f"{event.done} of {event.total} {event.unit}"


def _tail(detail: str) -> str:
    return f", {detail}" if detail else ""
