"""Buildah's argument vectors: one pure function for each command. Nothing is started here.

Builders check what they are given (`coopery_podman.grammar`); positional arguments stand behind ``--``; there is no
shell. Options are those of buildah 1.28, which later versions have too. Source: the manual pages, buildah-from(1),
buildah-run(1) and so on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

from coopery.errors import UsageError
from coopery_podman import grammar
from coopery_podman.calling import Argv

Mount = tuple[str | os.PathLike[str], str, bool]
"""Host path, absolute path inside, and whether it is read-only."""


@frozen
class Isolation:
    """How a process is kept to its container.

    Attributes:
        name: ``oci``, ``rootless`` or ``chroot``, as buildah calls it.
        runtime: the OCI runtime; empty for chroot, which needs none.
    """

    name: Literal["oci", "rootless", "chroot"]
    runtime: str = ""

    @property
    def options(self) -> Argv:
        """For ``buildah run`` and ``buildah bud``."""
        return ("--isolation", self.name, *(("--runtime", grammar.word(self.runtime)) if self.runtime else ()))

    def __str__(self) -> str:
        return f"{self.name} ({self.runtime})" if self.runtime else self.name


def oci(folder: str | os.PathLike[str], tag: str = "") -> str:
    """The reference of an image in an OCI layout: ``oci:FOLDER[:TAG]``."""
    return f"oci:{grammar.layout(folder)}" + (f":{grammar.reference(tag)}" if tag else "")


def docker_archive(file: str | os.PathLike[str]) -> str:
    """The reference of an image in a tar as ``docker save`` writes it. Its layers are not compressed."""
    return f"docker-archive:{grammar.layout(file)}"


def from_(image: str, *, name: str = "", pull: Literal["missing", "always", "never"] = "missing") -> Argv:
    """Make a working container of *image*: a name, ``scratch``, or what `oci` returns. Prints its name."""
    named = ("--name", grammar.name(name)) if name else ()
    policy = ("--pull-always",) if pull == "always" else ("--pull-never",) if pull == "never" else ()
    return ("from", "--quiet", *named, *policy, "--", _image(image))


def run(
    container: str,
    argv: Sequence[str],
    *,
    isolation: Isolation | None = None,
    env: Mapping[str, str] | None = None,
    pass_env: Iterable[str] = (),
    workdir: str = "",
    user: str = "",
    network: Literal["", "host", "none"] = "",
    mounts: Sequence[Mount] = (),
) -> Argv:
    """Run *argv* in a working container; what it prints is printed.

    Args:
        container: its name.
        argv: program and arguments.
        isolation: as `Buildah.isolation` chose it; buildah's default unless given.
        env: variables over the container's; they are seen by whoever lists processes.
        pass_env: names of variables that are taken from buildah's own environment, so that nobody sees their values.
        workdir: absolute path inside; the container's unless given.
        user: the container's unless given.
        network: ``host``, ``none``, or buildah's default.
        mounts: what is bound into the container for this one process.
    """
    options: list[str] = [*(isolation.options if isolation else ()), "--tty=false"]
    for key, value in sorted((env or {}).items()):
        options += ("--env", f"{grammar.variable(key)}={grammar.argument(value)}")
    for key in sorted(pass_env):
        options += ("--env", grammar.variable(key))
    options += ("--workingdir", grammar.path(workdir)) if workdir else ()
    options += ("--user", grammar.user(user)) if user else ()
    options += ("--network", grammar.word(network)) if network else ()
    for source, target, read_only in mounts:
        options += ("--volume", grammar.mount(source, target, *(("ro",) if read_only else ())))
    return ("run", *options, "--", grammar.name(container), *map(grammar.argument, argv))


def copy(container: str, source: str | os.PathLike[str], target: str, *, owner: str = "") -> Argv:
    """Put a file, or what is in a folder, into a working container, at the absolute path *target*."""
    owned = ("--chown", grammar.user(owner)) if owner else ()
    return ("copy", "--quiet", *owned, "--", grammar.name(container), grammar.host_path(source), grammar.path(target))


def config(
    container: str,
    *,
    env: Mapping[str, str] | None = None,
    workdir: str = "",
    user: str = "",
    entrypoint: Sequence[str] | None = None,
    cmd: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Argv:
    """Change the config that the container's image will have. Only what is given is changed."""
    options: list[str] = []
    for key, value in sorted((env or {}).items()):
        options += ("--env", f"{grammar.variable(key)}={grammar.argument(value)}")
    for key, value in sorted((labels or {}).items()):
        options += ("--label", f"{grammar.word(key)}={grammar.argument(value)}")
    options += ("--workingdir", grammar.path(workdir)) if workdir else ()
    options += ("--user", grammar.user(user)) if user else ()
    if entrypoint is not None:
        options += ("--entrypoint", json.dumps(list(map(grammar.argument, entrypoint))))
    if cmd is not None:
        options += ("--cmd", json.dumps(list(map(grammar.argument, cmd))))
    return ("config", *options, "--", grammar.name(container))


