"""What conda brings, by the names that Python has for it: read from the packages, the same whatever is cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conda.desk import Desk as CondaDesk
from conda.desk import make_desk as make_conda_desk
from conda.maker import Channel, File, link, text
from coopery.definition import Pip
from coopery.errors import PackageError
from coopery.target import Distribution, Provided
from pip_resolve.conftest import TARGET, Desk
from pip_resolve.shelf import Shelf

pytestmark = pytest.mark.processes  # py-rattler and uv are started


def metadata(name: str, version: str, *lines: str) -> File:
    return text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, "", "A description"])
    )


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    made = Channel(tmp_path / "channel")
    made.add("python", {"bin/python3.12": text("", 0o755)}, version="3.12.4", build="0_cpython")
    site = "lib/python3.12/site-packages"
    torch = metadata(
        "torch",
        "2.5.1.post3",
        "Provides-Extra: optree",
        "Requires-Dist: optree>=1; extra == 'optree'",
        "Requires-Dist: nvidia-cublas-cu12",
    )
    made.add(
        "pytorch",
        {f"{site}/torch-2.5.1.post3.dist-info/METADATA": torch},
        version="2.5.1",
        build="py312_0",
        depends=["python"],
    )
    vendored = {
        "site-packages/msgpack-1.1.0.dist-info/METADATA": metadata("msgpack", "1.1.0"),
        "site-packages/msgpack/_vendor/six-1.0.dist-info/METADATA": metadata("six", "1.0"),
    }
    made.add("msgpack-python", vendored, version="1.1.0", build="pyhd8ed1ab_0", noarch="python", depends=["python"])
    eggs = {
        f"{site}/Old_Egg-0.9.egg-info/PKG-INFO": metadata("Old-Egg", "0.9"),
        f"{site}/flat-0.8-py3.12.egg-info": metadata("flat", "0.8"),
        f"{site}/nameless-1.0.dist-info/METADATA": text("Metadata-Version: 2.1\n"),
    }
    made.add("eggs", eggs, build="py312_0", depends=["python"])
    made.add("zlib", {"lib/libz.so": text("")})
    return made


@pytest.fixture
def conda(tmp_path: Path, channel: Channel) -> Iterator[CondaDesk]:
    assert channel.root.is_dir()
    with make_conda_desk(tmp_path) as one:
        yield one


EXPECTED = {
    Distribution("flat", "0.8"),
    Distribution("msgpack", "1.1.0"),
    Distribution("Old-Egg", "0.9"),
    Distribution("torch", "2.5.1.post3", ("optree",), ("optree>=1; extra == 'optree'",)),
}
ALL = ("python", "pytorch", "msgpack-python", "eggs", "zlib")


def provided(conda: CondaDesk) -> Provided:
    return conda.materializer.resolve(conda.section(*ALL), TARGET, Provided()).provided


def test_names_and_versions_of_the_metadata(conda: CondaDesk) -> None:
    assert set(provided(conda).surveyed()) == EXPECTED


def test_nobody_asks_nothing_is_fetched(conda: CondaDesk, tmp_path: Path) -> None:
    provided(conda)
    assert not list((tmp_path / "home" / "packages").glob("*/info"))


def test_what_a_lock_provides_can_be_surveyed_too(conda: CondaDesk, tmp_path: Path) -> None:
    artifacts = conda.lock(*ALL, target=TARGET)
    with make_conda_desk(tmp_path, home=tmp_path / "other") as fresh:
        fresh.materializer.trees(fresh.section(*ALL), artifacts, TARGET, Provided())
        assert set(fresh.materializer.provides(artifacts, TARGET, Provided()).surveyed()) == EXPECTED


def test_metadata_behind_a_link(channel: Channel, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Name: stolen\nVersion: 1.0\n")
    path = "lib/python3.12/site-packages/evil-1.dist-info/METADATA"
    rows = [{"_path": path, "path_type": "hardlink", "sha256": "0" * 64}]
    channel.add("evil", {path: link(str(secret))}, build="py312_0", rows=rows)
    with make_conda_desk(tmp_path) as conda:
        found = conda.materializer.resolve(conda.section("python", "evil"), TARGET, Provided()).provided
        with pytest.raises(PackageError):
            found.surveyed()


def test_pip_adds_only_what_conda_lacks(conda: CondaDesk, desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("top", "1.0", requires=("torch>=2", "msgpack", "other"))
    shelf.wheel("torch", "2.5.1.post3", requires=("nvidia-cublas-cu12",))
    shelf.wheel("nvidia-cublas-cu12", "12.4")
    for name in ("msgpack", "other", "optree"):
        shelf.wheel(name, "1.1.0")
    found = desk.resolution(Pip(("top", "torch[optree]")), TARGET, provided(conda)).artifacts
    assert [one.name for one in found] == ["optree", "other", "top"]
