"""Who wins a path that two packages have: the one that comes later when packages are put in order of dependency.

Found by experiment to be the rule of py-rattler 0.28's plain ``install`` (`docs/conda.md` tells how): depth first from
the packages that nothing needs, the greatest name first, dependencies before those who need them. The order is a
function of names and dependencies alone. Where packages need each other in a circle, which real channels avoid but for
pip and Python, the rule is our own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

Graph = Mapping[str, Collection[str]]


def ranks(depends: Graph, noarch: Collection[str] = ()) -> dict[str, int]:
    """The place of each package in the order, 0 for the lowest.

    Args:
        depends: package name → names that it depends on; names that are no key are left out (``__glibc``, …).
        noarch: names of the packages that are for every platform.
    """
    graph = {name: {d for d in found if d in depends and d != name} for name, found in depends.items()}
    while circle := _circle(graph):
        before, after = _weakest(circle, noarch)
        graph[before].discard(after)
    return {name: place for place, name in enumerate(_walk(graph, _roots(graph)))}


def _roots(graph: Mapping[str, set[str]]) -> list[str]:
    """What nothing needs, sorted."""
    needed = {d for found in graph.values() for d in found}
    return sorted(graph.keys() - needed)


def _walk(graph: Mapping[str, set[str]], roots: list[str]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    stack = [(root, False) for root in roots]
    while stack:
        name, complete = stack.pop()
        if complete:
            order.append(name)
        elif name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack += ((d, False) for d in sorted(graph[name]) if d not in seen)
    return order


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The names on the first circle that is found, in order of dependency; empty when there is none."""
    seen: set[str] = set()
    for start in sorted(graph):
        trail: list[str] = []
        stack = [(start, False)]
        while stack:
            name, complete = stack.pop()
            if complete:
                trail.pop()
            elif name not in seen:
                seen.add(name)
                trail.append(name)
                stack.append((name, True))
                for needed in sorted(graph[name]):
                    if needed in trail:
                        return trail[trail.index(needed) :]
                stack += ((needed, False) for needed in sorted(graph[name], reverse=True) if needed not in seen)
    return []


def _weakest(circle: list[str], noarch: Collection[str]) -> tuple[str, str]:
    """The edge to leave out: from a package for one platform to one for every platform, else the first.

    That is how pip, which is for every platform, comes to stand after the Python that asks for it.
    """
    edges = list(zip(circle, (*circle[1:], circle[0]), strict=True))
    return next((edge for edge in edges if edge[0] not in noarch and edge[1] in noarch), edges[0])
