"""Running a process in an image without an engine: unpack once, then the first way that this machine allows."""

from __future__ import annotations

import errno
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery import platform as _platform
from coopery.errors import BackendError, NotFound, UnsupportedError
from coopery.events import Output, Warned
from coopery.home import Home
from coopery.oci import media
from coopery.oci.config import parse_config, platform_of
from coopery.oci.layout import Layout
from coopery.oci.manifest import parse_manifest
from coopery_oci import rootfs
from coopery_oci.explain import explain
from coopery_oci.loader import through_loader
from coopery_oci.process import Process, activated, plan
from coopery_oci.scratch import scratch
from coopery_oci.supervise import Ended, Refused, attempt
from coopery_oci.ways import Way, ways

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.place import RunRequest

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""Statuses that a shell would give. Source: POSIX.1-2017, Shell Command Language, 2.8.2."""

_EMULATORS: Final = {"amd64": "x86_64", "arm64": "aarch64"}


def run(workshop: Workshop, digest: Digest, request: RunRequest) -> int:
    """Run *request* in the image whose manifest is *digest*, with this process's streams.

    The way that is taken is reported as one line of output before the program starts. The image stays as it is:
    what the program writes outside mounts is gone with it. So is every process that it leaves behind.

    Returns:
        The program's exit status; 128 + n when signal n ended it; 127 or 126 when it is not there or no program.

    Raises:
        NotFound: the image is not here.
        UnsupportedError: GPUs were asked for.
        UsageError, BackendError: the request, or the image, cannot be run here.
    """
    return run_image(workshop, _opened(workshop, digest), request)


def run_image(workshop: Workshop, image: Assembled, request: RunRequest) -> int:
    """As `run`, of an image in hand whose blobs are in ``workshop.blobs``."""
    if request.gpu:
        raise UnsupportedError("oci", "gpu", "run --gpu")
    config = image.document
    platform = platform_of(config)
    _check_platform(platform)
    with rootfs.held(workshop, image) as root:
        files = rootfs.FolderFiles(root)
        process = plan(files, config, request, os.environ)
        ended = _first_that_works(workshop, process, files, root, platform)
        if ended.exec_error is None:
            return ended.status
        workshop.emit(Warned(message=explain(process, files, ended.exec_error)))
    return NOT_FOUND if ended.exec_error in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def _opened(workshop: Workshop, digest: Digest) -> Assembled:
    layout = Layout(Home(workshop.home).images, workshop.staging)
    try:
        manifest = parse_manifest(layout.blobs.read(digest), media.MANIFEST, digest)
        config = parse_config(layout.blobs.read(manifest.config.digest), manifest.config.digest)
    except FileNotFoundError as exc:
        raise NotFound(f"{layout.root}: no image {digest}", remedy="build its definition again") from exc
    return layout.open(digest, platform_of(config))[1]


def _first_that_works(workshop: Workshop, process: Process, files: Files, root: Path, platform: str) -> Ended:
    refusals = []
    for way in ways():
        try:
            return _by(way, workshop, process, files, root, platform)
        except Refused as exc:
            refusals.append(f"{way.name}: {exc}")
    raise BackendError(
        "oci",
        "this machine allows no way to run a program in an image: " + "; ".join(refusals),
        remedy="allow user namespaces (sysctl user.max_user_namespaces), or run as root",
    )


def _by(way: Way, workshop: Workshop, process: Process, files: Files, root: Path, platform: str) -> Ended:
    with scratch(Home(workshop.home).own) as folder:
        try:
            spec = _specification(way, process, files, root, folder, platform)
        except OSError as exc:  # the loader way looks for the program itself
            return Ended(exec_error=exc.errno)
        return attempt(way, spec, partial(workshop.emit, Output(stage="image", line=f"run: {way.words}")))


def _specification(way: Way, process: Process, files: Files, root: Path, folder: Path, platform: str) -> dict[str, Any]:
    """What `coopery_oci.inside` is told, as plain data."""
    if not way.isolated and process.mounts:
        raise Refused(f"it cannot mount {process.mounts[0][0]}")
    there = f"{folder.absolute()}/root"
    process = activated(process) if way.chroot else through_loader(process, files, there, platform)
    return {
        "image": str(root.absolute()),
        "scratch": str(folder.absolute()),
        "isolated": way.isolated,
        "chroot": way.chroot,
        "user_namespace": way.user_namespace,
        "real_root": os.geteuid() == 0,
        "argv": list(process.argv),
        "env": dict(process.env),
        "cwd": process.cwd,
        "uid": process.account.uid,
        "gid": process.account.gid,
        "groups": list(process.account.groups),
        "mounts": [list(mount) for mount in process.mounts],
        "read_only": list(process.read_only),
        "folders": list(process.folders),
        "files": dict(process.files),
        "ignored_signals": _ignored(),
    }


def _ignored() -> list[int]:
    """Signals that our caller had us ignore, as nohup does; those that Python itself ignores are not among them."""
    ours = {signal.SIGPIPE, signal.SIGXFSZ}
    return [int(number) for number in signal.valid_signals() - ours if signal.getsignal(number) is signal.SIG_IGN]


def _check_platform(platform: str) -> None:
    if sys.platform != "linux":
        raise BackendError("oci", "images run on Linux only", remedy="export the image and run it there")
    host = _platform.of_host()
    architecture = _platform.architecture(platform)
    emulator = f"qemu-{_EMULATORS.get(architecture, architecture)}"
    if platform == host or Path("/proc/sys/fs/binfmt_misc", emulator).exists():
        return
    raise BackendError(
        "oci",
        f"the image is for {platform}, this machine runs {host}, and no emulator ({emulator}) is registered",
        remedy=f"run it on a {platform} machine, or install qemu-user-static",
    )
