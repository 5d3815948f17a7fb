"""The backend protocol: how bases are fetched, steps run and layers materialized on one engine.

Core owns the loop over steps and their keys; a backend does one thing at a time and keeps what it makes under the
name that core gives it (a step key), so that no second index can go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from attrs import Factory, field, frozen

from coopery.cancel import Cancel
from coopery.digest import Digest
from coopery.files import Files
from coopery.layer import Layer
from coopery.place import Place, RunRequest
from coopery.sealed import SealedBase, SealedStep

if TYPE_CHECKING:
    from coopery.base_source import BaseSource
    from coopery.blobs import BlobStore
    from coopery.bytecode import Compilers
    from coopery.events import Emit
    from coopery.image import Assembled
    from coopery.settings import Settings


@frozen
class Abilities:
    """What a backend can do beyond bases of local form, ``copy``, ``env``, ``workdir`` and ``user`` steps.

    What it lacks is refused by name before anything is fetched.

    Attributes:
        run: execute ``run:`` steps.
        dockerfile: build a Dockerfile or a context as the base.
        registry: fetch ``image:`` bases from a registry.
        secrets: mount build secrets into ``run:`` steps.
        network: can switch the network of a ``run:`` step off.
        gpu: can pass GPUs to a running image.
        platforms: image platforms that it can make; ``("*",)`` for any.
    """

    run: bool = False
    dockerfile: bool = False
    registry: bool = False
    secrets: bool = False
    network: bool = False
    gpu: bool = False
    platforms: tuple[str, ...] = ("*",)


@frozen
class Examination:
    """What a backend found out about its engine by trying it, for ``coopery doctor`` and for choosing a backend.

    Attributes:
        found: whether the engine's program or socket is there.
        works: whether it did what was tried.
        version: as the engine states it; empty where it could not be asked.
        details: lines for people: storage driver, isolation, where it runs.
        problem: why it does not work; empty where it does.
        remedy: what to do about that.
    """

    found: bool
    works: bool
    version: str = ""
    details: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""


@frozen
class Snapshot:
    """A file system at one moment of stage 1, with the config that goes with it.

    Attributes:
        backend: name of the backend that keeps it; it means nothing to another.
        id: what that backend knows it by.
        digest: for a fetched base, its identity everywhere (manifest digest from a registry or layout, else config
            digest); for later snapshots, the config digest.
        config: OCI image config, as bytes.
        layers: from the bottom up.
    """

    backend: str
    id: str
    digest: Digest
    config: bytes = field(repr=False)
    layers: tuple[Layer, ...] = ()


class Backend(Protocol):
    """One engine. Constructed by core as ``BackendClass(workshop)``; construction must be cheap and touch nothing."""

    name: ClassVar[str]
    abilities: ClassVar[Abilities]

    def __init__(self, workshop: Workshop) -> None: ...

    @property
    def place(self) -> Place:
        """The engine's own store of images: where `materialize` puts them."""
        ...

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """Fetch *base* for *platform*, verify it, and keep it.

        Raises:
            BaseError: absent, damaged, or for another platform.
        """
        ...

    def find_snapshot(self, name: str) -> Snapshot | None:
        """The snapshot kept under *name* (a step key), whole, or None. Must return promptly."""
        ...

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """All that can change the step's result here and nothing else: no log level, proxy, credential, host path.

        Pure. Core hashes it, with this backend's name, the platform and the parent's key, into the step key.
        """
        ...

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """Run *step* on *base* and keep the result under *name*.

        Raises:
            StepFailed: it ended with another status than 0.
            BackendError: the engine failed.
        """
        ...

    def files(self, snapshot: Snapshot) -> Files:
        """Sight of the snapshot's file system, for facts. Nothing is executed."""
        ...

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:
        """Put *image* (the snapshot's layers, then *new*) into this engine's place under *tag*.

        All its blobs are in ``workshop.blobs``. On return the place reports the image id, or an error was raised.
        """
        ...

    def examine(self) -> Examination:
        """Try the engine, within some seconds. Never raises for an engine that is absent or broken: it says so."""
        ...

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """Run a process on *snapshot* with this terminal's streams, to look at a step that failed; nothing is kept.

        Returns:
            Its exit status, as `coopery.place.Place.run` has it.
        """
        ...


@frozen
class Placed:
    """Where an image is now: manifest digest (or SIF digest), bytes, and the reference to give to an engine."""

    place: str
    digest: Digest
    size: int
    reference: str


def _compilers(workshop: Workshop) -> Compilers:
    from coopery.bytecode import Compilers
    from coopery.home import Home

    return Compilers(Home(workshop.home).own / "interpreters", workshop.staging)


@frozen
class Workshop:
    """What core lends to plugins: folders, blobs, settings, and where to report. Never a global.

    Attributes:
        home: cache folder of this builder.
        staging: a folder on the same file system as ``home``, for half-made things; swept by gc.
        blobs: content-addressed files, shared by all; see `coopery.blobs.BlobStore`.
        settings: the outside world: mirrors, CA bundle, proxies.
        base_sources: name of a ``base`` field → the registered source that makes it; PluginError when there is none.
        emit: reports one event; cheap. Raises nothing but `coopery.cancel.Cancelled`, where the event tells of output
            or progress of a build that nobody waits for any more.
        compilers: make ``.pyc`` files by exactly the image's Python; one for a whole build, closed with it.
        secrets: id → value of the build secrets that were given; never kept, never in a key.
        step_seconds: after which a ``run:`` step is ended; 0: never.
        cancel: set when nobody waits for the build any more. A step is ended then, within two seconds, as by Ctrl-C.
    """

    home: Path
    staging: Path
    blobs: BlobStore
    settings: Settings
    base_sources: Callable[[str], BaseSource]
    emit: Emit
    compilers: Compilers = field(default=Factory(_compilers, takes_self=True), eq=False, repr=False)
    secrets: Mapping[str, bytes] = field(factory=dict, eq=False, repr=False)
    step_seconds: float = 0.0
    cancel: Cancel = field(factory=Cancel, eq=False, repr=False)
