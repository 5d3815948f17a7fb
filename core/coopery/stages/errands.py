"""Errands: programs run in the image that is being made, as one step on a backend. See `coopery.inside`.

A step needs nothing new of a backend: the snapshot is the user's own, with the packages below and one more layer that
holds what the errand is given. What the step changed is read for its results and then forgotten.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from attrs import frozen

from coopery import activation
from coopery import digest as _digest
from coopery import key as _key
from coopery.assemble import assemble
from coopery.backend import Snapshot
from coopery.blobs import disk_error
from coopery.definition import RunStep
from coopery.engines.needs import FROM_SOURCE, builds_packages
from coopery.errors import PackageError, UnsupportedError
from coopery.inside import HERE, OUT
from coopery.layer import Entry, Tree
from coopery.sealed import SealedStep
from coopery.snapshots import config as _config

if TYPE_CHECKING:
    from coopery.activation import Activation
    from coopery.backend import Backend
    from coopery.digest import Digest
    from coopery.events import Emit
    from coopery.home import Home
    from coopery.inside import Errand
    from coopery.layer import Layer
    from coopery.lock import Lock
    from coopery.oci.tree import Node
    from coopery.stages.first import Ground
    from coopery.stages.second import Contents
    from coopery.target import Resolved

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,254}")
_MOST: Final = 100
_LARGEST: Final = 16 << 30
_PIECE: Final = 1 << 20
_OWN_LAYERS: Final = 2
"""Layers that an errand needs for itself: what it is given, and what it makes."""


@frozen
class Ways:
    """What all errands of one build share.

    Attributes:
        backend: runs them.
        ground: what the user's steps gave.
        target: what packages are for.
        home: has blobs and layers.
        emit: told of layers that are cut.
        able: names of the installed backends that run errands.
    """

    backend: Backend
    ground: Ground
    target: Resolved
    home: Home
    emit: Emit
    able: tuple[str, ...] = ()


class OnGround:
    """The image as far as it is made. Satisfies `coopery.inside.Inside`.

    Args:
        ways: of the build.
        below: the packages that are there.
        contents: the same as trees; asked for once, when the first errand is run.
    """

    def __init__(self, ways: Ways, below: Lock, contents: Callable[[], Contents]) -> None:
        self._ways = ways
        self._below = below
        self._contents = contents

    def check(self, what: str) -> None:
        """See `coopery.inside.Inside.check`."""
        if not builds_packages(self._ways.backend.abilities):
            raise UnsupportedError(self._ways.backend.name, FROM_SOURCE, what, self._ways.able)

    def digest(self) -> Digest:
        """See `coopery.inside.Inside.digest`."""
        named = [self._ways.ground.snapshot.digest, self._ways.target.prefix, self._below.digest]
        return _digest.of_bytes(json.dumps(named).encode())

    def run(self, errand: Errand, folder: Path) -> tuple[Path, ...]:
        """See `coopery.inside.Inside.run`."""
        self.check(errand.subject)
        backend = self._ways.backend
        ready = self._ready(errand)
        argv = self._activation.argv(errand.argv)
        step = SealedStep(RunStep(argv, network=False), field_path=errand.subject)
        platform = self._ways.target.platform
        name = _key.step_key(backend.name, platform, dict(backend.identity(step)), ready.digest)
        try:
            after = backend.run_step(ready, step, name)
            return self._results(after.layers[len(ready.layers) :], folder)
        finally:
            with suppress(OSError):  # what stays is collected by its age
                self._kept(name).unlink()

    def _kept(self, name: str) -> Path:
        """Where the backend keeps the snapshot, which nobody needs again."""
        return self._ways.home.root / "snapshots" / f"{name}.json"

    @cached_property
    def _image(self) -> Snapshot:
        """The snapshot with the packages below."""
        from coopery.layers.compose import compose
        from coopery.layers.store import LayerStore

        ways, contents = self._ways, self._contents()
        ground, home = ways.ground.snapshot, ways.home
        store = LayerStore(home.layers, home.blobs, home.staging)
        layers = compose(contents.trees, ways.target, store, len(ground.layers) + _OWN_LAYERS, ways.emit)
        made = assemble(ground, layers, contents.configuration, ways.target)
        return Snapshot(ground.backend, made.image_id, made.image_id, made.config, made.layers)

    @cached_property
    def _activation(self) -> Activation:
        """Scripts of conda packages that are sourced first: they tell builds where the compilers are."""
        image = self._image
        return activation.look(self._ways.backend.files(image), _env(image.config, {}))

    def _ready(self, errand: Errand) -> Snapshot:
        """What the errand's step runs on: everything that it is given is one more layer."""
        from coopery.layers.cut import cut_into

        entries = [Entry(OUT.lstrip("/"), "directory", 0o755), *errand.entries]
        for entry in entries:
            if not PurePosixPath("/", entry.path).is_relative_to(HERE):
                raise AssertionError(f"{entry.path}: an errand's files lie below {HERE}")
        tree = Tree(errand.subject, "errand", (), lambda: [entry.path for entry in entries], lambda: entries)
        layer, _ = cut_into(self._ways.home.blobs, [tree])
        image = self._image
        env = [f"{name}={value}" for name, value in _env(image.config, errand.env).items()]
        config = _config.changed(image.config, "coopery: errand", layer, Env=env, User="", WorkingDir=HERE)
        digest = _digest.of_bytes(config)
        return Snapshot(image.backend, digest, digest, config, (*image.layers, layer))

    def _results(self, layers: tuple[Layer, ...], folder: Path) -> tuple[Path, ...]:
        """Copy what lies in `OUT` of *layers*."""
        from coopery.oci.layer_blob import plain_blob
        from coopery.oci.layers_view import merged

        blobs = self._ways.home.blobs
        found = merged(layers, blobs).find(OUT)
        copies: list[Path] = []
        for name, node in sorted(found.children.items() if found is not None else ()):
            _check(name, node, len(copies))
            blob = plain_blob(layers[node.layer], blobs)
            copies.append(_copied(blob, node, folder / name))
        return tuple(copies)


def _env(config: bytes, more: Mapping[str, str]) -> dict[str, str]:
    entries = (json.loads(config).get("config") or {}).get("Env") or []
    before = {name: value for name, _, value in (str(entry).partition("=") for entry in entries)}
    return {**before, **more}


def _check(name: str, node: Node, before: int) -> None:
    if not _NAME.fullmatch(name) or node.kind != "file":
        raise PackageError(repr(name), f"was left in {OUT}: expected plain files with plain names, found a {node.kind}")
    if node.size > _LARGEST or before >= _MOST:
        raise PackageError(name, f"was left in {OUT}: more than {_MOST} files, or one of more than {_LARGEST} bytes")


def _copied(blob: Path, node: Node, target: Path) -> Path:
    try:
        with blob.open("rb", buffering=0) as source, target.open("xb") as copy:
            os.lseek(source.fileno(), node.offset, os.SEEK_SET)
            left = node.size
            while left and (piece := source.read(min(left, _PIECE))):
                copy.write(piece)
                left -= len(piece)
    except OSError as exc:
        raise disk_error(exc) from exc
    return target
