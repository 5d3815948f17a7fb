"""The Docker backend: declares what it can do, and delegates. Making it and asking its place import no docker-py."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from coopery.backend import Abilities, Examination, Placed, Snapshot, Workshop
from coopery.definition import ContextBase, DockerfileBase, RunStep
from coopery_docker import endpoint as _endpoint
from coopery_docker.endpoint import NAME, Endpoint
from coopery_docker.place import DockerPlace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from coopery.digest import Digest
    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.sealed import SealedBase, SealedStep
    from coopery.snapshots.on_host import OnHost
    from coopery_docker.client import Daemon
    from coopery_docker.stage import Stage


class DockerBackend:
    """Steps in containers, Dockerfiles as bases, images in a daemon. Everything else is made on the host.

    Which daemon: see `coopery_docker.endpoint`.
    """

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities(
        run=True, dockerfile=True, registry=True, secrets=True, network=True, gpu=True
    )

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    @cached_property
    def _endpoint(self) -> Endpoint:
        return _endpoint.endpoint()

    @cached_property
    def _daemon(self) -> Daemon:
        from coopery_docker.client import Daemon  # 80 ms

        return Daemon(self._endpoint)

    @cached_property
    def _stage(self) -> Stage:
        from coopery_docker.stage import Stage

        return Stage(self._workshop, self._daemon)

    @cached_property
    def _host(self) -> OnHost:
        from coopery.snapshots.on_host import OnHost  # a hit does without it

        return OnHost(self._workshop, self.name)

    @property
    def place(self) -> DockerPlace:
        """The daemon's own store."""
        return DockerPlace(self._endpoint, lambda: self._daemon, self._run)

    def _run(self, digest: Digest, request: RunRequest) -> int:
        from coopery_docker.run import run
        from coopery_docker.stage import sweep_containers

        sweep_containers(self._daemon)
        return run(self._daemon, digest, request)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`. Only Dockerfiles and contexts need the daemon."""
        if isinstance(base.base, DockerfileBase | ContextBase):
            from coopery_docker import dockerfile

            return dockerfile.fetch(self._workshop, self._daemon, self._stage, base, platform)
        return self._host.fetch_base(base, platform)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return self._host.find_snapshot(name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        if isinstance(step.step, RunStep):
            from coopery.snapshots import running

            return running.identity(step)
        return self._host.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`. Only ``run:`` needs the daemon."""
        if not isinstance(step.step, RunStep):
            return self._host.run_step(base, step, name)
        from coopery.snapshots.users import telling
        from coopery_docker import steps

        with telling(lambda: self.files(base), base, step.field_path):
            after = steps.run_step(self._workshop, self._daemon, self._stage, base, step)
        return self._host.keep(after, name)

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return self._host.files(snapshot)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the image says it all
        """See `coopery.backend.Backend.materialize`."""
        from coopery_docker import materialize

        reference = f"{materialize.REPOSITORY}:{tag}"
        digest = materialize.put(self._workshop, self._daemon, image, reference)
        self._stage.release()
        return Placed(self._endpoint.place, digest, materialize.size_of(image), reference)

    def examine(self) -> Examination:
        """See `coopery.backend.Backend.examine`."""
        from coopery_docker.probe import examine

        return examine(self._workshop, self._daemon)

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """See `coopery.backend.Backend.run_snapshot`."""
        from coopery_docker.run import run

        try:
            return run(self._daemon, self._stage.load(snapshot, bare=False), request)
        finally:
            self._stage.release()

    def close(self) -> None:
        """Let go of what is held in the daemon, and of the connections. For those who use it without a builder."""
        if "_stage" in self.__dict__:
            self._stage.release()
        if "_daemon" in self.__dict__:
            self._daemon.close()
