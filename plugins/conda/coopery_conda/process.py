"""The parent's end of `coopery_conda.worker`: starts it, asks it, and turns whatever happens to it into our errors."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from coopery.errors import BuildError
from coopery.redact import Redactor, masked, secrets_in
from coopery_conda.channels import secrets_of
from coopery_conda.limit import FLOOR, RATIO, WriteLimit

Progress = Callable[[dict[str, Any]], None]

Ask = Callable[[dict[str, Any]], Any]
"""Puts one request to a worker. Raises `Refusal`."""

SILENCE: Final = 600.0
"""Seconds without a word from the worker after which it counts as hung. Reading a large index takes a minute."""

_OWN: Final = {"NETRC": os.devnull}
"""netrc is read on this side, where its rules are the same for every fetcher."""

_ANSWERS: Final = frozenset({"progress", "unpacks", "refused", "failed", "result"})
_TOO_MUCH: Final = f"holds more than {RATIO} times its size and {FLOOR >> 20} MB: it was not unpacked any further"
_PATIENCE: Final = 2.0  # seconds that a process has to end by itself
_TAIL: Final = 30  # lines of what it printed that a message keeps


class WorkerError(BuildError):
    """The process that runs py-rattler died, hung or talked nonsense. ``status`` is how it ended, None if it hung."""

    stage = "lock"

    def __init__(self, message: str, status: int | None, *, remedy: str = "") -> None:
        self.status = status
        super().__init__(message, remedy=remedy)


class Refusal(Exception):  # noqa: N818 - an answer, which `solve` and `fetch` put into words
    """The worker cannot meet the request; ``reply`` says why, in fields."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply.get("kind", ""))
        self.reply = reply


class Worker:
    """One child process. Serves one request at a time; ends with this object, or with this process.

    Args:
        repodata: folder for channel indexes.
        env: variables over those of this process: proxies, certificates.
        silence: seconds without a word after which it is given up.
        argv: what to run; another program in tests.
    """

    def __init__(
        self,
        repodata: Path,
        env: Mapping[str, str] | None = None,
        *,
        silence: float = SILENCE,
        argv: Sequence[str] = (),
    ) -> None:
        self._silence = silence
        # -P: a folder named rattler where the user stands must not be taken for the library.
        command = argv or (sys.executable, "-P", "-m", "coopery_conda.worker", str(repodata))
        self._process = _start(command, {**os.environ, **(env or {}), **_OWN})
        self._env = env or {}
        self._masked = Redactor(())
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._printed: deque[bytes] = deque(maxlen=_TAIL)
        self._readers = (
            threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True),
            threading.Thread(target=_keep, args=(self._process.stderr, self._printed), daemon=True),
        )
        for reader in self._readers:
            reader.start()
        self._close = weakref.finalize(self, _close, self._process, self._readers)

    def ask(self, request: dict[str, Any], progress: Progress) -> Any:
        """Send *request* and wait for its result; whatever goes wrong, the process is ended.

        Raises:
            Refusal: the request cannot be met. The worker stays usable.
            WorkerError: it died, hung, or talked nonsense.
        """
        self._masked = Redactor({*secrets_of(request.get("access", ())), *_passwords(self._env)})
        try:
            with WriteLimit(self._process.pid) as limit:
                self._send(request)
                message = self._end_of(progress, limit)
            if limit.tripped:
                raise Refusal({"kind": "package", "file_name": limit.tripped, "message": _TOO_MUCH})
            if "refused" in message:
                raise Refusal(self._clean(message["refused"]))
            if "failed" in message:
                raise self._failed(f"the conda worker failed: {message['failed']}")
            return message["result"]
        except Refusal:
            raise
        except BaseException:
            self._process.kill()  # it may be busy with what nobody waits for any more
            self.close()
            raise

    def close(self) -> None:
        """End the process. May be called twice."""
        self._close()

    def _end_of(self, progress: Progress, limit: WriteLimit) -> dict[str, Any]:
        """The last message of an answer; what comes before it is handed on."""
        while True:
            message = self._next()
            if "progress" in message:
                limit.fetched(message["progress"]["bytes"])
                progress(message["progress"])
            elif "unpacks" in message:
                limit.unpacks(message["unpacks"]["item"], message["unpacks"]["unpacks"])
            else:
                return message

    def _send(self, request: dict[str, Any]) -> None:
        try:
            if self._process.stdin is None:
                raise AssertionError("it was asked for as a pipe")
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as exc:  # ValueError: closed already
            raise self._died() from exc

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=self._silence)
        except queue.Empty:
            raise WorkerError(
                f"the conda worker said nothing for {self._silence:g} seconds and was ended",
                None,
                remedy="look at the network and the channel; then run the build again",
            ) from None
        if line is None:
            raise self._died()
        try:
            message = json.loads(line)
            if isinstance(message, dict) and message.keys() & _ANSWERS:
                return message
        except ValueError:
            pass  # said below, with what is not JSON but of the wrong form
        raise self._failed(f"the conda worker answered {line[:200]!r}, which is no answer")

    def _died(self) -> WorkerError:
        status = self._process.wait()
        if status < 0:
            cause = f"was ended by signal {-status}"
            remedy = "signal 9 often means that memory ran out" if status == -9 else ""
            return self._failed(f"the conda worker {cause}", status, remedy)
        return self._failed(f"the conda worker ended with status {status}", status)

    def _failed(self, message: str, status: int | None = None, remedy: str = "") -> WorkerError:
        self._process.kill()
        for reader in self._readers:
            reader.join()
        printed = b"".join(self._printed).decode(errors="replace").strip()
        return WorkerError(self._clean(f"{message}\n{printed}" if printed else message), status, remedy=remedy)

    def _clean(self, value: Any) -> Any:
        """*value* without the secrets of the request: py-rattler's messages quote URLs."""
        if isinstance(value, str):
            return self._masked(masked(value))
        if isinstance(value, list):
            return [self._clean(one) for one in value]
        if isinstance(value, dict):
            return {name: self._clean(one) for name, one in value.items()}
        return value


def _passwords(env: Mapping[str, str]) -> set[str]:
    return {secret for value in (*env.values(), *os.environ.values()) if "@" in value for secret in secrets_in(value)}


def _start(command: Sequence[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:  # in a session of its own: Ctrl-C is for us, and we end it
        return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as exc:
        raise WorkerError(f"the conda worker cannot be started: {exc}", None) from exc


def _read(stream: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _keep(stream: IO[bytes], lines: deque[bytes]) -> None:
    with stream:
        for line in stream:
            lines.append(line)


def _close(process: subprocess.Popen[bytes], readers: Sequence[threading.Thread]) -> None:
    """End the process: it ends by itself when its input does, and keeps nothing that is not in a file already."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # a request that it did not read
            process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for reader in readers:
        reader.join()
