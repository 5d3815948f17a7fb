"""The files beside a Dockerfile or a definition: layers as plain tars, each verified, and where packages came from."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.blobs import disk_error
from coopery.errors import UsageError
from coopery.oci.flatten import flatten
from coopery.oci.layer_blob import opened
from coopery.redact import masked

if TYPE_CHECKING:
    from coopery.blobs import BlobStore
    from coopery.export.recipe import Recipe
    from coopery.layer import Layer
    from coopery.lock import Artifact, Lock
    from coopery.settings import Settings

BASE: Final = "base.tar"

_CHUNK: Final = 1 << 20
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._+-]+")


@contextmanager
def made(path: Path) -> Iterator[Path]:
    """A new folder, filled under another name and renamed to *path* at the end; after an error nothing is left.

    Raises:
        UsageError: something is at *path* already.
        StoreFull, CacheError: the disk refused.
    """
    path = path.absolute()
    if os.path.lexists(path) and not (path.is_dir() and not path.is_symlink() and not os.listdir(path)):
        raise UsageError(f"{path}: something is there already", remedy="remove it, or write to another place")
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)
        yield Path(temporary)
        os.chmod(temporary, 0o755)  # noqa: S103 - a folder of the user's, as mkdir would make it
        os.replace(temporary, path)
    except OSError as exc:
        raise disk_error(exc) from exc
    finally:
        if temporary and os.path.lexists(temporary):
            shutil.rmtree(temporary, ignore_errors=True)


def write_layers(recipe: Recipe, blobs: BlobStore, folder: Path) -> dict[Layer, str]:
    """Write the layers of copy and workdir steps and of packages into *folder*; returns the name of each file there.

    Raises:
        IntegrityError: a layer is missing or damaged.
    """
    folder.mkdir(exist_ok=True)
    stepped = [part.layer for part in recipe.steps if part.kind != "run" and part.layer is not None]
    wanted = [*stepped, *recipe.packages]
    names = {layer: f"{number:03}-{_label(layer)}.tar" for number, layer in enumerate(dict.fromkeys(wanted), 1)}
    for layer, name in names.items():
        with opened(layer, blobs) as stream, (folder / name).open("wb") as file:
            while piece := stream.read(_CHUNK):
                file.write(piece)
    return names


def write_base(recipe: Recipe, blobs: BlobStore, folder: Path) -> str:
    """Write the file system of a base that is no image of a registry; the name of its file, empty where it has none.

    Raises:
        IntegrityError: a layer is missing or damaged.
    """
    if not recipe.base_layers:
        return ""
    folder.mkdir(exist_ok=True)
    with (folder / BASE).open("wb") as file:
        flatten(recipe.base_layers, blobs, file)
    return BASE


def write_sources(lock: Lock | None, settings: Settings, folder: Path) -> tuple[str, ...]:
    """Say where each package came from: conda's as an explicit list, pip's as requirements; names of the files."""
    written = []
    if lock is None:
        return ()
    conda = [(settings.channel_url(one.source), one) for one in lock.of_kind("conda")]
    if conda and all("://" in url for url, _ in conda):
        lines = [f"{masked(url)}/{one.subdir}/{one.file_name}#sha256:{one.sha256}" for url, one in conda]
        (folder / "explicit.txt").write_text("\n".join(("@EXPLICIT", *lines, "")), encoding="utf-8")
        written.append("explicit.txt")
    if wheels := lock.of_kind("pip"):
        lines = [_requirement(one) for one in wheels]
        (folder / "requirements.txt").write_text("\n".join((*lines, "")), encoding="utf-8")
        written.append("requirements.txt")
    return tuple(written)


def _requirement(artifact: Artifact) -> str:
    """One package of pip's; of one that was built, its source. A repository has no hash but its commit."""
    built = artifact.built
    named = f"{artifact.name}=={artifact.version}"
    if built is None:
        return f"{named} --hash=sha256:{artifact.sha256}"
    asked = f"{artifact.name} @ {masked(built.source)}" if "://" in built.source else named
    return f"{asked} --hash=sha256:{built.sha256}" if built.sha256 else asked


def _label(layer: Layer) -> str:
    """What is in a layer, as a part of a file's name."""
    text = layer.created_by.removeprefix("coopery: ") or layer.digest.partition(":")[2][:12]
    return _UNSAFE.sub("-", text).strip("-.")[:80] or "layer"
