"""Snapshots in the daemon, for as long as something is run on them: loaded thin, named after their owner, swept.

What is loaded has the snapshot's layers and a config with nothing in it: VOLUME and HEALTHCHECK of a base would
otherwise act on a step, and lose what it writes. The one that was used last stays until the next is there, so that
the next is thin; it goes when an image that has its layers has come.
"""

from __future__ import annotations

import json
import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import BackendError
from coopery.image import Assembled, encode
from coopery_docker import owner
from coopery_docker.materialize import put

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.digest import Digest
    from coopery_docker.client import Daemon

REPOSITORY: Final = "coopery-step"
_FOREIGN_SECONDS: Final = 24 * 3600


class Stage:
    """The snapshots of one build in *daemon*."""

    def __init__(self, workshop: Workshop, daemon: Daemon) -> None:
        self._workshop = workshop
        self._daemon = daemon
        self._held = ""

    def load(self, snapshot: Snapshot, *, bare: bool = True) -> Digest:
        """Have the daemon keep *snapshot* until the next one; returns what it knows it by.

        Args:
            snapshot: its layers are blobs here.
            bare: without its config, for a step; a person who looks at it wants that.
        """
        image = Assembled(_bare(snapshot.config) if bare else snapshot.config, snapshot.layers)
        reference = f"{REPOSITORY}:{owner.own()}-{os.urandom(3).hex()}"
        self._want(reference)
        name = put(self._workshop, self._daemon, image, reference)
        self.release()
        self._held = reference
        sweep_images(self._daemon)
        return name

    def hold(self, reference: str) -> None:
        """Let go of *reference*, a name in `REPOSITORY`, when the next snapshot is there."""
        self._want(reference)
        self.release()
        self._held = reference

    def _want(self, reference: str) -> None:
        """Keep *reference* from being swept while this object lives: a failed build leaves it to the next sweep."""
        owner.hold(reference)
        weakref.finalize(self, owner.drop, reference)

    def release(self) -> None:
        """Let go of what is held. What cannot be taken away now is swept later."""
        if self._held:
            owner.drop(self._held)
            with suppress(BackendError):
                self._daemon.remove_image(self._held)
            self._held = ""


def sweep_images(daemon: Daemon) -> None:
    """Take away the names of intermediate images whose owners are dead, or no longer want them."""
    for entry in daemon.images(f"{REPOSITORY}:*"):
        for reference in entry.get("RepoTags") or ():
            if owner.is_left(str(reference), _owner_of(str(reference))):
                with suppress(BackendError):  # somebody is sweeping too, or it is in use
                    daemon.remove_image(reference)


def sweep_containers(daemon: Daemon) -> None:
    """End and take away the containers whose owners are dead; those of another boot after a day.

    So are those of this process that it could not take away when it wanted to.
    """
    for entry in daemon.containers(owner.LABEL):
        made_by = str((entry.get("Labels") or {}).get(owner.LABEL) or "")
        name = str((entry.get("Names") or [""])[0]).lstrip("/")
        if owner.is_left(name, made_by) or _forgotten(made_by, entry):
            with suppress(BackendError):
                daemon.remove(str(entry["Id"]))


def _forgotten(made_by: str, entry: dict[str, Any]) -> bool:
    import time

    foreign = made_by.split("-", 2)[2:] != owner.own().split("-", 2)[2:]
    return foreign and time.time() - float(entry.get("Created") or 0) > _FOREIGN_SECONDS


def _owner_of(reference: str) -> str:
    return reference.rpartition(":")[2].rpartition("-")[0]


def _bare(config: bytes) -> bytes:
    document = json.loads(config)
    kept = {name: document[name] for name in ("architecture", "os", "variant", "rootfs") if name in document}
    return encode({**kept, "config": {}})
