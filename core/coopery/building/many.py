"""Many definitions at once, on any `concurrent.futures.Executor`: threads, processes, a cluster.

Equal definitions are one task. What runs in another process makes a builder of its own there, from a description; that
is the same in all tasks, so that each process has one builder, one store and one flight. Who builds what is agreed by
leases, as always, so that a task that is run again, or elsewhere, builds nothing twice.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from concurrent import futures
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from functools import cache
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from coopery import failure
from coopery.building import wanted
from coopery.building.description import Description, describe
from coopery.errors import BuildError, CooperyError
from coopery.events import Warned

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.image import Image

_TRIES: Final = 3
"""How often a task is handed out whose worker goes away: the first time, and twice more."""


@frozen
class Built:
    """What became of one definition of `Builder.build_many`: an image, or the error.

    Attributes:
        environment: the definition.
        image: None where there is none.
        error: why not; None where there is one. The exception itself, with its fields, wherever it was raised.
    """

    environment: Environment
    image: Image | None = None
    error: Exception | None = None

    def result(self) -> Image:
        """The image.

        Raises:
            Exception: the error.
        """
        if self.image is not None:
            return self.image
        raise self.error or BuildError("nothing was built")


@frozen
class Options:
    """As `Builder.build` has them."""

    rebuild: bool = False
    lock: bool | None = None
    frozen: bool = False


def build_many(
    builder: Builder, environments: Iterable[Environment], executor: Executor | None, options: Options
) -> list[Built]:
    """See `coopery.build.Builder.build_many`."""
    listed = list(environments)
    names: list[str | Exception] = []
    seen: set[str] = set()

    def tasks() -> Iterator[tuple[str, Environment]]:
        """One by one, so that the first is at work while the next is looked at: its files are read for its key."""
        for environment in listed:
            name = _name(builder, environment, options)
            names.append(name)
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                yield name, environment

    handed = tasks()
    first = next(handed, None)
    results = _run(builder, chain((first,), handed), executor, options) if first is not None else {}
    return [
        Built(environment, *results[name]) if isinstance(name, str) else Built(environment, None, name)
        for environment, name in zip(listed, names, strict=True)
    ]


def _name(builder: Builder, environment: Environment, options: Options) -> str | Exception:
    """Equal for definitions that are one task; an error where it can be told already."""
    try:
        order = wanted.order(builder, environment, lock=options.lock, local=True)
    except (CooperyError, OSError) as exc:
        return exc
    return f"{order.key} {order.under}"


_Result = tuple["Image | None", "Exception | None"]
_Tasks = Iterator[tuple[str, "Environment"]]


def _run(builder: Builder, tasks: _Tasks, executor: Executor | None, options: Options) -> dict[str, _Result]:
    if executor is None:
        with _threads() as own:
            return _gather(builder, tasks, _Here(builder, own, options))
    if _shares_memory(executor):
        return _gather(builder, tasks, _Here(builder, executor, options))
    return _gather(builder, tasks, _Elsewhere(executor, pickle.dumps(describe(builder)), options))


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="coopery-many")


def _shares_memory(executor: Executor) -> bool:
    interpreters: type | tuple[()] = getattr(futures, "InterpreterPoolExecutor", ())  # Python 3.14: looks like threads
    return isinstance(executor, ThreadPoolExecutor) and not isinstance(executor, interpreters)


def _gather(builder: Builder, tasks: _Tasks, hand_out: _Here | _Elsewhere) -> dict[str, _Result]:
    """Hand out all tasks, and again those whose worker went away; at last those are built here."""
    results: dict[str, _Result] = {}
    left: dict[str, Environment] = {}
    for number in range(_TRIES):
        with _Handed(hand_out, results) as handed:
            for name, environment in tasks if not number else tuple(left.items()):
                left[name] = environment
                handed.add(name, environment)
            handed.wait()
        left = {name: environment for name, environment in left.items() if name not in results}
        if not left:
            return results
    message = f"{len(left)} definitions are built in this process, since workers went away: {handed.problem!r}"
    builder.emit(Warned(message=message))
    with _threads() as own, _Handed(_Here(builder, own, hand_out.options), results) as handed:
        for name, environment in left.items():
            handed.add(name, environment)
        handed.wait()
    return results


class _Handed:
    """Tasks that were handed out. Each future is let go once it is done, and with it what an executor keeps for it.

    Dask for one keeps a result with the worker that made it for as long as anybody has its future, and makes it again
    when that worker dies.

    Attributes:
        problem: what went wrong with a worker, not with a build; None: nothing.
    """

    def __init__(self, hand_out: _Here | _Elsewhere, results: dict[str, _Result]) -> None:
        self.problem: Exception | None = None
        self._hand_out, self._results = hand_out, results
        self._futures: dict[str, Future[_Result]] = {}
        self._done: SimpleQueue[str] = SimpleQueue()
        self._refused = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        for future in self._futures.values() if kind else ():  # Ctrl-C: what has not begun need not
            future.cancel()

    def add(self, name: str, environment: Environment) -> None:
        """Hand out one task, unless one was refused before: a pool that lost a process takes nothing any more."""
        if self._refused:
            return
        try:
            future = self._hand_out(environment)
        except Exception as exc:
            self._refused, self.problem = True, exc
            return
        self._futures[name] = future
        future.add_done_callback(lambda _future: self._done.put(name))
        while not self._done.empty():
            self._take()

    def wait(self) -> None:
        """Until all that was handed out is done."""
        while self._futures:
            self._take()

    def _take(self) -> None:
        name = self._done.get()
        try:
            self._results[name] = self._futures.pop(name).result()
        except (CancelledError, Exception) as exc:
            self.problem = exc if isinstance(exc, Exception) else RuntimeError("cancelled")


@frozen
class _Here:
    """Tasks for threads of this process: they share this builder."""

    builder: Builder
    executor: Executor
    options: Options

    def __call__(self, environment: Environment) -> Future[_Result]:
        return self.executor.submit(_attempt, self.builder, environment, self.options)


@frozen
class _Elsewhere:
    """Tasks for other processes: each makes a builder from the description."""

    executor: Executor
    description: bytes
    options: Options

    def __call__(self, environment: Environment) -> Future[_Result]:
        return self.executor.submit(work, self.description, environment, self.options)


def _attempt(builder: Builder, environment: Environment, options: Options) -> _Result:
    try:
        image = builder.build(environment, rebuild=options.rebuild, lock=options.lock, frozen=options.frozen)
    except Exception as exc:
        return None, exc
    return image, None


def work(description: bytes, environment: Environment, options: Options) -> _Result:
    """One task, in a worker process. Errors are answers here: only a worker that goes away raises."""
    image, error = _attempt(_builder(description, os.getpid()), environment, options)
    return image, None if error is None else _portable(error)


@cache
def _builder(description: bytes, pid: int) -> Builder:  # noqa: ARG001 - a forked child is another process
    """One for each process and description, for as long as the process lives."""
    made: Description = pickle.loads(description)  # noqa: S301 - the caller's own, by the way that its code came
    return made.make()


def _portable(error: Exception) -> Exception:
    """*error*, or its like where it cannot travel."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - just made
    except Exception:
        return failure.restore(failure.describe(error))
    return error
