"""What every engine does alike around a ``run:`` step: what the process gets, what it says, what becomes of it.

An engine executes; everything else stands here: the argument vector, the environment that is there during the step
and not in the image (proxies, certificates), secrets as files, the layer and the config afterwards. What it
prints is a `Transcript`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from coopery import digest as _digest
from coopery.backend import Snapshot
from coopery.definition import RunStep
from coopery.errors import StepFailed, UsageError
from coopery.image import variables
from coopery.layer import Layer
from coopery.snapshots import config as _config
from coopery.snapshots.changes import write_changes
from coopery.snapshots.secret_files import given, private_folder
from coopery.snapshots.transcript import Transcript

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.sealed import SealedStep

__all__ = ["SECRETS", "SUPPORT", "Running", "Transcript", "after", "failed", "identity", "prepared", "stray", "take"]

SECRETS: Final = "/run/secrets"
"""Where secrets are files, named by their ids: the place that Docker and Podman use."""

SUPPORT: Final = "/run/coopery"
"""Where what a step needs of the host is mounted: the CA bundle."""

_CERTIFICATES: Final = "ca-certificates.crt"
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
_PROXIES: Final = tuple(
    name for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (upper, upper.lower())
)
_STRAYS: Final = frozenset(
    {".dockerenv", "run/.containerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "dev", "proc", "sys"}
)
"""What engines put into a container by themselves. A step's own change of these is lost, as it is with Docker."""


@frozen
class Running:
    """One ``run:`` step, ready for an engine.

    Attributes:
        argv: what to execute.
        env: the whole environment of the process, build-time variables among it.
        workdir: absolute path in the image.
        user: as the image's config has it; empty for root.
        network: whether it may use the network.
        mounts: host folder → absolute path in the image, read-only.
        seconds: after which it is ended; 0 for never.
        field_path: ``$.steps[2]``, for messages.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    workdir: str
    user: str
    network: bool
    mounts: tuple[tuple[Path, str], ...]
    seconds: float
    field_path: str


def identity(step: SealedStep) -> Mapping[str, Any]:
    """All that can change what a ``run:`` step gives on a snapshot: the words, the ids of secrets, the network."""
    run = _run(step)
    words = [run.run] if isinstance(run.run, str) else list(run.run)
    form = "shell" if isinstance(run.run, str) else "exec"
    return {
        "recipe": "coopery.run.v1",
        "run": words,
        "form": form,
        "secrets": list(run.secrets),
        "network": run.network,
    }


@contextmanager
def prepared(workshop: Workshop, base: Snapshot, step: SealedStep) -> Iterator[Running]:
    """What the process of *step* on *base* gets. Secrets are files in a private folder, which is gone afterwards.

    Raises:
        UsageError: a secret that the step names was not given.
        CacheError: the disk refused.
    """
    run = _run(step)
    document: dict[str, Any] = json.loads(base.config)
    settings = document.get("config") or {}
    env = variables(document)
    argv = ("/bin/sh", "-e", "-c", run.run) if isinstance(run.run, str) else tuple(run.run)
    with private_folder(workshop) as folder:
        support = _support(workshop, folder)
        mounts = [(support, SUPPORT)] if support else []
        if run.secrets:
            mounts.append((_secrets(workshop, run, step, folder), SECRETS))
        yield Running(
            argv=argv,
            env={**env, **_build_time(workshop, support)},
            workdir=settings.get("WorkingDir") or "/",
            user=str(settings.get("User") or ""),
            network=run.network,
            mounts=tuple(mounts),
            seconds=workshop.step_seconds,
            field_path=step.field_path,
        )


def failed(backend: str, running: Running, status: int, transcript: Transcript) -> StepFailed:
    """The error for a step that ended with *status*."""
    return StepFailed(backend, running.field_path, running.argv, status, transcript.tail)


def take(workshop: Workshop, upper: Path, omit_folders: bool = True) -> Layer:
    """The change set in the upper folder *upper*, as a layer in the blob store. See `coopery.snapshots.changes`.

    Raises:
        IndirectError: *upper* is no change set by itself.
        StoreFull, CacheError: the disk refused.
    """
    with workshop.blobs.create() as writer:
        write_changes(upper, writer, stray if omit_folders else lambda _path: False)
    if writer.digest is None:
        raise AssertionError("a blob that was created without an error has a digest")
    return Layer(writer.digest, writer.digest, writer.size, made=True)


def stray(path: str) -> bool:
    """Whether *path* (relative) is there because of the engine or of us, and no part of what the step did."""
    return path in _STRAYS or f"/{path}" in (SECRETS, SUPPORT)


def after(base: Snapshot, step: SealedStep, layer: Layer) -> Snapshot:
    """The snapshot of *base* with what *step* changed."""
    run = _run(step)
    words = run.run if isinstance(run.run, str) else json.dumps(list(run.run))
    created_by = f"coopery: run {words}"
    config = _config.changed(base.config, created_by, layer)
    digest = _digest.of_bytes(config)
    return Snapshot(base.backend, digest, digest, config, (*base.layers, evolve(layer, created_by=created_by)))


def _run(step: SealedStep) -> RunStep:
    if not isinstance(step.step, RunStep):
        raise TypeError(f"{step.field_path}: expected a run step, got {type(step.step).__name__}")
    return step.step


def _support(workshop: Workshop, folder: Path) -> Path | None:
    """The CA bundle, copied: a mount of the host's own would show what else is beside it."""
    bundle = workshop.settings.ca_bundle
    if not bundle:
        return None
    made = folder / "support"
    made.mkdir(mode=0o755)
    try:
        shutil.copyfile(bundle, made / _CERTIFICATES)
    except OSError as exc:
        raise UsageError(f"ca_bundle: {bundle} cannot be read: {exc.strerror}") from exc
    folder.chmod(0o711)
    return made


def _secrets(workshop: Workshop, run: RunStep, step: SealedStep, folder: Path) -> Path:
    values = given(workshop, run.secrets, f"{step.field_path}.secrets")
    made = folder / "secrets"
    made.mkdir(mode=0o755)
    for name, value in values.items():
        path = made / name
        path.write_bytes(value)
        path.chmod(0o444)  # the step's user must read it; the folder above is ours alone
    folder.chmod(0o711)
    return made


def _build_time(workshop: Workshop, support: Path | None) -> dict[str, str]:
    """Variables that are there during the step, absent from the image."""
    from coopery.wire.child_env import child_env

    told = {**os.environ, **child_env(workshop.settings)}
    env = {name: told[name] for name in _PROXIES if name in told}
    if support is not None:
        env |= dict.fromkeys(_CA_VARIABLES, f"{SUPPORT}/{_CERTIFICATES}")
    return env
