"""Running one ``run:`` step: on a squashfs of the snapshot, under an overlay whose upper folder is the step's layer.

An ordinary user is root of a user namespace then (``--fakeroot``), with subordinate ids for all others. The host's
home, /tmp and environment are not there; what is written to the image's own is kept. What Apptainer cannot do for
itself as this root, to become another user, a program of the image does: ``setpriv`` or ``chroot``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.blobs import disk_error
from coopery.errors import BackendError, StepError
from coopery.facts import find
from coopery.folders import scratch
from coopery.layer import Layer
from coopery.oci.layers_view import LayersFiles
from coopery.snapshots import running
from coopery.snapshots.users import Account, runs_as
from coopery_singularity import apptainer, child, namespace
from coopery_singularity.apptainer import NAME, Call, Mount
from coopery_singularity.lowers import lowers

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.files import Files
    from coopery.sealed import SealedStep
    from coopery.snapshots.running import Running

_ENV: Final = ("/usr/bin/env", "/bin/env")
_SETPRIV: Final = ("/usr/bin/setpriv", "/bin/setpriv")
_CHROOT: Final = ("/usr/sbin/chroot", "/usr/bin/chroot", "/sbin/chroot", "/bin/chroot")
_OWN: Final = ("APPNAME", "BIND", "COMMAND", "CONTAINER", "ENVIRONMENT", "NAME", "NO_EVAL")
_COPY: Final = 1 << 20


def run_step(workshop: Workshop, base: Snapshot, step: SealedStep) -> Snapshot:
    """*base* after the ``run:`` step *step*.

    Raises:
        StepFailed: it ended with another status than 0, or was ended after ``workshop.step_seconds``.
        StepError: the image lacks the user, or what it takes to become that user.
        BackendError: Apptainer or the machine failed.
    """
    program = apptainer.program()
    _check_ids(step.field_path)
    files = LayersFiles(base.layers, workshop.blobs)
    with running.prepared(workshop, base, step) as run, overlay(workshop) as folder:
        _make_workdir(files, folder / "upper", run.workdir)
        call = Call(
            lowers(workshop, base.layers),
            _argv(files, run),
            cwd=run.workdir,
            mounts=(*(Mount(source, target, read_only=True) for source, target in run.mounts), *_names(run.network)),
            overlay=folder,
            fakeroot=os.geteuid() != 0,
            network=run.network,
        )
        transcript = running.Transcript(workshop)
        env = apptainer.environment(program, run.env)
        status = child.run(apptainer.argv(program, call), env, transcript.feed, run.seconds, workshop.cancel.check)
        if status == child.TIMED_OUT and run.seconds:
            transcript.feed(f"\nended: it took longer than {run.seconds:g} seconds\n".encode())
        transcript.close()
        if status:
            raise running.failed(NAME, run, status, transcript)
        return running.after(base, step, _take(workshop, folder / "upper"))


@contextmanager
def overlay(workshop: Workshop) -> Iterator[Path]:
    """A folder for what is written, with its ``upper``; it goes with all its owners' files.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    with scratch(workshop.staging, "overlay") as folder:
        try:
            (folder / "upper").mkdir(mode=0o755)
            (folder / "work").mkdir(mode=0o755)
            yield folder
        except OSError as exc:
            raise disk_error(exc) from exc
        finally:
            if any(folder.iterdir()):
                with namespace.child("remove", folder):
                    pass


def _take(workshop: Workshop, upper: Path) -> Layer:
    with workshop.blobs.create() as writer, namespace.child("changes", upper) as output:
        while piece := output.read(_COPY):
            writer.write(piece)
    if writer.digest is None:
        raise AssertionError("a blob that was created without an error has a digest")
    return Layer(writer.digest, writer.digest, writer.size, made=True)


def _check_ids(field_path: str) -> None:
    reason = namespace.why_not()
    if reason:
        raise BackendError(
            NAME, f"{field_path}: a run step needs to be root of a user namespace: {reason}", remedy=namespace.remedy()
        )


def _argv(files: Files, run: Running) -> tuple[str, ...]:
    """The step's own words, behind what makes its user and its environment right."""
    who = runs_as(files, run.user, run.field_path)
    become = _become(files, run, who) if (who.uid, who.gid) != (0, 0) else ()
    env = next((path for path in _ENV if find(files, path)), None)
    if env is None:
        return (*become, *run.argv)
    unset = [f"{prefix}_{name}" for prefix in ("APPTAINER", "SINGULARITY") for name in _OWN] + ["PROMPT_COMMAND"]
    unset += [name for name in ("LANG", "TERM") if name not in run.env]
    home = [] if who.uid == 0 and "HOME" not in run.env else [f"HOME={run.env.get('HOME', who.home)}"]
    return (*become, env, *(word for name in unset for word in ("-u", name)), *home, *run.argv)


def _become(files: Files, run: Running, who: Account) -> tuple[str, ...]:
    groups = ",".join(str(group) for group in who.groups)
    setpriv = next((path for path in _SETPRIV if find(files, path)), None)
    if setpriv is not None:
        return (setpriv, f"--reuid={who.uid}", f"--regid={who.gid}", f"--groups={groups}", "--")
    chroot = next((path for path in _CHROOT if find(files, path)), None)
    if chroot is not None:
        return (chroot, f"--userspec=+{who.uid}:+{who.gid}", f"--groups={groups}", "--skip-chdir", "/")
    raise StepError(
        f"{run.field_path}: Apptainer cannot become {run.user!r}, and the image has neither setpriv nor chroot",
        remedy="run the step before the user step, or on docker or podman",
    )


def _make_workdir(files: Files, upper: Path, workdir: str) -> None:
    """A working directory that the image names and lacks is made, as by Docker."""
    if find(files, workdir) is None and ".." not in workdir.split("/"):
        (upper / workdir.strip("/")).mkdir(parents=True, mode=0o755)


def _names(network: bool) -> tuple[Mount, ...]:
    """The host's names go with its network."""
    hosts = Path("/etc/hosts")
    return (Mount(hosts, "/etc/hosts", read_only=True),) if network and hosts.is_file() else ()
