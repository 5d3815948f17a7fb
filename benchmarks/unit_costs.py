"""What one call of each kind costs, on real servers of this machine: the figures that docs/scaling.md reasons from.

    python benchmarks/unit_costs.py [--rounds N]

Prints a table in Markdown. Servers are started for it and stopped after it; a part that is not installed is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from coopery import Builder, Environment, Image
from coopery.leases import Outcome
from coopery.stores import leases_of, open_cache
from real_redis import RealRedis
from real_registry import real_registry

Row = tuple[str, str, str]


def timed(work: Callable[[], object], rounds: int) -> str:
    """Median of *rounds* calls, and the slowest of twenty, in milliseconds."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    slow = sorted(seconds)[int(len(seconds) * 0.95) - 1]
    return f"{statistics.median(seconds) * 1000:.2f} ms | {slow * 1000:.2f} ms"


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """Name → URL of each store that can be had here."""
    with ExitStack() as stack:
        found = {"sqlite": f"sqlite:{folder / 'sqlite'}", "directory": f"directory:{folder / 'directory'}"}
        redis = RealRedis(folder / "r", durable=True)
        with suppress(OSError):
            redis.start()
            stack.callback(redis.stop)
            found["redis (appendfsync always)"] = redis.url("costs")
        with suppress(OSError, AssertionError):
            server = stack.enter_context(real_registry(folder / "registry"))
            found["registry"] = f"registry://{server.host}/costs?images=false"
        yield found


def of_stores(folder: Path, builder: Builder, image: Image, rounds: int) -> Iterator[Row]:
    """Reading a record, writing one, and a claim with its release."""
    record = builder.cache.get("resolution", image.key)
    assert record is not None
    options: Any = {
        "registered": lambda: builder.plugins_loaded.caches().values(),
        "settings": lambda: builder.settings,
    }
    with stores(folder) as urls:
        for name, url in urls.items():
            try:
                store = open_cache(url, folder, **options)
                store.put(record, 0)
            except Exception as exc:  # a part that does not work here is left out, and said
                sys.stderr.write(f"{name}: left out: {exc}\n")
                continue
            yield "a record read", name, timed(partial(store.get, "resolution", image.key), rounds)
            yield "a record written", name, timed(writing(store, record), max(5, rounds // 10))
            leases = leases_of(store)
            if leases is not None:
                yield "a claim and its release", name, timed(partial(claim, leases), max(5, rounds // 10))
            store.close()


def writing(store: Any, record: Any) -> Callable[[], None]:
    """Writes a new record each time."""
    from attrs import evolve

    def write() -> None:
        store.put(evolve(record, name=os.urandom(32).hex()), 0)

    return write


def claim(leases: Any) -> None:
    """What each build does, and each waiter once."""
    name = os.urandom(8).hex()
    lease = leases.acquire(name, "costs", 30.0).lease
    leases.release(lease, Outcome("done", lease.token))


def of_calls(builder: Builder, environment: Environment, image: Image, rounds: int) -> Iterator[Row]:
    """What a caller waits for."""
    yield "a key (sealing one small file)", "", timed(lambda: builder.key(environment), rounds)
    known = builder.ledger.resolution(image.key)
    assert known is not None
    check = timed(lambda: builder.place.exists(known.image, known.placement.digest), rounds)
    yield "an image looked at (every blob by size)", builder.place.name.partition(":")[0], check
    yield "a hit in process, all of it", "sqlite", timed(lambda: builder.build(environment), rounds)


def main() -> None:
    """Measure, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=300)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="c") as temporary:
        folder = Path(temporary)
        (folder / "data").write_text("x" * 1000)
        environment = Environment.from_dict({"base": "scratch", "steps": [{"copy": "data", "to": "/data"}]}, folder)
        with Builder(home=folder / "home", cache="sqlite:", backend="oci") as builder:
            image = builder.build(environment)
            record = builder.cache.get("resolution", image.key)
            sys.stdout.write("| what | where | median | one of twenty is slower than |\n|---|---|---|---|\n")
            for row in (
                *of_calls(builder, environment, image, rounds),
                *of_stores(folder, builder, image, rounds),
            ):
                sys.stdout.write(f"| {' | '.join(row)} |\n")
                sys.stdout.flush()
            size = len(str(record and dict(record.body)))
            sys.stdout.write(f"\nthe record of this image, which has no packages: {size} bytes\n")


if __name__ == "__main__":
    main()
