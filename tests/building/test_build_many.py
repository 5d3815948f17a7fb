"""Many definitions on executors: threads, processes, and workers that die."""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import signal
import weakref
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import farm
import pytest

import coopery
from coopery import Builder, Environment
from coopery.building.description import describe
from coopery.building.many import Built
from coopery.errors import CooperyError, DefinitionError, Problem, StepFailed, UsageError
from coopery.events import Warned
from coopery.stores.sqlite import SqliteCache


@pytest.fixture
def plain(tmp_path):
    """A builder that can be described to other processes: its backend is the installed one."""
    with Builder(home=tmp_path / "home", backend="oci", cache=f"sqlite:{tmp_path / 'records'}") as builder:
        yield builder


def test_results_are_in_order_and_equal_definitions_are_built_once(machine, define):
    asked = [define(number) for number in (0, 1, 0, 2, 1, 0)]
    results = machine().build_many(asked)
    assert [result.environment for result in results] == asked
    ids = [result.result().id for result in results]
    assert ids[0] == ids[2] == ids[5] != ids[1] == ids[4]
    assert farm.noted("build") == 3
    assert all(result.result().hit for result in machine().build_many(asked))


def test_one_that_fails_stops_no_other(machine, define, tmp_path):
    missing = Environment.from_dict({"base": "scratch", "steps": [{"copy": "nothing", "to": "/x"}]}, tmp_path)
    lacking = define(0, {"run": "true", "secrets": ["token"]})
    good, bad, worse = machine().build_many([define(0), missing, lacking])
    assert good.result().id
    assert isinstance(bad.error, DefinitionError)
    assert bad.image is None
    with pytest.raises(CooperyError):
        worse.result()


def test_nothing_is_nothing(machine):
    assert machine().build_many([]) == []


def test_where_nothing_can_be_built_nobody_is_asked(machine, tmp_path):
    """Nor is the builder described, which this one could not be."""
    wrong = Environment.from_dict({"base": "scratch", "steps": [{"copy": "absent", "to": "/"}]}, tmp_path)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert machine().build_many([], executor) == []
        (result,) = machine().build_many([wrong], executor)
    assert isinstance(result.error, DefinitionError)


def test_threads_of_the_caller_share_its_builder(machine, define):
    with ThreadPoolExecutor(4) as pool:
        results = machine(on_event=lambda _event: None).build_many([define(n) for n in range(8)], pool)
    assert all(result.image for result in results)
    assert farm.noted("build") == 8


def test_what_is_done_is_let_go(plain, define):
    """An executor may keep a result for as long as anybody has its future; Dask then makes it again if it is lost."""

    class Watched(Executor):
        """Runs each task at once, and counts whose futures are still held."""

        def __init__(self) -> None:
            self.futures: weakref.WeakSet[Future[object]] = weakref.WeakSet()
            self.held: list[int] = []

        def submit(self, function, /, *args, **options):
            self.held.append(len(self.futures))
            future: Future[object] = Future()
            future.set_result(function(*args, **options))
            self.futures.add(future)
            return future

    executor = Watched()
    results = plain.build_many([define(number) for number in range(4)], executor)
    assert all(result.image for result in results)
    assert executor.held == [0, 0, 0, 0]
    assert not executor.futures


@pytest.mark.processes
def test_processes_build_and_errors_travel(plain, define, tmp_path):
    wrong = {"base": {"layout": "nowhere"}, "steps": [{"env": {"A": "1"}}]}
    layout = tmp_path / "nowhere"
    layout.mkdir()
    bad = Environment.from_dict(wrong, tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        *good, failed = plain.build_many([*(define(number) for number in range(3)), bad], pool)
    assert all(result.result().id for result in good)
    assert isinstance(failed.error, CooperyError)
    assert plain.build(define(0)).hit


class Dying(Executor):
    """Hands tasks to processes of a pool that is killed at its first task, and then refuses more, as pools do."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.submitted = 0

    def submit(self, work, /, *args, **options) -> Future:
        self.submitted += 1
        if self.submitted == 1:
            return self.pool.submit(os.kill, self.pool.submit(os.getpid).result(), signal.SIGKILL)
        return self.pool.submit(work, *args, **options)


@pytest.mark.processes
def test_what_a_broken_pool_leaves_is_built_here(plain, define):
    dying = Dying()
    try:
        results = plain.build_many([define(number) for number in range(3)], dying)
    finally:
        dying.pool.shutdown()
    assert all(result.result().id for result in results)


def test_what_cannot_be_described_is_refused_by_name(machine, tmp_path, define):
    builder = machine(cache=SqliteCache(tmp_path / "r"), on_event=print, secrets={"token": "x"})
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(UsageError, match=r"on_event, plugins, secrets, cache") as raised,
    ):
        builder.build_many([define()], pool)
    assert "URL" in raised.value.remedy
    assert farm.noted("build") == 0


def test_a_description_makes_the_same_builder(tmp_path):
    with Builder(home=tmp_path / "h", backend="oci", cache="sqlite:", step_seconds=3, lease_seconds=7) as builder:
        made = again(describe(builder)).make()
        with made:
            assert (made.home, made.backend_name, made.step_seconds, made.lease_seconds) == (
                *(builder.home, "oci", 3, 7),
            )
            assert made.given["cache"] == "sqlite:"


def again(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own, just made


def _classes(root=CooperyError):
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


@pytest.mark.slow
def test_every_error_travels():
    """All of our classes, those of our plugins too, whatever their constructors take."""
    for module in pkgutil.walk_packages(coopery.__path__, "coopery."):
        if not module.name.startswith(("coopery.testing", "coopery.__main__")):
            importlib.import_module(module.name)
    for kind in _classes():
        error = kind.__new__(kind)
        CooperyError.__init__(error, "what happened", remedy="what to do")
        error.log = "/logs/1.log"
        error.problems = (Problem("$.a", "is wrong", file="e.yaml", line=3),)
        there = again(error)
        assert type(there) is kind
        assert (str(there), there.args, there.log) == (str(error), error.args, error.log)
        assert str(there.problems[0]) == str(error.problems[0])
    failed = StepFailed("oci", "$.steps[0]", ["false"], 7, "tail")
    assert vars(again(failed)) == vars(failed)


def test_a_result_without_anything_says_so(define):
    with pytest.raises(CooperyError, match="nothing was built"):
        Built(define()).result()


def test_tries_are_told(machine, define):
    """A worker that goes away at every try: the definition is built here, and the caller is told."""

    class Lost(Executor):
        tries = 0

        def submit(self, _work, /, *_args, **_options) -> Future:
            type(self).tries += 1
            future: Future = Future()
            future.set_exception(RuntimeError("the worker went away"))
            return future

    events: list = []
    builder = machine(plugins=None, on_event=None)
    builder._on_event = events.append
    (result,) = builder.build_many([define()], Lost())
    assert (result.result().generation, Lost.tries) == (1, 3)
    assert any(isinstance(event, Warned) and "went away" in event.message for event in events)
