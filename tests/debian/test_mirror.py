"""With the mirror that this machine's apt uses."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery.backend import Workshop
from coopery.definition import DebianBase
from coopery.errors import BaseError
from coopery.image import Assembled
from coopery.sealed import SealedBase
from coopery_debian.source import DebianSource

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests here, so that each index is fetched once."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def real(home: Path, make_workshop: Callable[..., Workshop]) -> DebianSource:
    return DebianSource(make_workshop("", str(home)))


def paths(image: Assembled, workshop_home: Path) -> Iterator[tarfile.TarInfo]:
    for layer in image.layers:
        with tarfile.open(workshop_home / "images/blobs/sha256" / layer.digest.partition(":")[2]) as archive:
            yield from archive


@pytest.mark.parametrize(
    ("suite", "platform", "loader"),
    [
        ("bookworm", "linux/amd64", "usr/lib64/ld-linux-x86-64.so.2"),
        ("bookworm", "linux/arm64", "usr/lib/ld-linux-aarch64.so.1"),
        ("trixie", "linux/amd64", "usr/lib64/ld-linux-x86-64.so.2"),
    ],
)
def test_a_real_base(real: DebianSource, home: Path, suite: str, platform: str, loader: str) -> None:
    image = real.fetch(SealedBase(DebianBase(suite, ("libc6", "dash"))), platform)
    found = {member.name: member for member in paths(image, home)}
    assert loader in found
    assert found["lib"].linkname == "usr/lib"
    assert not [name for name in found if name.startswith(("lib/", "bin/", "lib64/", "sbin/"))]
    assert "usr/bin/sh" in found


def test_a_version_that_the_mirror_never_had(real: DebianSource) -> None:
    with pytest.raises(BaseError, match="has dropped that version; there: 2"):
        real.fetch(SealedBase(DebianBase("bookworm", ("libc6=2.36-9+deb12u0",))), "linux/amd64")


def test_a_name_that_is_nearly_right(real: DebianSource) -> None:
    with pytest.raises(BaseError, match=r"near it: .*libssl3"):
        real.fetch(SealedBase(DebianBase("bookworm", ("libssl33",))), "linux/amd64")
