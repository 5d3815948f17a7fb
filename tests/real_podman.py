"""A containers-storage of the tests' own, so that nothing of the machine's is touched, and nobody else's is seen."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def storage(folder: Path, driver: str = "overlay") -> Iterator[Path]:
    """Have podman and buildah keep things below *folder* while this lasts.

    What does not survive a boot is elsewhere: podman takes no path of 50 characters for it, and where it was configured
    to be that long, its clean-up after a container fails, for which each ``podman run`` then waits 20 seconds.
    """
    before = os.environ.get("CONTAINERS_STORAGE_CONF")
    with tempfile.TemporaryDirectory(prefix="p-", ignore_cleanup_errors=True) as running:
        places = {"graphroot": folder / "graphroot", "runroot": running, "rootless_storage_path": folder / "rootless"}
        lines = [f'{name} = "{path}"' for name, path in places.items()]
        configuration = folder / "storage.conf"
        configuration.write_text("\n".join(["[storage]", f'driver = "{driver}"', *lines, ""]))
        os.environ["CONTAINERS_STORAGE_CONF"] = str(configuration)
        try:
            yield folder
        finally:
            if before is None:
                os.environ.pop("CONTAINERS_STORAGE_CONF")
            else:
                os.environ["CONTAINERS_STORAGE_CONF"] = before
            subprocess.run(["umount", "--recursive", "--quiet", f"{running}/overlay"], check=False, capture_output=True)
