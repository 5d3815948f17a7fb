"""py-rattler's order of dependency for many graphs: JSON in, JSON out. Its own process, as `plain_install.py`."""

from __future__ import annotations

import json
import os
import sys

from rattler import BuildString, PackageRecord


def order(graph: dict[str, list[str]], noarch: list[str]) -> list[str]:
    records = [_record(name, depends, name in noarch) for name, depends in graph.items()]
    return [record.name.normalized for record in PackageRecord.sort_topologically(records)]


def _record(name: str, depends: list[str], noarch: bool) -> PackageRecord:
    return PackageRecord(
        name,
        "1.0",
        BuildString("0"),
        0,
        "noarch" if noarch else "linux-64",
        noarch="generic" if noarch else None,
        depends=[f"{other} >=1" for other in depends],
    )


if __name__ == "__main__":
    print(json.dumps([order(*one) for one in json.load(sys.stdin)]), flush=True)
    os._exit(0)
