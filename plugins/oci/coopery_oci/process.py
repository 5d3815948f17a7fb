"""What exactly is to run in an image: from its config and a request, by the image's own files. Nothing is started.

As Docker does where it has a rule: USER by the image's /etc/passwd, a missing working directory is made, HOME is the
user's. Unlike Docker, a given command replaces the whole command of the image: ENTRYPOINT is not put before it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from coopery.activation import NOTHING, Activation, look
from coopery.errors import BackendError, UsageError
from coopery.facts import Obstacle, follow
from coopery.files import Files
from coopery.image import variables
from coopery.place import RunRequest
from coopery.snapshots.users import Account, UnknownUser, account

_FROM_HOST: Final = ("/etc/resolv.conf", "/etc/hosts")
_MAX_HOST_FILE: Final = 1 << 20


@frozen
class Process:
    """One process, ready to start once its root is made. All image paths have their symlinks followed.

    Attributes:
        argv: the program and its arguments; the program is looked for on the image's PATH.
        env: the whole environment.
        cwd: working directory in the image.
        account: user, groups and home.
        mounts: host path and path in the image.
        read_only: paths in the image of those that are not to be written.
        folders: folders to make where they are missing.
        files: small files that come from the host: name resolution.
        activation: what is to be sourced before the program.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    account: Account
    mounts: tuple[tuple[str, str], ...] = ()
    read_only: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    activation: Activation = NOTHING

    def candidates(self, name: str) -> tuple[str, ...]:
        """Where in the image a program called *name* is looked for, in order: absolute paths."""
        folders = [""] if "/" in name else self.env.get("PATH", "").split(":")
        paths = (f"{folder}/{name}" if folder else name for folder in folders)
        return tuple(path if path.startswith("/") else f"{self.cwd}/{path}" for path in paths)


def plan(files: Files, config: Mapping[str, Any], request: RunRequest, environ: Mapping[str, str]) -> Process:
    """The process that *request* asks for in the image with *files* and OCI *config*.

    Args:
        files: the image's file system.
        config: the whole image config.
        request: what to run.
        environ: the caller's environment, of which only TERM passes.

    Raises:
        UsageError: no command, a mount that cannot be, a path that is not absolute.
        BackendError: the user is not in the image, or a path in it cannot be followed.
    """
    settings = config.get("config") or {}
    argv = _command(settings, request)
    who = _account(files, request.user or str(settings.get("User") or ""))
    env = _environment(config, request, who, environ)
    cwd = _inside(files, request.workdir or str(settings.get("WorkingDir") or "/"), "working directory")
    return Process(
        argv=argv,
        env=env,
        cwd=cwd,
        account=who,
        mounts=tuple(_mount(files, source, target) for source, target in request.mounts),
        read_only=tuple(_inside(files, path, "mount point") for path in request.read_only),
        folders=(cwd,),
        files=_names(files),
        activation=look(files, env),
    )


def activated(process: Process) -> Process:
    """*process* behind a shell that sources the packages' activation scripts, where there are any and a shell."""
    return evolve(process, argv=process.activation.argv(process.argv))


def _command(settings: Mapping[str, Any], request: RunRequest) -> tuple[str, ...]:
    own = (*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ()))
    argv = tuple(request.argv) or tuple(str(word) for word in own)
    if not argv or not argv[0]:
        raise UsageError("the image has no command of its own", remedy="say what to run: … -- python train.py")
    for text in (*argv, *request.env, *request.env.values(), request.workdir):
        if "\0" in text:
            raise UsageError(f"{text!r}: no program can be given a NUL character")
    return argv


def _account(files: Files, user: str) -> Account:
    try:
        return account(files, user)
    except UnknownUser as exc:
        raise BackendError("oci", f"cannot run as {user!r}: {exc}", remedy="choose another user, or a number") from exc


def _environment(
    config: Mapping[str, Any], request: RunRequest, who: Account, environ: Mapping[str, str]
) -> dict[str, str]:
    env = {"HOME": who.home}
    env |= {"TERM": environ["TERM"]} if "TERM" in environ else {}
    return {**env, **variables(config), **request.env}


def _inside(files: Files, path: str, what: str) -> str:
    if not path.startswith("/"):
        raise UsageError(f"the {what} {path!r} is not absolute")
    try:
        found = follow(files, path)
    except Obstacle as exc:
        raise BackendError("oci", f"the {what} {path} cannot be reached in the image: {exc}") from exc
    return found.path


def _mount(files: Files, source: Path, target: str) -> tuple[str, str]:
    real = os.path.realpath(source)
    if not os.path.exists(real):
        raise UsageError(f"cannot mount {source}: nothing is there")
    inside = _inside(files, target, "mount point")
    if inside == "/":
        raise UsageError(f"cannot mount {source} at /: that is the image")
    there = files.lstat(inside)
    if there is not None and (there.kind == "directory") != os.path.isdir(real):
        kinds = ("a folder", "a file") if os.path.isdir(real) else ("a file", "a folder")
        raise UsageError(f"cannot mount {source}, {kinds[0]}, at {target}, which is {kinds[1]} in the image")
    return real, inside


def _names(files: Files) -> dict[str, str]:
    """The host's name resolution: the network is the host's, and so are its names."""
    contents = {}
    for path in _FROM_HOST:
        folder, _, name = path.rpartition("/")
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                contents[f"{follow(files, folder).path}/{name}"] = stream.read(_MAX_HOST_FILE)
        except (OSError, Obstacle):  # a host or an image without it: programs then have no names, and say so
            continue
    return contents
