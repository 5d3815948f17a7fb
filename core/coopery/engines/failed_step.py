"""Which step of a key failed last, and on which snapshot: what ``coopery debug`` starts from.

``logs/<key>/failed-step.json``: it goes when the key is built. The snapshot below the step is kept like any other.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, fields, frozen

from coopery.errors import CacheError
from coopery.events import Warned
from coopery.snapshots import kept
from coopery.whole import write_whole

if TYPE_CHECKING:
    from coopery.backend import Snapshot
    from coopery.build import Builder
    from coopery.errors import StepFailed
    from coopery.home import Home

_FILE: Final = "failed-step.json"
_LIMIT: Final = 1 << 20


@frozen
class FailedStep:
    """One step that failed.

    Attributes:
        key: of the build.
        backend: who ran it.
        snapshot: step key of what it ran on: the last that is good.
        step: field path, ``$.steps[2]``.
        words: what it ran.
        status: what it ended with.
        log: file of the whole build's log.
    """

    key: str
    backend: str
    snapshot: str
    step: str
    words: str
    status: int
    log: str


class Noting:
    """Writes down a step that fails, and keeps the snapshot below it, in the middle of a build.

    Args:
        builder: who builds.
        key: what.
        log: file of the build's log; empty for what is no build: then nothing is written.
    """

    def __init__(self, builder: Builder, key: str, log: str) -> None:
        self._builder = builder
        self._key = key
        self._log = log

    def __call__(self, below: Snapshot, name: str, error: StepFailed) -> None:
        """*error* ended the build; *below* has the step key *name*. A full disk must not hide what went wrong."""
        if not self._log:
            return
        words = " ".join(error.argv)
        failed = FailedStep(self._key, below.backend, name, error.step, words, error.status, self._log)
        error.remedy = error.remedy or f"coopery debug {self._key[:16]} opens a shell where it ran"
        try:
            kept.save(self._builder.workshop(self._builder.emit), below, name)
            save(self._builder.home, failed)
        except CacheError as exc:
            self._builder.emit(Warned(key=self._key, message=f"coopery debug will not work: {exc.message}"))


def save(home: Home, failed: FailedStep) -> None:
    """Write down *failed*; what was there is replaced.

    Raises:
        CacheError: the disk refused.
    """
    write_whole(_path(home, failed.key), json.dumps(asdict(failed)).encode(), home.staging)


def load(home: Home, key: str) -> FailedStep | None:
    """What is written down for *key*; None where nothing is, or it does not read back."""
    try:
        data = _path(home, key).read_bytes()
        document: dict[str, Any] = json.loads(data[:_LIMIT])
        found = FailedStep(**{one.name: document[one.name] for one in fields(FailedStep)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (found.key, found.backend, found.snapshot, found.step, found.words, found.log)
    return found if found.key == key and all(isinstance(text, str) for text in texts) else None


def forget(home: Home, key: str) -> None:
    """*key* was built. A disk that refuses costs nothing but a stale note: the build is finished."""
    with suppress(OSError):
        _path(home, key).unlink(missing_ok=True)


def _path(home: Home, key: str) -> Path:
    return home.root / "logs" / key / _FILE
