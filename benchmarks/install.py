"""The rival's installer, run inside an image: a pixi.lock into a prefix by py-rattler, the library behind pixi.

Run as ``python install.py LOCK CACHE PREFIX``. Nothing is solved; packages that CACHE has are not fetched again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import rattler

CERTIFICATES = Path(__file__).with_name("ca.pem")


def main() -> None:
    lock, cache, prefix = sys.argv[1:]
    os.environ["SSL_CERT_FILE"] = str(CERTIFICATES)  # it wants some, even for a channel without TLS
    environment = rattler.LockFile.from_path(lock).default_environment()
    if environment is None:
        sys.exit(f"{lock} has no default environment")
    platform = next(one for one in environment.platforms() if one.name == "linux-64")
    records = environment.conda_repodata_records_for_platform(platform)
    asyncio.run(rattler.install(records, prefix, cache_dir=cache, show_progress=False, execute_link_scripts=False))
    os._exit(0)  # py-rattler can abort the interpreter while it ends


if __name__ == "__main__":
    main()
