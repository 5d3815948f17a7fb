"""Whether a cache folder holds nothing wrong, whatever was done to those who wrote into it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from coopery import Builder
from coopery.home import Home
from coopery.oci.layout import Layout
from coopery.oci.validate import validate_layout


def check(root: Path) -> int:
    """Assert that all that can be found in the cache folder *root* is whole; returns how many keys are known."""
    home = Home(root)
    blobs = home.images / "blobs" / "sha256"
    for blob in blobs.iterdir() if blobs.is_dir() else ():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    if (home.images / "index.json").exists():  # written last: without it there is no layout yet
        validate_layout(home.images)
    with Builder(home=root) as builder:
        known = builder.list()
        tags = Layout(home.images, home.staging).tags()
        for details in known:
            assert details.exists, details
            assert details.image.reference.rpartition(":")[2] in tags
    return len(known)


def check_tidy(root: Path) -> None:
    """Assert that nothing half-made is left: of a process that could clean up, and did not die."""
    staging = Home(root).staging
    assert [path.name for path in staging.glob("*")] == []


def processes_of(root: Path) -> list[str]:
    """Command lines of the processes that still work on the cache folder *root*; waits a while for them to end."""
    end = time.monotonic() + 10
    while (found := _running(str(root))) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _running(word: str) -> list[str]:
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
        if word in line and int(process) != os.getpid():
            found.append(line)
    return found
