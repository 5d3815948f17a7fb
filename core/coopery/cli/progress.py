"""Progress on stderr: a live display on a terminal, one line per event elsewhere, nothing for a hit.

The reader of events is made when the first one worth showing arrives, so that a hit imports no display.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, TextIO

from coopery.events import Event, Hit, PackagesMoved, Warned


class View(Protocol):
    """One way to show events. Called by one thread at a time."""

    def show(self, event: Event) -> None:
        """Show *event*."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Progress:
    """Hands events from any thread to a view. A context manager; a listener for ``Builder(on_event=…)``.

    Args:
        quiet: show nothing.
        stream: where to; stderr unless given.

    Attributes:
        warnings: what was warned of, for JSON documents.
        moved: which packages a rebuild moved, for JSON documents.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.warnings: list[str] = []
        self.moved: list[str] = []
        self._quiet = quiet
        self._stream = stream
        self._view: View | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Show *event*, unless the display is closed already."""
        with self._lock:
            if isinstance(event, Warned):
                self.warnings.append(event.message)
            elif isinstance(event, PackagesMoved):
                self.moved += event.lines
            if self._quiet or isinstance(event, Hit):
                return
            if self._view is None:
                self._view = choose(self._stream or sys.stderr)
            self._view.show(event)

    def close(self) -> None:
        """Leave the terminal as it was. May be called twice; a later event opens a new display."""
        with self._lock:
            view, self._view = self._view, None
            if view is not None:
                view.close()


def choose(stream: TextIO, environ: Mapping[str, str] = os.environ) -> View:
    """The live display where *stream* is a terminal that can show one, plain lines elsewhere."""
    if stream.isatty() and environ.get("TERM", "") not in ("", "dumb"):
        from coopery.cli.live import Live

        return Live(stream)
    from coopery.cli.plain import Plain

    return Plain(stream)
