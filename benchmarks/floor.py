"""What a Docker daemon's own import costs, which no build that ends in ``docker load`` can be faster than.

The packages of an image as they are, layer by layer; and the same files as one layer: what would be imported by who
gave up a layer for each package.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from contest import seconds

_AGAIN = 3
Seconds = tuple[float, float]


def imports(home: Path, image: str, program: str, env: Mapping[str, str], forget: Callable[[], None]) -> Seconds:
    """Seconds of ``docker load`` of the packages of *image*: layer by layer, and with all files in one layer.

    Args:
        home: cache folder in which it was built.
        image: its id.
        program: the command line of the daemon.
        env: names the daemon.
        forget: empties it.
    """
    blobs = home / "images" / "blobs" / "sha256"
    config = json.loads((blobs / image.removeprefix("sha256:")).read_text())
    found = [blobs / diff_id.removeprefix("sha256:") for diff_id in config["rootfs"]["diff_ids"]]
    layers = [path for path in found if path.is_file()]  # the base is kept as it came, and is not among them
    made = [_archive(home / "many.tar", [[layer] for layer in layers]), _archive(home / "one.tar", [layers])]
    took: dict[Path, list[float]] = {archive: [] for archive in made}
    for _ in range(_AGAIN):
        for archive in made:
            forget()
            took[archive].append(seconds([program, "load", "-q", "-i", str(archive)], env))
    for archive in made:
        archive.unlink()
    return statistics.median(took[made[0]]), statistics.median(took[made[1]])


def _archive(path: Path, groups: list[list[Path]]) -> Path:
    diff_ids, names = [], []
    with tarfile.open(path, "w") as archive:
        for number, group in enumerate(groups):
            data = group[0].read_bytes() if len(group) == 1 else _merged(group)
            diff_ids.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
            names.append(f"{number}.tar")
            _add(archive, names[-1], data)
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        _add(archive, "config.json", json.dumps(config).encode())
        entry = {"Config": "config.json", "RepoTags": [f"floor:{path.stem}"], "Layers": names}
        _add(archive, "manifest.json", json.dumps([entry]).encode())
    return path


def _merged(group: list[Path]) -> bytes:
    """One tar of all; a directory that several have is in it once."""
    data, seen = io.BytesIO(), set()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as merged:
        for layer in group:
            for member, content in _members(layer):
                if member.name not in seen:
                    seen.add(member.name)
                    merged.addfile(member, content)
    return data.getvalue()


def _members(layer: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with tarfile.open(layer) as tar:
        for member in tar:
            yield member, tar.extractfile(member) if member.isreg() else None


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
