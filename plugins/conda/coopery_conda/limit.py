"""How much unpacking may write: py-rattler unpacks whatever an archive says it holds, and a small one may say a lot.

What a worker writes is counted from outside (``wchar`` of ``/proc/PID/io``, proc(5)), since py-rattler holds the
interpreter's lock while it unpacks. Past the limit the largest size of its files becomes 0 (``RLIMIT_FSIZE``,
setrlimit(2)), so that whatever library writes next fails; pipes are not files, and the answer still comes. Where there
is no ``/proc`` nothing is counted.
"""

from __future__ import annotations

import resource
import threading
from pathlib import Path
from typing import Final

RATIO: Final = 100
"""Times the size of an archive that its content may have; real packages have up to 20."""

FLOOR: Final = 128 << 20
"""Bytes that may be written on top of that, in all."""

_SECONDS: Final = 0.02


class WriteLimit:
    """Watches process *pid* while it unpacks. A context manager, for one request.

    Attributes:
        tripped: the archive whose content was too much; empty: none's.
    """

    def __init__(self, pid: int) -> None:
        self.tripped = ""
        self._pid = pid
        self._last = ""
        self._allowed = FLOOR + _written(pid)
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> WriteLimit:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        if self._watch is not None:
            self._watch.join()
        if self.tripped:
            _bound(self._pid, None)

    def fetched(self, size: int) -> None:
        """It has fetched *size* bytes, and may have written them."""
        self._allowed += size

    def unpacks(self, file_name: str, size: int) -> None:
        """It begins to unpack an archive of *size* bytes; archives are unpacked one after the other."""
        self._allowed += size * RATIO
        self._last = file_name
        if self._watch is None:
            self._watch = threading.Thread(target=self._look, daemon=True)
            self._watch.start()

    def _look(self) -> None:
        while not self._over.wait(_SECONDS):
            if _written(self._pid) > self._allowed:
                self.tripped = self._last
                _bound(self._pid, 0)
                return


def _written(pid: int) -> int:
    """Bytes that process *pid* has written, to whatever; 0 where nobody counts."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), 0)


def _bound(pid: int, size: int | None) -> None:
    """Make *size* the largest size of a file of process *pid*; None: as large as it may be made."""
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
    except OSError:
        pass  # it has ended
