"""The fixtures of the kit: what an author writes, and what each test is given; and the hunt for leaks around each."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Protocol

import pytest
from attrs import evolve

from coopery.backend import Placed
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.testing.backend.desk import Desk, OpenBackend, awaited, desk
from coopery.testing.backend.root import root_tar

Leaks = Callable[[], Iterable[str]]


class Put(Protocol):
    """Puts *image*, whose uppermost layers are *new*, into the place."""

    def __call__(self, image: Assembled, new: tuple[Layer, ...], tag: str = ...) -> Placed:
        """Returns where it is."""
        ...


class Ground:
    """What an author may set.

    Attributes:
        runs_images: whether the place can run a process in an image on this machine.
        runs_as_users: whether a run in an image is the user that the image or the request names; False where an engine
            runs everything as whoever calls it.
        patience: seconds within which what was ended is gone, and an engine answers.
    """

    runs_images: ClassVar[bool] = True
    runs_as_users: ClassVar[bool] = True
    patience: ClassVar[float] = 20.0

    @pytest.fixture
    def open_backend(self) -> OpenBackend:
        """Write this one: what makes a backend for a workshop. As a rule the class itself."""
        raise NotImplementedError("override the fixture open_backend: return the backend's class")

    @pytest.fixture
    def unreachable(self) -> OpenBackend | None:
        """What makes a backend whose engine cannot be asked (no daemon, no program); None: there is no such thing."""
        return None

    @pytest.fixture
    def leaks(self) -> Leaks:
        """What lists all that the engine holds now: containers, images, mounts, folders, each in a few words.

        Asked before and after every test; what is there only afterwards has leaked. What the engine keeps on purpose,
        such as the base's layers, is not to be listed.
        """
        return tuple

    @pytest.fixture
    def root(self) -> bytes:
        """The tar of a small root file system with a shell, for this machine; see `coopery.testing.backend.root`."""
        return root_tar()

    @pytest.fixture
    def desk(self, tmp_path: Path, open_backend: OpenBackend, root: bytes) -> Iterator[Desk]:
        """A backend in a cache folder of its own, and a small base."""
        made = desk(tmp_path, open_backend, root)
        yield made
        made.close()

    @pytest.fixture
    def severed(self, desk: Desk, unreachable: OpenBackend | None) -> Iterator[Desk]:
        """The same with an engine that cannot be asked."""
        if unreachable is None:
            pytest.skip("the author says that its engine is always there")
        made = evolve(desk, open_backend=unreachable, opened=[])
        yield made
        made.close()

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, desk: Desk, leaks: Leaks, tmp_path: Path) -> Iterator[None]:
        """After every test: no half-made thing in staging, no mount below the cache folder, nothing in the engine."""
        before = set(leaks())
        yield
        desk.close()
        staging = desk.workshop.staging
        assert awaited(lambda: not any(staging.iterdir()), 1), f"left in staging: {sorted(staging.iterdir())}"
        assert not mounts_below(tmp_path), "left mounted"
        assert awaited(lambda: not set(leaks()) - before, 1), f"left in the engine: {sorted(set(leaks()) - before)}"

    @pytest.fixture
    def put(self, desk: Desk) -> Iterator[Put]:
        """Puts an image into the place; it is removed after the test."""
        done: list[tuple[Assembled, Placed]] = []

        def put_it(image: Assembled, new: tuple[Layer, ...], tag: str = "coopery-kit") -> Placed:
            placed = desk.put(image, new, tag)
            done.append((image, placed))
            return placed

        yield put_it
        for image, placed in done:
            desk.backend.place.remove(image.image_id, placed.digest)


def mounts_below(folder: Path) -> list[str]:
    """Mount points below *folder*, in this process's mount namespace."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    points = [line.split()[4] for line in text.splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]
