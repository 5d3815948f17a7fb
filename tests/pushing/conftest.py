"""Registries on loopback, homes of one's own, and small images whose layers are told apart by their sizes."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from coopery import Builder, Environment
from coopery.blobs import BlobStore
from coopery.events import Event
from coopery.settings import Settings
from real_registry import RealRegistry, real_registry

Define = Callable[..., Environment]
Homes = Callable[..., Builder]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store" / "images" / "blobs", tmp_path / "store" / "staging")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """One that asks for ``ada`` and ``correct horse``."""
    with real_registry(tmp_path_factory.mktemp("closed"), login=("ada", "correct horse")) as running:
        yield running


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own credentials have no part in any test."""
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "config.json").write_text("{}")  # podman wants one where it is told of its folder
    for name in ("DOCKER_CONFIG", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


@pytest.fixture
def home(tmp_path: Path, events: list[Event]) -> Iterator[Homes]:
    """Makes builders, each with a cache folder of its own by name; keywords are settings."""
    made: list[Builder] = []

    def make(name: str = "home", **settings: Any) -> Builder:
        folder = tmp_path / name
        builder = Builder(settings=Settings(home=folder, **settings), on_event=events.append)
        made.append(builder)
        return builder

    yield make
    for builder in made:
        builder.close()


def noise(size: int, seed: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """A definition whose layers are folders of noise: ``define(a=1, b=2)`` copies two, made from the seeds 1 and 2."""

    def make(base: Any = "scratch", size: int = 200_000, **seeds: int) -> Environment:
        folder = tmp_path / "definition"
        for name, seed in seeds.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "noise").write_bytes(noise(size, seed))
            (folder / name / "text").write_text("the same line\n" * 1000)
        steps: list[dict[str, Any]] = [{"copy": name, "to": f"/{name}"} for name in seeds]
        return Environment.from_dict({"base": base, "steps": [*steps, {"env": {"LAYERS": " ".join(seeds)}}]}, folder)

    return make


class Requests:
    """What a registry was asked since this was made, from its own log."""

    def __init__(self, registry: RealRegistry) -> None:
        self._log = registry.log
        self._from = registry.log.stat().st_size
        self._storage = registry.storage
        self._before = self._bytes()

    def of(self, *methods: str, path: str = "") -> list[str]:
        """``METHOD path`` of those that were answered, in order."""
        time.sleep(0.2)  # a line follows its answer
        text = self._log.read_bytes()[self._from :].decode(errors="replace")
        found = re.findall(r'"(HEAD|GET|PUT|POST|PATCH|DELETE) (\S+) HTTP', text)
        return [f"{method} {where}" for method, where in found if method in methods and path in where]

    @property
    def stored(self) -> int:
        """Bytes of blobs that came in."""
        return self._bytes() - self._before

    def _bytes(self) -> int:
        blobs = self._storage / "docker" / "registry" / "v2" / "blobs"
        return sum(path.stat().st_size for path in blobs.rglob("data"))


@pytest.fixture
def asked() -> type[Requests]:
    return Requests
