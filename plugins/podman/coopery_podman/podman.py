"""Podman's part: argument vectors for asking and running, pure. What makes images is `coopery_podman.buildah`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from coopery.place import Presence
from coopery_podman import grammar

if TYPE_CHECKING:
    from pathlib import Path

    from coopery_podman.calling import Argv

PROGRAM: Final = "podman"
_SECONDS: Final = 60


@frozen
class Way:
    """How containers run on this machine, as found by trying.

    Attributes:
        runtime: the OCI runtime; empty: podman's own choice.
        network: ``host``, or empty: podman's own choice.
        limits: values for ``--ulimit``; none: podman's own, which need a privilege that root may lack.
    """

    runtime: str = ""
    network: str = ""
    limits: tuple[str, ...] = ()

    @property
    def before(self) -> Argv:
        """Options that stand before the command."""
        return ("--runtime", grammar.word(self.runtime)) if self.runtime else ()

    @property
    def options(self) -> Argv:
        """Options of ``podman run``."""
        network = ("--network", grammar.word(self.network)) if self.network else ()
        return (*network, *(word for limit in self.limits for word in ("--ulimit", grammar.word(limit))))


def run(
    image: str,
    argv: Sequence[str],
    *,
    way: Way = Way(),
    env: Mapping[str, str] | None = None,
    pass_env: Iterable[str] = (),
    mounts: Sequence[tuple[str | os.PathLike[str], str]] = (),
    read_only: Collection[str] = (),
    workdir: str = "",
    user: str = "",
    terminal: bool = False,
    devices: Sequence[str] = (),
) -> Argv:
    """Run *argv* in a container of *image*, and remove it afterwards; without *argv* the image's own command.

    A given command replaces ENTRYPOINT and CMD. *read_only* are the targets of mounts that are not written.
    Arguments are as for `coopery_podman.buildah.run`.
    """
    options = ["--rm", "--interactive", "--pull", "never", *init(), *way.options]
    options += ("--tty",) if terminal else ()
    for key, value in sorted((env or {}).items()):
        options += ("--env", f"{grammar.variable(key)}={grammar.argument(value)}")
    for key in sorted(pass_env):
        options += ("--env", grammar.variable(key))
    for source, target in mounts:
        options += ("--volume", grammar.mount(source, target, *(("ro",) if target in read_only else ())))
    options += ("--workdir", grammar.path(workdir)) if workdir else ()
    options += ("--user", grammar.user(user)) if user else ()
    for device in devices:
        options += ("--device", grammar.word(device))
    program = ("--entrypoint", json.dumps([grammar.argument(argv[0])])) if argv else ()
    rest = map(grammar.argument, argv[1:])
    return (PROGRAM, *way.before, "run", *filter(None, options), *program, "--", grammar.reference(image), *rest)


def run_folder(folder: Path, argv: Sequence[str], *, way: Way) -> Argv:
    """Run *argv* with *folder* as its root, with no image at all: to try *way*."""
    options = ("--rm", *way.options, "--rootfs")
    return (PROGRAM, *way.before, "run", *options, "--", grammar.host_path(folder), *map(grammar.argument, argv))


def exists(image: str, digest: str = "") -> Presence:
    """Whether podman has *image*, an id or a name, and as *digest*, the digest of a manifest, where that is given.

    Its exit status is 0 or 1; anything else is no answer.
    """
    status, _ = _asked("exists", image)
    if status or not digest:
        return {0: Presence.YES, 1: Presence.NO}.get(status, Presence.UNKNOWN)
    status, said = _asked("inspect", image)
    if status:
        return Presence.UNKNOWN
    return Presence.YES if digest in said else Presence.NO


def _asked(command: str, image: str) -> tuple[int, str]:
    """Exit status and output of ``podman image <command>``; 125, podman's own for its failures, where it has none."""
    argv = (PROGRAM, "image", command, "--", grammar.reference(image))
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 125, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")


def init() -> Argv:
    """Options that put an init before the program; none where there is none on this machine.

    Without one the program is the first process of its namespace, and ends by no signal that it does not handle.
    Podman's own is catatonit, which it only recommends; Docker's is a tini that needs no library in the image.
    """
    if any(os.access(f"{folder}/catatonit", os.X_OK) for folder in _INIT_FOLDERS):
        return ("--init",)
    found = next(filter(None, map(shutil.which, _OTHER_INITS)), None)
    return ("--init", "--init-path", found) if found else ()


_OTHER_INITS: Final = ("tini-static", "docker-init")
_INIT_FOLDERS: Final = (
    "/usr/libexec/podman",
    "/usr/bin",
    "/usr/local/bin",
    "/usr/local/libexec/podman",
    "/usr/lib/podman",
)
