"""A daemon's own store, as a place. Asking it is one request on its socket and imports next to nothing.

An image is known there by the digest that `coopery_docker.materialize` returned: its config's in the classic store, its
manifest's, which names the config, in containerd's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from coopery.place import Presence, RunRequest
from coopery_docker import glance

if TYPE_CHECKING:
    from coopery.digest import Digest
    from coopery_docker.client import Daemon
    from coopery_docker.endpoint import Endpoint


class DockerPlace:
    """The images of one daemon.

    Args:
        endpoint: the daemon.
        daemon: gives the whole client, where a glance is not enough.
        run: runs a process in an image that is here.
    """

    def __init__(
        self, endpoint: Endpoint, daemon: Callable[[], Daemon], run: Callable[[Digest, RunRequest], int]
    ) -> None:
        self._endpoint = endpoint
        self._daemon = daemon
        self._run = run
        self.name = endpoint.place
        self.reason = ""
        """Why the last answer was UNKNOWN, in words."""
        self.remedy = ""
        """What to do about that."""

    def exists(self, image: Digest, digest: Digest) -> Presence:  # noqa: ARG002 - the digest is the image's, or names it
        """See `coopery.place.Place.exists`. Half a millisecond where the daemon is on this machine."""
        if not glance.fits(self._endpoint):
            return self._ask(digest)
        try:
            status, body = glance.get(self._endpoint, f"/images/{digest}/json")
            if status == 404:
                return Presence.NO
            if status == 200 and json.loads(body)["Id"] == digest:
                return Presence.YES
            return self._unknown(ValueError(f"it answers with status {status}"))
        except (glance.Unanswered, ValueError, LookupError, TypeError) as exc:
            return self._unknown(exc)

    def _unknown(self, exc: Exception) -> Presence:
        from coopery_docker.answers import unreachable

        told = unreachable(self._endpoint, "asking for an image", exc)
        self.reason, self.remedy = told.message, told.remedy
        return Presence.UNKNOWN

    def _ask(self, digest: Digest) -> Presence:
        from coopery.errors import BackendError

        try:
            return Presence.YES if self._daemon().image(digest) is not None else Presence.NO
        except BackendError as exc:  # it could not be asked: neither yes nor no
            self.reason, self.remedy = exc.message, exc.remedy
            return Presence.UNKNOWN

    def remove(self, image: Digest, digest: Digest) -> bool:  # noqa: ARG002 - as `exists`
        """Forget the image, with all its names; layers that others share stay.

        Raises:
            BackendError: the daemon cannot be reached, or a container uses the image.
        """
        return self._daemon().remove_image(digest, force=True)

    def run(self, digest: Digest, request: RunRequest) -> int:
        """See `coopery.place.Place.run`.

        Raises:
            NotFound: the image is not here.
            UnsupportedError: GPUs were asked for, and the daemon's machine has none that it can pass on.
            BackendError: the daemon cannot be reached, or there is no docker command line.
        """
        return self._run(digest, request)
