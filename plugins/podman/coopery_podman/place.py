"""containers-storage as a place. A hit asks it by reading three files; no program is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coopery.digest import hex_of
from coopery.place import Presence

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.place import RunRequest

NAME: Final = "podman"


class PodmanPlace:
    """The images of this machine's podman and buildah, as this user has them.

    Args:
        workshop: its home remembers where the storage is.
    """

    name = "podman:"

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def exists(self, image: Digest, digest: Digest) -> Presence:
        """Whether the image is here with that manifest, and with all its layers.

        The storage's own records are read; podman is asked where they know no such image.

        A yes is believed as read: the records are replaced as a whole, and layers come before the image that needs
        them. A no costs a build, and there may be further stores that only podman knows of: so it is asked.
        """
        from coopery.errors import BackendError
        from coopery_podman.storage import LookError, locate, manifests

        try:
            record = locate(self._workshop).image(hex_of(image))
            if record is not None:
                return Presence.YES if digest in manifests(record) else Presence.NO
        except LookError:
            pass  # podman knows better
        except BackendError:
            return Presence.UNKNOWN
        from coopery_podman import podman

        return podman.exists(hex_of(image), digest)

    def remove(self, image: Digest, digest: Digest) -> bool:  # noqa: ARG002 - an image's id here is its config's digest
        """Take away every name of the image, and with the last one the image. Layers that others share stay.

        Raises:
            BackendError: a container uses it, or the engine failed.
        """
        from coopery_podman import buildah
        from coopery_podman.storage import locate

        tool = buildah.Buildah()
        record = locate(self._workshop, tool).image(hex_of(image))
        if record is None:
            return False
        names = [str(name) for name in record.get("names") or ()]
        tool.call(buildah.rmi(*(names or [hex_of(image)])))
        return True

    def run(self, digest: Digest, request: RunRequest) -> int:
        """Run a process in the image whose manifest is *digest*, by podman.

        Raises:
            NotFound: the image is not here.
            UnsupportedError: GPUs were asked for, and this machine has no driver.
            UsageError, BackendError: the request, or the image, cannot be run here.
        """
        from coopery_podman.run import run, with_manifest

        return run(self._workshop, with_manifest(self._workshop, digest), request)
