"""A plain install by py-rattler, to compare with: ``plain_install.py`` reads a JSON request on standard input.

Its own process, since py-rattler can abort the interpreter that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from rattler import Gateway, PackageRecord, RepoDataRecord, Subdir, install


async def main(request: dict[str, Any]) -> list[str]:
    wanted = {(one["name"], one["sha256"]) for one in request["artifacts"]}
    gateway = Gateway(cache_dir=request["cache"])
    names = [name for name, _ in sorted(wanted)]
    platforms = [request["subdir"], "noarch"]
    found = await gateway.query(request["channels"], platforms, names, recursive=False)
    records: list[RepoDataRecord] = [
        record
        for some in found
        for record in some
        if (record.name.normalized, record.sha256.hex() if record.sha256 else "") in wanted
    ]
    assert len(records) == len(wanted), (records, wanted)
    order = PackageRecord.sort_topologically(list(records))
    for some in [order[: n + 1] for n in range(len(order))] if request["one_by_one"] else [records]:
        await install(
            some,
            request["prefix"],
            cache_dir=request["cache"],
            platform=Subdir(request["subdir"]),
            show_progress=False,
            execute_link_scripts=False,
            alternative_target_prefix=request["final"],
        )
    return [record.name.normalized for record in order]


if __name__ == "__main__":
    order = asyncio.run(main(json.load(sys.stdin)))
    print(json.dumps(order), flush=True)
    os._exit(0)