def commit(container: str, image: str, *, remove: bool = False, timestamp: int | None = None) -> Argv:
    """Make an image of a working container. Prints its id.

    Args:
        container: its name.
        image: a name, or what `oci` returns.
        remove: the container afterwards.
        timestamp: seconds since the epoch for files and history; with one, equal content gives equal bytes.
    """
    stamped = () if timestamp is None else ("--timestamp", str(int(timestamp)))
    removed = ("--rm",) if remove else ()
    return (
        "commit",
        "--quiet",
        "--disable-compression",
        *stamped,
        *removed,
        "--",
        grammar.name(container),
        _image(image),
    )


def mount(container: str) -> Argv:
    """Mount a working container's file system. Prints where. An ordinary user does it inside `unshare`."""
    return ("mount", "--", grammar.name(container))


def umount(container: str) -> Argv:
    """The opposite of `mount`."""
    return ("umount", "--", grammar.name(container))


def rm(*containers: str) -> Argv:
    """Remove working containers."""
    return ("rm", "--", *map(grammar.name, containers))


def rmi(*images: str) -> Argv:
    """Take names off images; an image that loses its last one goes. One that a container uses stays: an error."""
    return ("rmi", "--", *map(grammar.reference, images))


def pull(image: str) -> Argv:
    """Bring an image into the storage: layers that it has are not read again. Prints its id."""
    return ("pull", "--quiet", "--", _image(image))


def push(image: str, destination: str, *, compress: bool = False) -> Argv:
    """Write an image elsewhere: to a registry, or to what `oci` returns."""
    plain = () if compress else ("--disable-compression",)
    return ("push", "--quiet", *plain, "--", grammar.reference(image), _image(destination))


def tag(image: str, *names: str) -> Argv:
    """Give an image further names."""
    return ("tag", "--", grammar.reference(image), *map(grammar.reference, names))


def bud(
    context: str | os.PathLike[str],
    dockerfile: str | os.PathLike[str],
    *,
    arguments: Mapping[str, str] | None = None,
    secrets: Mapping[str, str | os.PathLike[str]] | None = None,
    platform: str = "",
    isolation: Isolation | None = None,
    image_id_file: str | os.PathLike[str] = "",
    layers: bool = True,
    network: Literal["", "host", "none"] = "",
    mounts: Sequence[Mount] = (),
) -> Argv:
    """Build a Dockerfile.

    Args:
        context: folder that COPY and ADD take from.
        dockerfile: its path.
        arguments: build arguments, ``ARG`` in the Dockerfile.
        secrets: id → file, for ``RUN --mount=type=secret``.
        platform: ``linux/amd64``; the machine's unless given.
        isolation: of RUN instructions.
        image_id_file: where the id of the result is written.
        layers: keep one layer for each instruction, and reuse them the next time.
        network: of RUN instructions.
        mounts: what is bound into RUN instructions.
    """
    options: list[str] = [*(isolation.options if isolation else ()), "--format", "oci"]
    options += (f"--layers={'true' if layers else 'false'}", "--force-rm")
    for key, value in sorted((arguments or {}).items()):
        options += ("--build-arg", f"{grammar.variable(key)}={grammar.argument(value)}")
    for key, source in sorted((secrets or {}).items()):
        options += ("--secret", f"id={grammar.name(key)},src={_without_comma(source)}")
    options += ("--platform", grammar.word(platform)) if platform else ()
    options += ("--iidfile", grammar.host_path(image_id_file)) if image_id_file else ()
    options += ("--network", grammar.word(network)) if network else ()
    for source, target, read_only in mounts:
        options += ("--volume", grammar.mount(source, target, *(("ro",) if read_only else ())))
    return ("bud", *options, "--file", grammar.host_path(dockerfile), "--", grammar.host_path(context))


def images() -> Argv:
    """All images, as JSON."""
    return ("images", "--all", "--json")


def containers() -> Argv:
    """All working containers, as JSON."""
    return ("containers", "--json")


def inspect(name: str, kind: Literal["container", "image"]) -> Argv:
    """What is known of a container or image, as JSON."""
    return ("inspect", "--type", kind, "--", grammar.reference(name))


def info() -> Argv:
    """What buildah says of itself and its storage, as JSON."""
    return ("info",)


def version() -> Argv:
    """Its version, as JSON."""
    return ("version", "--json")


def unshare(argv: Sequence[str]) -> Argv:
    """Run *argv* where an ordinary user's images have the owners that they have inside."""
    return ("unshare", "--", *map(grammar.argument, argv))


def _image(text: str) -> str:
    """A name, or ``oci:`` or ``docker-archive:`` and a path."""
    if text.startswith("oci:"):
        folder, _, name = text.removeprefix("oci:").partition(":")
        return oci(folder, name)
    if text.startswith("docker-archive:"):
        return docker_archive(text.removeprefix("docker-archive:"))
    return grammar.reference(text)


def _without_comma(path: str | os.PathLike[str]) -> str:
    text = grammar.host_path(path)
    if "," in text:
        raise UsageError(f"{text!r}: buildah has no form for a secret whose path has a comma")
    return str(Path(text))
