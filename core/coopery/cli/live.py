"""Progress on a terminal: a line for each stage that is under way, which ends as a short plain summary.

The one file that imports rich.
"""

from __future__ import annotations

import time
from typing import TextIO

from attrs import define
from rich.console import Console, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from coopery import events as ev
from coopery.cli import words
from coopery.cli.plain import label, line_of, so_far

_LABELS = {("layers", "packages"): "packages", ("layers", "bytes"): "packages", ("lock", "bytes"): "index"}
"""Stages that do two things at once show each on a line of its own."""


@define
class _Row:
    """One line of the display."""

    label: str
    began: float
    detail: str = ""
    progress: ev.Progress | None = None
    finished: float | None = None
    """Seconds that it took."""


class Live:
    """The display. `show` and `close` are called under one lock; rich draws in a thread of its own."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self._console = console or Console(file=stream, highlight=False, soft_wrap=False)
        self._spinner = Spinner("dots")
        self._rows: dict[str, _Row] = {}
        self._live: RichLive | None = None

    def show(self, event: ev.Event) -> None:
        """Bring the display up to date, or print a line above it."""
        match event:
            case ev.StageStarted():
                self._row(label(event.stage)).detail = event.detail
                self._open()
            case ev.Progress():
                self._row(_LABELS.get((event.stage, event.unit), label(event.stage))).progress = event
                self._open()
            case ev.StageFinished():
                row = self._row(label(event.stage))
                row.finished, row.detail = event.seconds, event.detail
            case ev.BuildFinished() | ev.BuildFailed():
                self.close()
            case ev.LayerDone() | ev.BuildStarted():
                pass  # the lines of the stages say as much
            case _:
                self._say(event)

    def close(self) -> None:
        """Take the display away and leave what the stages came to."""
        live, self._live = self._live, None
        if live is None:
            return
        live.stop()
        for row in self._rows.values():
            if row.finished is not None:
                line = f"{row.label:<8} {words.seconds(row.finished):>8}  {row.detail}".rstrip()
                self._console.print(Text(words.clean(line)), overflow="fold")
        self._rows.clear()

    def _row(self, name: str) -> _Row:
        return self._rows.setdefault(name, _Row(name, time.monotonic()))

    def _open(self) -> None:
        if self._live is None:
            self._live = RichLive(
                console=self._console, get_renderable=self._draw, refresh_per_second=8, transient=True
            )
            self._live.start()

    def _say(self, event: ev.Event) -> None:
        """A line above the display, which stays in the scrollback."""
        if line := line_of(event):
            style = "yellow" if isinstance(event, ev.Warned) else ""
            self._console.print(Text(words.clean(line), style=style), overflow="fold")

    def _draw(self) -> Table:
        """The rows as they stand; called by rich's thread."""
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(width=1)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in list(self._rows.values()):
            grid.add_row(*self._cells(row))
        return grid

    def _cells(self, row: _Row) -> tuple[RenderableType, ...]:
        if row.finished is not None:
            done = Text("done", style="green")
            return Text("✓", style="green"), row.label, done, words.seconds(row.finished), Text(words.clean(row.detail))
        told = row.progress
        elapsed = words.seconds(float(int(time.monotonic() - row.began)))
        if told is None:
            return self._spinner, row.label, Text(""), elapsed, Text(words.clean(row.detail))
        bar = ProgressBar(total=told.total or None, completed=told.done, width=24)
        return self._spinner, row.label, bar, so_far(told), Text(words.clean(told.item))
