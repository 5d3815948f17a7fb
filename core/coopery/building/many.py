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
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from coopery import failure
from coopery.building import wanted
from coopery.errors import BuildError, CooperyError, UsageError
from coopery.events import Warned

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.image import Image
    from coopery.settings import Settings

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
class Description:
    """A builder in words, such that another process, perhaps on another machine, makes one like it.

    What the caller did not state is read there: settings from that machine's files and environment. The store of
    records is stated always, since it is what all have in common.
    """

    cache: str
    leases: str | None
    backend: str | None
    home: Path | None
    settings: Settings | None
    step_seconds: float
    lease_seconds: float

    def make(self) -> Builder:
        """A builder like the one that is described."""
        from coopery.build import Builder

        return Builder(
            cache=self.cache,
            leases=self.leases,
            backend=self.backend,
            home=self.home,
            settings=self.settings,
            step_seconds=self.step_seconds,
            lease_seconds=self.lease_seconds,
        )


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
        started: dict[str, Future[_Result]] = {}
        refused = None
        try:
            for name, environment in tasks if not number else tuple(left.items()):
                left[name] = environment
                if refused is None:
                    refused = _start(started, name, environment, hand_out)
            problem = _collect(started, results) or refused
        except BaseException:  # Ctrl-C: what has not begun need not
            for future in started.values():
                future.cancel()
            raise
        left = {name: environment for name, environment in left.items() if name not in results}
        if not left:
            return results
    message = f"{len(left)} definitions are built in this process, since workers went away: {problem!r}"
    builder.emit(Warned(message=message))
    with _threads() as own:
        here = _Here(builder, own, hand_out.options)
        _collect({name: here(environment) for name, environment in left.items()}, results)
    return results


def _start(
    started: dict[str, Future[_Result]], name: str, environment: Environment, hand_out: _Here | _Elsewhere
) -> Exception | None:
    """Hand out one task. Returns why it was not taken: a pool that lost a process takes nothing any more."""
    try:
        started[name] = hand_out(environment)
    except Exception as exc:
        return exc
    return None


def _collect(started: dict[str, Future[_Result]], results: dict[str, _Result]) -> Exception | None:
    """Wait for all; what came goes into *results*. Returns what went wrong with workers, not with builds."""
    problem: Exception | None = None
    for name, future in started.items():
        try:
            results[name] = future.result()
        except (CancelledError, Exception) as exc:
            problem = exc if isinstance(exc, Exception) else RuntimeError("cancelled")
    return problem


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


def describe(builder: Builder) -> Description:
    """*builder* in words.

    Raises:
        UsageError: something was handed to it that means nothing in another process; names all of them.
    """
    given = builder.given
    wrong = [name for name in ("on_event", "plugins", "secrets") if given[name]]
    wrong += [name for name in ("cache", "leases") if given[name] and not isinstance(given[name], str)]
    if wrong:
        words = ", ".join(wrong)
        raise UsageError(
            f"a builder that was given {words} cannot be described to another process",
            remedy="name stores by URL, and leave the rest out; or build in threads: executor=None",
        )
    return Description(
        cache=given["cache"] or builder.settings.cache,
        leases=given["leases"] or builder.settings.leases or None,
        backend=given["backend"],
        home=builder.settings.home if given["home"] is not None else None,
        settings=given["settings"],
        step_seconds=builder.step_seconds,
        lease_seconds=builder.lease_seconds,
    )
