from __future__ import annotations

import graphlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from coopery_conda.rank import ranks

SORT = Path(__file__).with_name("sort_order.py")
Graph = dict[str, list[str]]


def order(graph: Graph, noarch: list[str]) -> list[str]:
    found = ranks(graph, noarch)
    return sorted(found, key=found.__getitem__)


def rattlers(graphs: list[tuple[Graph, list[str]]]) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-P", SORT], input=json.dumps(graphs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def graph(chance: random.Random, circles: bool) -> tuple[Graph, list[str]]:
    names = chance.sample(["a", "a-b", "a_b", "b", "c.d", "e", "f1", "f10", "f2", "z"], chance.randint(1, 10))
    found: Graph = {}
    for place, name in enumerate(names):
        pool = [other for other in names if other != name] if circles else names[:place]
        found[name] = chance.sample(pool, min(len(pool), chance.randint(0, 3)))
    return found, [name for name in names if chance.random() < 0.3]


@pytest.mark.processes
def test_the_order_is_py_rattlers() -> None:
    graphs = [graph(random.Random(seed), circles=False) for seed in range(1500)]
    assert [order(*one) for one in graphs] == rattlers(graphs)


@pytest.mark.processes
def test_pip_and_python_need_each_other() -> None:
    circle: Graph = {"numpy": ["python"], "python": ["pip", "zlib"], "pip": ["python"], "zlib": []}
    assert [order(circle, ["pip"])] == rattlers([(circle, ["pip"])])


def test_circles_have_one_order_whatever_the_order_of_the_records() -> None:
    for seed in range(300):
        circles, noarch = graph(random.Random(seed), circles=True)
        shuffled = list(circles.items())
        random.Random(seed + 1).shuffle(shuffled)
        first = order(circles, noarch)
        assert sorted(first) == sorted(circles)
        assert first == order(dict(shuffled), noarch[::-1])


def test_dependencies_come_before_those_who_need_them() -> None:
    for seed in range(100):
        acyclic, noarch = graph(random.Random(seed), circles=False)
        graphlib.TopologicalSorter(acyclic).prepare()
        found = ranks(acyclic, noarch)
        assert all(found[needed] < found[name] for name, needs in acyclic.items() for needed in needs)


def test_what_is_not_installed_has_no_place() -> None:
    assert ranks({"a": ["__glibc", "b", "a"], "b": []}) == {"b": 0, "a": 1}
