"""A Dockerfile, or a build context, as the base: built by Docker, brought into the blob store, kept by its content.

Nothing of a definition is ever written into a Dockerfile: it is the user's, byte for byte, and what a definition adds
are arguments of a program, or fields of a request.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.backend import Snapshot
from coopery.definition import ContextBase
from coopery.errors import BackendError, BaseError, UnsupportedError
from coopery.events import Output
from coopery.oci.archive import read_archive
from coopery.snapshots import kept
from coopery.snapshots.build_context import laid_out, name_of
from coopery.snapshots.running import Transcript
from coopery.snapshots.secret_files import of_dockerfile
from coopery_docker import builders, owner
from coopery_docker.answers import Refused
from coopery_docker.endpoint import NAME
from coopery_docker.network import PROXIES, network
from coopery_docker.stage import REPOSITORY, Stage, sweep_images

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.sealed import SealedBase
    from coopery.snapshots.build_context import Context
    from coopery_docker.builders import Builder
    from coopery_docker.client import Daemon

_TAG: Final = "coopery.docker.dockerfile.v1"
_MOUNT: Final = re.compile(rb"^\s*RUN\s[^\n]*--mount=", re.MULTILINE | re.IGNORECASE)


def fetch(workshop: Workshop, daemon: Daemon, stage: Stage, base: SealedBase, platform: str) -> Snapshot:
    """Build *base* for *platform*, unless what it gave is kept and *base* does not ask for it anew.

    Raises:
        BaseError: an instruction failed; its last lines are in it.
        UnsupportedError: it needs BuildKit, and there is only the classic builder.
        UsageError: a secret that the definition names was not given.
        BackendError: the daemon failed.
    """
    name = name_of(_TAG, base, platform)
    known = None if base.fresh else kept.load(workshop, name, NAME)
    if known is not None:
        return known
    reference = f"{REPOSITORY}:{owner.own()}-{os.urandom(3).hex()}"
    stage.hold(reference)
    with laid_out(workshop, base) as context:
        _build(workshop, daemon, base, context, reference, platform)
    snapshot = _brought(workshop, daemon, reference, platform)
    sweep_images(daemon)
    kept.save(workshop, snapshot, name)
    return snapshot


def _build(
    workshop: Workshop, daemon: Daemon, base: SealedBase, context: Context, reference: str, platform: str
) -> None:
    field_path = "$.base.context" if isinstance(base.base, ContextBase) else "$.base.dockerfile"
    builder = builders.buildkit()
    words = (
        builder.words if builder else f"the classic builder (Docker {daemon.version}; docker buildx is not installed)"
    )
    workshop.emit(Output(stage="base", line=f"Dockerfile: built by {words}"))
    transcript = Transcript(workshop)
    if builder is None:
        _check_classic(base, context, field_path)
        _classic(workshop, daemon, base, context, reference, platform, transcript, field_path)
    else:
        with of_dockerfile(workshop, base.secrets, field_path) as secrets:
            argv = _argv(builder, base, context, reference, platform, secrets)
            status = _run(workshop, daemon, argv, builder.env, transcript)
        if status:
            raise BaseError(f"{field_path}: the build ended with status {status}\n{transcript.tail}")


def _check_classic(base: SealedBase, context: Context, field_path: str) -> None:
    remedy = "install the buildx plugin of docker"
    if base.secrets:
        raise UnsupportedError(NAME, "secrets", field_path, remedy=remedy)
    if _MOUNT.search(context.dockerfile.read_bytes()):
        raise UnsupportedError(NAME, "RUN --mount", field_path, remedy=remedy)


def _classic(
    workshop: Workshop,
    daemon: Daemon,
    base: SealedBase,
    context: Context,
    reference: str,
    platform: str,
    transcript: Transcript,
    field_path: str,
) -> None:
    with tempfile.TemporaryFile(dir=context.folder.parent) as file:
        _pack(context, file)
        file.seek(0)
        try:
            env = _told(workshop)
            proxies = {name: env[name] for name in PROXIES if name in env}
            arguments = {**proxies, **dict(base.arguments)}
            mode = network(daemon, env)
            for data in daemon.build(file, context.name, reference, arguments, platform, mode):
                transcript.feed(data)
        except Refused as exc:
            transcript.close()
            raise BaseError(f"{field_path}: {exc.message}\n{transcript.tail}") from exc
    transcript.close()


def _pack(context: Context, file: Any) -> None:
    """Write the context's tar.

    The Dockerfile is in it even where ``.dockerignore`` names it: the daemon reads that file too, and takes the
    Dockerfile out again before it copies anything.
    """

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(fileobj=file, mode="w") as tar:
        for path in sorted(context.folder.iterdir()):
            tar.add(path, path.name, filter=plain)
        if context.folder not in context.dockerfile.parents:
            tar.add(context.dockerfile, context.name, filter=plain)


def _argv(
    builder: Builder,
    base: SealedBase,
    context: Context,
    reference: str,
    platform: str,
    secrets: Mapping[str, Path],
) -> tuple[str, ...]:
    """BuildKit's command line, up to its options for the network. Pure."""
    return (
        *builder.argv,
        "--progress=plain",
        f"--tag={reference}",
        f"--platform={platform}",
        f"--file={context.dockerfile}",
        *(f"--build-arg={name}={value}" for name, value in base.arguments),
        *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
        "--",
        str(context.folder),
    )


def _told(workshop: Workshop) -> dict[str, str]:
    """The environment, and what the settings say of the outside world.

    Builders declare the variables for proxies by themselves, and keep them out of the image and its history.
    """
    from coopery.wire.child_env import child_env

    return {**os.environ, **child_env(workshop.settings)}


def _run(
    workshop: Workshop, daemon: Daemon, argv: Sequence[str], more: Mapping[str, str], transcript: Transcript
) -> int:
    """Run BuildKit's command line; its status. It ends with us, if we end well."""
    env = {**_told(workshop), **more}
    *options, dashes, folder = argv
    options += [f"--build-arg={name}" for name in PROXIES if name in env]  # the value is taken from the environment
    if network(daemon, env) == "host":
        options.append("--network=host")
    argv = (*options, dashes, folder)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT) as child:
        assert child.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            while data := os.read(child.stdout.fileno(), 1 << 16):
                transcript.feed(data)
        except BaseException:
            child.terminate()
            raise
    transcript.close()
    return child.returncode


def _brought(workshop: Workshop, daemon: Daemon, reference: str, platform: str) -> Snapshot:
    """The image that was built, with all its layers in the blob store."""
    if daemon.image(reference) is None:
        raise BackendError(NAME, f"the build ended well, and the daemon has no {reference}")
    handle, path = tempfile.mkstemp(prefix="saved-", dir=workshop.staging)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in daemon.save(reference):
                file.write(piece)
        digest, image = read_archive(Path(path), "", platform, workshop.blobs)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return Snapshot(NAME, image.image_id, digest, image.config, image.layers)
