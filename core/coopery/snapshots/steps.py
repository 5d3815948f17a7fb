"""Steps without an engine: copy, env, workdir and user need nothing executed. Equal inputs give equal bytes.

``run:`` needs an engine: a backend that has one keeps such steps to itself; core refuses them for the others before
anything is fetched, and so does this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from coopery import digest as _digest
from coopery.backend import Snapshot
from coopery.definition import CopyStep, EnvStep, RunStep, UserStep, WorkdirStep
from coopery.errors import PackageError, StepError, UnsupportedError
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.seal import recheck
from coopery.snapshots import config as _config
from coopery.snapshots import copying
from coopery.snapshots.users import UnknownUser, account

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.files import Files
    from coopery.sealed import SealedStep

RECIPE: Final = "coopery.oci.step.v1"
"""Raise it when a step comes to mean other bytes: all step keys change with it."""


def identity(step: SealedStep, backend: str) -> Mapping[str, Any]:
    """All that can change what *step* gives on a given snapshot. Pure.

    Raises:
        UnsupportedError: a ``run:`` step; *backend* is named.
    """
    match step.step:
        case CopyStep(to=to, mode=mode, owner=owner):
            parts: dict[str, Any] = {"copy": step.content, "to": to, "mode": mode, "owner": owner}
        case EnvStep(env=env):
            parts = {"env": [list(pair) for pair in env]}
        case WorkdirStep(workdir=workdir):
            parts = {"workdir": workdir}
        case UserStep(user=user):
            parts = {"user": user}
        case RunStep():
            raise _cannot_run(step, backend)
    return {"recipe": RECIPE, **parts}


def run_step(workshop: Workshop, files: Files, base: Snapshot, step: SealedStep) -> Snapshot:
    """*base* after *step*. Layers go into ``workshop.blobs``.

    Raises:
        UnsupportedError: a ``run:`` step.
        IntegrityError: what is copied changed since the key was made.
        StepError: the image has something in the way, or lacks the user.
    """
    match step.step:
        case CopyStep() as copy:
            return _copy(workshop, files, base, step, copy)
        case EnvStep(env=env):
            names = " ".join(name for name, _ in env)
            return _after(base, f"coopery: env {names}", Env=_config.with_env(base.config, env))
        case WorkdirStep(workdir=workdir):
            layer = _folder_layer(workshop, copying.folder_entries(files, workdir, f"{step.field_path}.workdir"))
            return _after(base, f"coopery: workdir {workdir}", layer, WorkingDir=workdir)
        case UserStep(user=user):
            _check_user(files, user, step.field_path)
            return _after(base, f"coopery: user {user}", User=user)
        case RunStep():
            raise _cannot_run(step, base.backend)


def _copy(workshop: Workshop, files: Files, base: Snapshot, step: SealedStep, copy: CopyStep) -> Snapshot:
    """The layer is cut first and the content checked again after, so that no change in between goes unnoticed."""
    nodes = recheck(step)
    entries = copying.entries(files, copy, nodes, step.field_path)
    layer = _cut(workshop, f"copy {copy.copy} to {copy.to}", entries, f"{step.field_path}.copy")
    recheck(step)
    return _after(base, f"coopery: copy {copy.copy} to {copy.to}", layer)


def _folder_layer(workshop: Workshop, entries: Sequence[Entry]) -> Layer | None:
    return _cut(workshop, "workdir", entries, "workdir") if entries else None


def _cut(workshop: Workshop, name: str, entries: Sequence[Entry], place: str) -> Layer:
    tree = Tree(name, name, (), lambda: [entry.path for entry in entries], lambda: entries)
    try:
        layer, _ = cut_into(workshop.blobs, [tree])
    except PackageError as exc:
        raise StepError(f"{place}: {exc.message}") from exc
    return layer


def _after(base: Snapshot, created_by: str, layer: Layer | None = None, **settings: Any) -> Snapshot:
    config = _config.changed(base.config, created_by, layer, **settings)
    digest = _digest.of_bytes(config)
    layers = (*base.layers, evolve(layer, created_by=created_by)) if layer else base.layers
    return Snapshot(base.backend, digest, digest, config, layers)


def _check_user(files: Files, user: str, place: str) -> None:
    try:
        account(files, user)
    except UnknownUser as exc:
        raise StepError(f"{place}.user: {exc}", remedy="write a number, or a user that the base has") from exc


def _cannot_run(step: SealedStep, backend: str) -> UnsupportedError:
    return UnsupportedError(backend, "run", f"{step.field_path}.run")
