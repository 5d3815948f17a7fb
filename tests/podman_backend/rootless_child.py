"""What an ordinary user does: an image into its own storage, a step, a run; what came of it, as JSON."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import tarfile
from pathlib import Path

from attrs import evolve

from coopery.errors import StepFailed
from coopery.image import Assembled
from coopery.place import RunRequest
from coopery_podman.backend import PodmanBackend

specification = importlib.util.spec_from_file_location("makers", Path(__file__).with_name("conftest.py"))
assert specification is not None
assert specification.loader is not None
makers = importlib.util.module_from_spec(specification)
specification.loader.exec_module(makers)


def main(folder: Path) -> dict[str, object]:
    os.environ["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
    lines = [f'{name} = "{folder / name}"' for name in ("graphroot", "runroot", "rootless_storage_path")]
    (folder / "storage.conf").write_text("\n".join(["[storage]", 'driver = "overlay"', *lines, ""]))
    events: list[object] = []
    shop = makers.shop(folder / "home", events)
    backend = PodmanBackend(shop)
    small = makers.image_of([makers.layer_of(shop, makers.tools())], Env=["PATH=/usr/bin"])
    script = "mkdir /made; chown 1000:1001 /made; rm -r /home/app; id -u; stat -c %u:%g /tmp"
    after = backend.run_step(makers.snapshot_of(small), makers.run_step(script), "a" * 64)
    with tarfile.open(fileobj=io.BytesIO(shop.blobs.read(after.layers[-1].digest))) as tar:
        members = {member.name: [member.uid, member.gid, member.mode] for member in tar}
    try:
        PodmanBackend(evolve(shop, step_seconds=2.0)).run_step(after, makers.run_step("sleep 4246"), "b" * 64)
        ended = 0
    except StepFailed as exc:
        ended = exc.status
    image = Assembled(after.config, after.layers)
    placed = backend.materialize(after, image, (), "rootless")
    request = RunRequest(("sh", "-c", "stat -c %u:%g /made; exit 5"))
    return {
        "uid": os.geteuid(),
        "said": [getattr(event, "line", "") for event in events],
        "members": members,
        "ended": ended,
        "there": backend.place.exists(image.image_id, placed.digest).value,
        "status": backend.place.run(placed.digest, request),
        "left": sorted(path.name for path in shop.staging.iterdir()),
        "examined": backend.examine().details,
    }


if __name__ == "__main__":
    found = main(Path(sys.argv[1]))
    sys.stdout.write(f"\n{json.dumps(found)}\n")
