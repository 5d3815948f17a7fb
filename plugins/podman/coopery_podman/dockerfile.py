"""A Dockerfile, or a build context, as the base: built by ``buildah bud``, brought into the blob store.

Nothing of a definition is ever written into a Dockerfile: it is the user's, byte for byte. What it gave is kept
under a digest of its content, so that changing packages builds no Dockerfile again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coopery.backend import Snapshot
from coopery.definition import ContextBase
from coopery.errors import BaseError
from coopery.folders import scratch
from coopery.oci.archive import read_archive
from coopery.snapshots import kept
from coopery.snapshots.build_context import laid_out, name_of
from coopery.snapshots.running import Transcript
from coopery.snapshots.secret_files import of_dockerfile
from coopery.wire.child_env import child_env
from coopery_podman import buildah, registries
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
    name = name_of(_TAG, base, platform)
    known = None if base.fresh else kept.load(workshop, name, tool.backend)
    if known is not None:
        return known
    image_id = _build(workshop, tool, base, platform)
    snapshot = _brought(workshop, tool, image_id, platform)
    kept.save(workshop, snapshot, name)
    return snapshot


def _build(workshop: Workshop, tool: Buildah, base: SealedBase, platform: str) -> str:
    """The id of the image that was built."""
    place = "$.base.context" if isinstance(base.base, ContextBase) else "$.base.dockerfile"
    with laid_out(workshop, base) as context, of_dockerfile(workshop, base.secrets, place) as secrets:
        beside = context.folder.parent
        image_id_file = beside / "id"
        words = buildah.bud(
            context.folder,
            context.dockerfile,
            arguments=dict(base.arguments),
            secrets=secrets,
            platform=platform,
            isolation=remembered_choice(workshop, tool),
            image_id_file=image_id_file,
            layers=not base.fresh,
        )
        texts = (context.dockerfile.read_text(encoding="utf-8", errors="replace"), *dict(base.arguments).values())
        told = registries.variables(workshop.settings, beside, registries.on_loopback(texts))
        env = {**child_env(workshop.settings), **told}
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
