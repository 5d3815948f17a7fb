"""A Dockerfile, or a build context, as the base: built by ``buildah bud``, brought into the blob store.

Nothing of a definition is ever written into a Dockerfile: it is the user's, byte for byte. What it gave is kept
under a digest of its content, so that changing packages builds no Dockerfile again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import encoding
from coopery.backend import Snapshot
from coopery.definition import ContextBase
from coopery.errors import BaseError, UsageError
from coopery.folders import scratch
from coopery.oci.archive import read_archive
from coopery.snapshots import kept
from coopery.snapshots.running import Transcript
from coopery.wire.child_env import child_env
from coopery_podman import buildah, registries
from coopery_podman.context import laid_out
from coopery_podman.following import follow
from coopery_podman.guard import guarded
from coopery_podman.isolation import remembered_choice

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.sealed import SealedBase
    from coopery_podman.buildah import Buildah

_TAG: Final = "coopery.podman.dockerfile.v1"


def fetch(workshop: Workshop, tool: Buildah, base: SealedBase, platform: str) -> Snapshot:
    """Build *base* for *platform*, unless what it gave is kept and *base* does not ask for it anew.

    Raises:
        BaseError: an instruction failed; its last lines are in it.
        UsageError: a secret that the definition names was not given.
        BackendError: buildah failed.
    """
    name = _name_of(base, platform)
    known = None if base.fresh else kept.load(workshop, name, tool.backend)
    if known is not None:
        return known
    image_id = _build(workshop, tool, base, platform)
    snapshot = _brought(workshop, tool, image_id, platform)
    kept.save(workshop, snapshot, name)
    return snapshot


def _name_of(base: SealedBase, platform: str) -> str:
    recipe = base.base.dockerfile if isinstance(base.base, ContextBase) else ""
    told = [[name, value] for name, value in base.arguments]
    return encoding.digest(_TAG, str(base.content), recipe, told, list(base.secrets), platform)


def _build(workshop: Workshop, tool: Buildah, base: SealedBase, platform: str) -> str:
    """The id of the image that was built."""
    place = "$.base.context" if isinstance(base.base, ContextBase) else "$.base.dockerfile"
    with laid_out(workshop, base) as (folder, dockerfile), _secrets(workshop, base, place) as secrets:
        image_id_file = folder.parent / "id"
        words = buildah.bud(
            folder,
            dockerfile,
            arguments=dict(base.arguments),
            secrets=secrets,
            platform=platform,
            isolation=remembered_choice(workshop, tool),
            image_id_file=image_id_file,
            layers=not base.fresh,
        )
        env = {**child_env(workshop.settings), **registries.variables(workshop.settings, folder.parent)}
        transcript = Transcript(workshop)
        status = follow(guarded(tool, tool.argv(words)), tool.backend, transcript.feed, env=env)
        transcript.close()
        if status:
            raise BaseError(f"{place}: the build ended with status {status}\n{transcript.tail}")
        return image_id_file.read_text().strip().removeprefix("sha256:")


def _brought(workshop: Workshop, tool: Buildah, image_id: str, platform: str) -> Snapshot:
    """The image that was built, with all its layers in the blob store."""
    with scratch(workshop.staging, "built") as folder:
        file = folder / "image.tar"  # a layout of buildah's would have every layer compressed
        tool.call(buildah.push(image_id, buildah.docker_archive(file)))
        digest, image = read_archive(file, "", platform, workshop.blobs)
    return Snapshot(tool.backend, image.image_id, digest, image.config, image.layers)


@contextmanager
def _secrets(workshop: Workshop, base: SealedBase, place: str) -> Iterator[Mapping[str, Path]]:
    """Files with the secrets, for as long as the build lasts: in memory where this machine has such a folder."""
    missing = [name for name in base.secrets if name not in workshop.secrets]
    if missing:
        raise UsageError(
            f"{place}: no value was given for the secret {', '.join(missing)}",
            remedy=f"coopery build --secret id={missing[0]},env=VARIABLE (or src=FILE); Builder(secrets={{…}})",
        )
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else workshop.staging
    with tempfile.TemporaryDirectory(prefix="step-", dir=where) as folder:
        paths = {name: Path(folder) / str(number) for number, name in enumerate(base.secrets)}
        for name, path in paths.items():
            path.touch(mode=0o600)
            path.write_bytes(workshop.secrets[name])
        yield paths
