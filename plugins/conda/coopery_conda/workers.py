"""Workers of one materializer: one serves a build's solve and then its fetch, and none outlives the build for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coopery_conda.process import Progress, Refusal, Worker


class Workers:
    """Hands out workers, one to a thread; starts one when none is idle.

    Args:
        repodata: folder for channel indexes.
        env: variables for the workers over those of this process: proxies, certificates.
    """

    def __init__(self, repodata: Path, env: Mapping[str, str]) -> None:
        self._repodata, self._env = repodata, env
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any], progress: Progress) -> Any:
        """Put one request to a worker.

        Raises:
            Refusal: it cannot be met.
            WorkerError: the worker died, hung, or talked nonsense.
        """
        with self._one() as worker:
            return worker.ask(request, progress)

    def close(self) -> None:
        """End those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    @contextmanager
    def _one(self) -> Iterator[Worker]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or Worker(self._repodata, self._env)
        try:
            yield worker
        except Refusal:
            self._give_back(worker)
            raise
        self._give_back(worker)

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)
