"""The child process: ``python -m coopery_conda.worker REPODATA_FOLDER``. JSON lines in, JSON lines out.

A request is ``{"do": "solve" | "match" | "fetch" | "look", …}``. Answers are any number of ``{"progress": …}`` and
``{"unpacks": …}``, then one ``{"result": …}`` or ``{"refused": …}`` or ``{"failed": …}``. It ends when its standard
input does, whatever it is doing: nobody waits any more. It ends by ``os._exit``, since py-rattler 0.28 can abort an
interpreter that ends in the ordinary way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any, Final, NoReturn

_PROGRESS_STEP: Final = 1 << 20  # bytes; a line per chunk would cost more than it tells


class _Channel:
    """The one door to the parent; threads may share it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._pending = 0

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._stream.write(data)
                self._stream.flush()
            except OSError:  # the parent is gone
                _end(1)

    def progress(self, step: dict[str, Any]) -> None:
        if "unpacks" in step:  # the parent must know before it happens
            self.flush()
            self.send({"unpacks": step})
            return
        with self._lock:
            self._pending += step["bytes"]
            ready = self._pending if self._pending >= _PROGRESS_STEP else 0
            self._pending -= ready
        if ready:
            self.send({"progress": {**step, "bytes": ready}})

    def flush(self, item: str = "") -> None:
        with self._lock:
            ready, self._pending = self._pending, 0
        if ready:
            self.send({"progress": {"bytes": ready, "item": item}})


async def _serve(requests: asyncio.Queue[dict[str, Any]], channel: _Channel, repodata: Path) -> None:
    from coopery_conda.rattler import Rattler, Refused

    rattler = Rattler(repodata)
    verbs = {"solve": rattler.solve, "match": rattler.match, "fetch": rattler.fetch, "look": rattler.look}
    while True:
        request = await requests.get()
        try:
            result = await verbs[request["do"]](request, channel.progress)
            channel.flush()
            channel.send({"result": result})
        except Refused as exc:
            channel.send({"refused": exc.reply})
        except Exception as exc:  # a fault in here becomes an error over there
            traceback.print_exc()
            channel.send({"failed": f"{type(exc).__name__}: {exc}"})


def _listen(loop: asyncio.AbstractEventLoop, requests: asyncio.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        loop.call_soon_threadsafe(requests.put_nowait, json.loads(line))
    _end(0)


def _end(status: int) -> NoReturn:
    os._exit(status)


async def _main(stream: IO[bytes], repodata: Path) -> None:
    requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(loop, requests), daemon=True).start()
    await _serve(requests, _Channel(stream), repodata)


def main() -> NoReturn:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    try:
        asyncio.run(_main(answers, Path(sys.argv[1])))
    except BaseException:  # the process ends here in any case
        traceback.print_exc()
    _end(1)


if __name__ == "__main__":
    main()
