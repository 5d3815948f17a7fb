"""The limit that builds are held against: what nobody can do without.

Run as a process: ``python limit.py CHANNEL CACHE TARGET SPEC…``. Fetches (into CACHE) and links the packages with
py-rattler, then reads every file below the prefix once, hashes it, and writes the same bytes once into one file that
is synced. Prints JSON: seconds of each part, bytes, files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import rattler

CHUNK = 1 << 20


async def link(channel: str, cache: Path, prefix: Path, specs: list[str]) -> None:
    virtual = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
        for name, version in (("__glibc", "2.36"), ("__unix", "0"), ("__linux", "5.10"))
    ]
    records = await rattler.solve(
        [channel], specs, platforms=["linux-64", "noarch"], virtual_packages=virtual, gateway=rattler.Gateway()
    )
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False, execute_link_scripts=False)


def copy_once(prefix: Path, out: Path) -> tuple[int, int]:
    """Read, hash and write every file once; returns bytes and files."""
    size = files = 0
    digest = hashlib.sha256()
    with out.open("wb", buffering=0) as stream:
        for folder, _, names in os.walk(prefix):
            for name in names:
                path = Path(folder, name)
                if path.is_symlink():
                    continue
                files += 1
                with path.open("rb", buffering=0) as source:
                    while chunk := source.read(CHUNK):
                        digest.update(chunk)
                        stream.write(chunk)
                        size += len(chunk)
        os.fsync(stream.fileno())
    return size, files


def main() -> None:
    channel, cache, target, *specs = sys.argv[1:]
    prefix, out = Path(target, "prefix"), Path(target, "bytes")
    started = time.perf_counter()
    asyncio.run(link(channel, Path(cache), prefix, specs))
    linked = time.perf_counter()
    size, files = copy_once(prefix, out)
    done = time.perf_counter()
    document = {"link": linked - started, "copy": done - linked, "total": done - started, "bytes": size, "files": files}
    sys.stdout.write(json.dumps(document))
    sys.stdout.flush()
    os._exit(0)  # py-rattler can abort the interpreter while it ends


if __name__ == "__main__":
    main()
