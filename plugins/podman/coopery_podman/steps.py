"""One ``run:`` step: a working container on the snapshot, its output as it comes, its changes as a layer.

Nothing of it stays in the storage but the layers that the next step starts from, and those go when an image that has
them has come.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from coopery.errors import UnsupportedError
from coopery.oci.config import platform_of
from coopery.snapshots import running as _running
from coopery_podman import buildah, changes
from coopery_podman.containers import container, scratch_of, sweep
from coopery_podman.following import TookTooLong, WithoutEpilogue, follow
from coopery_podman.guard import alone, guarded
from coopery_podman.isolation import remembered_choice

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.files import Files
    from coopery.sealed import SealedStep
    from coopery.snapshots.running import Running, Transcript
    from coopery_podman.buildah import Buildah, Isolation
    from coopery_podman.calling import Argv

TIMED_OUT: Final = 124
"""The status of a step that was ended because it took too long: that of timeout(1)."""


def run_step(workshop: Workshop, tool: Buildah, base: Snapshot, files: Files, step: SealedStep) -> Snapshot:
    """*base*, whose files are *files*, after the ``run:`` step *step*.

    Raises:
        StepFailed: another status than 0, or it took too long.
        UsageError: a secret that it names was not given.
        UnsupportedError: this machine has no way to switch its network off.
        BackendError: buildah failed.
    """
    with _running.prepared(workshop, base, step) as running:
        sweep(workshop, tool)
        isolation = remembered_choice(workshop, tool)
        with container(workshop, tool, base) as name:
            transcript = _running.Transcript(workshop)
            status = _execute(workshop, tool, isolation, name, running, transcript)
            if status:
                raise _running.failed(tool.backend, running, status, transcript)
            layer = changes.take(workshop, tool, name, _platform(base), files)
    return _running.after(base, step, layer)


def _platform(base: Snapshot) -> str:
    return platform_of(json.loads(base.config))


def _execute(
    workshop: Workshop, tool: Buildah, isolation: Isolation, name: str, running: Running, transcript: Transcript
) -> int:
    """Run it to its end; its status."""
    argv, env = _command(tool, isolation, name, running)
    errors = WithoutEpilogue(transcript.feed)
    if alone(tool):  # what buildah mounts there is nowhere else to be seen, and ends with it
        env["TMPDIR"] = os.fspath(scratch_of(workshop, name))
    try:
        check, seconds = workshop.cancel.check, running.seconds
        status = follow(argv, tool.backend, transcript.feed, errors=errors, seconds=seconds, env=env, check=check)
        errors.close()
    except TookTooLong:
        errors.close()
        transcript.close()
        transcript.feed(f"(ended: it took longer than {running.seconds:g} s)".encode())
        status = TIMED_OUT
    transcript.close()
    return status


def _command(tool: Buildah, isolation: Isolation, name: str, running: Running) -> tuple[Argv, dict[str, str]]:
    """The whole argument vector, and variables for buildah's own environment.

    A proxy's URL may hold a password: such variables are named, and their values passed where only we can read them.
    """
    proxies = {key: value for key, value in running.env.items() if key.lower().endswith("_proxy")}
    plain = {key: value for key, value in running.env.items() if key not in proxies}
    chroot = isolation.name == "chroot"
    if chroot and not running.network and not alone(tool):
        remedy = "allow network namespaces (unshare --net), or install runc"
        raise UnsupportedError(tool.backend, "network", f"{running.field_path}.network", remedy=remedy)
    words = buildah.run(
        name,
        running.argv,
        isolation=isolation,
        env=plain,
        pass_env=proxies,
        workdir=running.workdir,
        user=running.user,
        network="host" if running.network or chroot else "none",
        mounts=[(os.fspath(source), target, True) for source, target in running.mounts],
    )
    return guarded(tool, tool.argv(words), network=running.network or not chroot), proxies
