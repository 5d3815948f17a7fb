"""Build secrets as files, for as long as an engine needs them: in a private folder, in memory where there is one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.errors import CacheError, UsageError

if TYPE_CHECKING:
    from coopery.backend import Workshop

CA_BUNDLE: Final = "coopery-ca"
"""Id of the secret that every Dockerfile is offered: the CA bundle of the settings, where they name one."""

_PREFIX: Final = "coopery-step-"
_YOUNG: Final = 60.0
"""Seconds: a folder this new may not be locked yet."""


def demand(wanted: Mapping[str, str], there: Container[str]) -> None:
    """See that every secret was given.

    Args:
        wanted: ids → field path of what names each.
        there: ids of those that were given.

    Raises:
        UsageError: those that are missing, all of them.
    """
    missing = {name: place for name, place in wanted.items() if name not in there}
    if missing:
        listed = "; ".join(f"{place}: {name}" for name, place in missing.items())
        options = " ".join(f"--secret id={name},env=VARIABLE" for name in missing)
        raise UsageError(
            f"no value was given for {'a build secret' if len(missing) == 1 else 'build secrets'}: {listed}",
            remedy=f"coopery build {options} (or src=FILE); in Python: Builder(secrets={{{next(iter(missing))!r}: …}})",
        )


def given(workshop: Workshop, names: Sequence[str], place: str) -> dict[str, bytes]:
    """The values of the secrets called *names*.

    Args:
        workshop: holds those that were given.
        names: their ids.
        place: field path of what names them.

    Raises:
        UsageError: one was not given; all such are named.
    """
    demand(dict.fromkeys(names, place), workshop.secrets)
    return {name: workshop.secrets[name] for name in names}


@contextmanager
def of_dockerfile(workshop: Workshop, names: Sequence[str], place: str) -> Iterator[Mapping[str, Path]]:
    """Files with the secrets that a Dockerfile may read, for as long as it is built; nobody else reads them.

    The CA bundle of the settings is among them, as `CA_BUNDLE`: a ``RUN`` mounts it where it wants it, and where the
    settings name none, it finds what the image has there.

    Raises:
        UsageError: one was not given, or the CA bundle cannot be read.
        CacheError: the disk refused.
    """
    values = {**_ca_bundle(workshop), **given(workshop, names, place)}
    with private_folder(workshop) as folder:
        paths = {name: folder / str(number) for number, name in enumerate(values)}
        for name, path in paths.items():
            path.touch(mode=0o600)
            path.write_bytes(values[name])
        yield paths


def _ca_bundle(workshop: Workshop) -> dict[str, bytes]:
    bundle = workshop.settings.ca_bundle
    if not bundle:
        return {}
    try:
        return {CA_BUNDLE: Path(bundle).read_bytes()}
    except OSError as exc:
        raise UsageError(f"ca_bundle: {bundle} cannot be read: {exc.strerror}") from exc


@contextmanager
def private_folder(workshop: Workshop) -> Iterator[Path]:
    """A private folder, locked for as long as it is used; what processes that were killed have left is removed.

    Raises:
        CacheError: the disk refused.
    """
    parent = _memory() or workshop.staging
    _sweep(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise CacheError(f"no folder for what a step needs can be made: {exc}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(parent: Path) -> None:
    """Remove folders of ours that nobody holds; a lock ends with its process, however that ends."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG:
                continue
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _memory() -> Path | None:
    """A folder that never reaches a disk, where this machine has one."""
    found = Path(os.environ.get("XDG_RUNTIME_DIR") or "/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it
    return found if found.is_dir() and os.access(found, os.W_OK) else None
