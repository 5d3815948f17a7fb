"""Coroutines that ask for images: all that ask for one definition at once are one caller, and none has a thread.

What is asked is collected until a thread takes it up; who comes later is collected for the next, and waits with the
first where that is still being built. A few threads look for images that are known, others build, so that what is known
never waits for a build.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from coopery import failure
from coopery.building import once, wanted
from coopery.cancel import Cancel

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.building.order import Order
    from coopery.definition import Environment
    from coopery.image import Image
    from coopery.locks.fitting import Choice

_LOOKERS: Final = 4
_BUILDERS: Final = 32


@frozen(cache_hash=True)
class Wish:
    """What one call asks for; equal ones are asked together."""

    environment: Environment
    rebuild: bool
    lock: Choice = field(repr=False)
    frozen: bool

    @property
    def name(self) -> Hashable:
        """Equal for wishes that are one."""
        try:
            hash(self)
        except TypeError:  # a definition that somebody gave a list to
            return (id(self.environment), self.rebuild, id(self.lock), self.frozen)
        return self


class Asking:
    """For all event loops of one process. Close it when the builder is closed."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._lock = threading.Lock()
        self._open: dict[Hashable, _Batch] = {}
        self._building: dict[str, _Batch] = {}
        self._at_work: set[_Batch] = set()
        self._lookers = ThreadPoolExecutor(_LOOKERS, thread_name_prefix="coopery-look")
        self._builders = ThreadPoolExecutor(_BUILDERS, thread_name_prefix="coopery-build")

    async def ask(self, wish: Wish) -> Image:
        """The image of *wish*. A caller that is cancelled leaves the others alone; the last one stops the build."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Image] = loop.create_future()
        with self._lock:
            batch = self._open.get(wish.name)
            if batch is None:
                batch = self._open[wish.name] = _Batch(wish)
                self._at_work.add(batch)
                self._lookers.submit(self._run, batch, self._look)
            batch.waiters[loop].add(future)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(batch, loop, future)
            raise

    def close(self) -> None:
        """Stop what is being built for coroutines, and wait for its end."""
        with self._lock:
            batches = tuple(self._at_work)
        for batch in batches:
            batch.cancel.set()
        self._lookers.shutdown()
        self._builders.shutdown()

    def _leave(self, batch: _Batch, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Image]) -> None:
        with self._lock:
            while batch.joined is not None:
                batch = batch.joined
            batch.waiters[loop].discard(future)
            forsaken = not any(batch.waiters.values())
            if forsaken:
                self._forget(batch)
        if forsaken:  # ending a step may take a moment, which the loop has not
            threading.Thread(target=batch.cancel.set, name="coopery-cancel", daemon=True).start()

    def _look(self, batch: _Batch) -> None:
        """In a thread that looks: from now on nobody is collected for *batch*."""
        with self._lock:
            if self._open.get(batch.wish.name) is batch:
                del self._open[batch.wish.name]
        batch.cancel.check()
        builder, wish = self._builder, batch.wish
        order = wanted.order(builder, wish.environment, rebuild=wish.rebuild, lock=wish.lock, frozen=wish.frozen)
        if not order.rebuild and self._join(batch, order):
            return
        found = None if order.rebuild else once.found(builder, order)
        if found is not None:
            self._end(batch, found, None)
        elif order.rebuild or not self._join(batch, order, begin=True):
            self._builders.submit(self._run, batch, lambda _batch: self._build(batch, order))

    def _join(self, batch: _Batch, order: Order, *, begin: bool = False) -> bool:
        """Have *batch* wait for what is built already of its key; else, with *begin*, others join it from now on."""
        name = once.wish(order)
        with self._lock:
            other = self._building.get(name)
            if other is None or other.cancel.is_set():
                if begin:
                    self._building[name] = batch
                    batch.name = name
                return False
            for loop, futures in batch.waiters.items():
                other.waiters[loop] |= futures
            batch.waiters.clear()
            batch.joined = other
            self._at_work.discard(batch)
        return True

    def _build(self, batch: _Batch, order: Order) -> None:
        self._end(batch, once.fulfil(self._builder, order, batch.cancel), None)

    def _run(self, batch: _Batch, work: Callable[[_Batch], None]) -> None:
        try:
            work(batch)
        except BaseException as exc:  # whoever waits is told, whatever it is
            self._end(batch, None, exc)

    def _end(self, batch: _Batch, image: Image | None, error: BaseException | None) -> None:
        with self._lock:
            self._forget(batch)
            self._at_work.discard(batch)
            waiters = {loop: tuple(futures) for loop, futures in batch.waiters.items()}
        for loop, futures in waiters.items():
            with suppress(RuntimeError):  # a loop that was closed has nobody waiting
                loop.call_soon_threadsafe(_deliver, futures, image, error)

    def _forget(self, batch: _Batch) -> None:
        """Nobody joins it any more."""
        if self._open.get(batch.wish.name) is batch:
            del self._open[batch.wish.name]
        if self._building.get(batch.name) is batch:
            del self._building[batch.name]


class _Batch:
    """Callers that ask for the same thing at once, by event loop; ``joined``: whom they wait with by now."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.cancel = Cancel()
        self.name = ""
        self.joined: _Batch | None = None
        self.waiters: defaultdict[Any, set[asyncio.Future[Image]]] = defaultdict(set)


def _deliver(futures: tuple[asyncio.Future[Any], ...], image: Image | None, error: BaseException | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(image)
        else:
            future.set_exception(failure.copy(error) if isinstance(error, Exception) else error)
