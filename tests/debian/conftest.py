from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.backend import Workshop
from coopery.base_source import BaseSource
from coopery.definition import DebianBase
from coopery.events import Event
from coopery.home import Home
from coopery.image import Assembled
from coopery.sealed import SealedBase
from coopery.settings import Settings
from coopery_debian.source import DebianSource
from debian.miniature import Miniature
from debian.openpgp import Signer


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.make(1)


@pytest.fixture
def archive(tmp_path: Path, signer: Signer) -> Miniature:
    """An empty archive in a folder."""
    return Miniature(tmp_path / "mirror", signer)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def make_workshop(tmp_path: Path, events: list[Event]) -> Callable[..., Workshop]:
    def make(mirror: str, home: str = "home") -> Workshop:
        folder = Home(tmp_path / home)
        folder.make()
        settings = Settings(home=folder.root, debian_mirror=mirror)
        return Workshop(folder.root, folder.staging, folder.blobs, settings, _no_sources, events.append)

    return make


@pytest.fixture
def fetch(
    archive: Miniature, make_workshop: Callable[..., Workshop], signer: Signer, tmp_path: Path
) -> Callable[..., Assembled]:
    """Make a base of the archive's packages, in the cache folder *home*; the archive's key is trusted."""
    keyring = signer.keyring(tmp_path / "keyring.gpg")

    def make(*packages: str, suite: str = "bookworm", platform: str = "linux/amd64", home: str = "home") -> Assembled:
        source = DebianSource(make_workshop(archive.url, home), apt=tmp_path / "apt", keyring=keyring)
        return source.fetch(SealedBase(DebianBase(suite, packages)), platform)

    return make


def _no_sources(name: str) -> BaseSource:
    raise AssertionError(f"a Debian base needs no other source, asked for {name}")
