"""One ``run:`` step: core says what the process gets, we execute it, core makes a layer of what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.errors import BackendError
from coopery.layer import Layer
from coopery.oci.extract import extract
from coopery.snapshots import running
from coopery.snapshots.users import UnknownUser, account
from coopery_unshare.sandbox import Spec, TookTooLong, execute
from coopery_unshare.scratch import scratch

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.files import Files
    from coopery.sealed import SealedStep


def run(workshop: Workshop, base: Snapshot, step: SealedStep, files: Files) -> Layer:
    """What *step* changed, as a layer in ``workshop.blobs``.

    Raises:
        StepFailed: it ended with another status than 0.
        BackendError: it took too long, its user is not in the image, or this machine refused.
    """
    transcript = running.Transcript(workshop)
    with running.prepared(workshop, base, step) as ready, scratch(workshop) as folder:
        extract(base.layers, workshop.blobs, folder / "image")
        try:
            who = account(files, ready.user)
        except UnknownUser as exc:
            raise BackendError(base.backend, f"{ready.field_path}: {exc}") from exc
        mounts = tuple((str(host), inside, False) for host, inside in ready.mounts)
        spec = Spec(ready.argv, ready.env, ready.workdir, who, mounts, ready.network)
        try:
            status = execute(folder, spec, transcript.feed, ready.seconds, workshop.cancel)
        except TookTooLong as exc:
            raise BackendError(
                base.backend, f"{ready.field_path}: {exc}", remedy="give it more time with --step-timeout"
            ) from exc
        finally:
            transcript.close()
        if status != 0:
            raise running.failed(base.backend, ready, status, transcript)
        return running.take(workshop, folder / "upper")
