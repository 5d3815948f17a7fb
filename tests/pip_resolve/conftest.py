"""What the tests of resolving and fetching share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.definition import Pip
from coopery.digest import of_bytes
from coopery.events import Event
from coopery.lock import Artifact
from coopery.materializer import Resolution, Section
from coopery.settings import Settings
from coopery.target import Distribution, Facts, Provided, Resolved
from coopery_pip.materializer import PipMaterializer
from pip_resolve.shelf import Shelf

TARGET = Resolved(
    platform="linux/amd64",
    prefix="/opt/env",
    base=of_bytes(b"base"),
    facts=Facts(),
    glibc="2.36",
    archspec="x86_64",
    bytecode=False,
)
PYTHON = "3.12.4"


@define
class Desk:
    """A materializer with a home of its own; its default index is *url*."""

    root: Path
    settings: Settings
    materializer: PipMaterializer
    events: list[Event] = field(factory=list)

    def resolve(
        self,
        *requirements: str,
        target: Resolved = TARGET,
        conda: Sequence[Distribution] = (),
        prefer: Sequence[Artifact] = (),
        python: str = PYTHON,
        **content: Any,
    ) -> tuple[Artifact, ...]:
        return self.resolution(
            Pip(requirements, **content), target, Provided(python=python, distributions=tuple(conda)), prefer
        ).artifacts

    def resolution(
        self, content: Pip, target: Resolved, provided: Provided, prefer: Sequence[Artifact] = ()
    ) -> Resolution:
        return self.materializer.resolve(self.section(content, prefer), target, provided)

    def section(self, content: Pip, prefer: Sequence[Artifact] = ()) -> Section:
        return Section(content, self.root, tuple(prefer))

    def fetch(self, content: Pip, artifacts: Sequence[Artifact]) -> list[Path]:
        self.materializer._fetch(self.section(content), artifacts)  # what `trees` does before it unpacks
        return [self.kept(artifact.sha256) for artifact in artifacts]

    def kept(self, sha256: str) -> Path:
        return self.root / "home" / "packages" / "pip" / f"{sha256}.whl"

    def leftovers(self) -> list[Path]:
        staging = self.root / "home" / "staging"
        return sorted(staging.iterdir()) if staging.is_dir() else []

    def again(self, **changes: Any) -> Desk:
        """Another materializer with the same home and other settings, which remembers nothing."""
        return _desk(self.root, evolve(self.settings, **changes))


def _desk(root: Path, settings: Settings) -> Desk:
    def no_source(_name: str) -> Any:
        raise AssertionError("pip asks for no base source")

    home = root / "home"
    events: list[Event] = []
    shop = Workshop(
        home, home / "staging", BlobStore(home / "blobs", home / "staging"), settings, no_source, events.append
    )
    return Desk(root, settings, PipMaterializer(shop), events)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as one:
        yield one


@pytest.fixture
def other_shelf() -> Iterator[Shelf]:
    with Shelf() as one:
        yield one


@pytest.fixture
def make_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def make(**settings: Any) -> Desk:
        return _desk(tmp_path, Settings(home=tmp_path / "home", **settings))

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk], shelf: Shelf) -> Desk:
    return make_desk(index_url=shelf.url)
