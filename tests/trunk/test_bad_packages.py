"""Packages that cannot be had: what is wrong is said in words that lead on, and nothing of it is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conda.maker import Channel, File
from coopery import Builder, Environment
from coopery.errors import PackageError, ResolveError
from coopery.home import Home
from trunk import health, small
from trunk.caller import Caller

pytestmark = pytest.mark.processes


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    channel = small.fill(Channel(tmp_path / "channel"))
    channel.add("tool", version="2.0")
    channel.add("left", depends=["tool 1.0"])
    channel.add("right", depends=["tool >=2"])
    return channel


@pytest.fixture
def of(channel: Channel, tmp_path: Path) -> Callable[..., Environment]:
    def make(*dependencies: str, **changes: object) -> Environment:
        return Environment.from_dict(small.document(*dependencies, **changes), tmp_path)

    return make


def test_no_such_channel(builder: Builder, of: Callable[..., Environment], home: Path) -> None:
    environment = of(conda={"channels": ["./channel", "./chanel"], "dependencies": ["tool"]})
    said = r"^\$\.conda\.channels\[1\]: channel '\./chanel' .*cannot be read"
    with pytest.raises(ResolveError, match=said) as caught:
        builder.build(environment)
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    assert health.check(home) == 0


def test_no_such_package_and_the_nearest_name(builder: Builder, of: Callable[..., Environment]) -> None:
    with pytest.raises(ResolveError, match=r"tol: no package of that name in \./channel .*near names: tool") as caught:
        builder.build(of("tol", "zlib"))
    assert caught.value.requirements == ("tol",)


def test_no_such_version_and_those_there_are(builder: Builder, of: Callable[..., Environment]) -> None:
    with pytest.raises(ResolveError, match=r"tool >=9: not in \./channel .*available: 2\.0, 1\.0") as caught:
        builder.build(of("tool >=9"))
    assert caught.value.available == ("2.0", "1.0")
    assert caught.value.requirements == ("tool >=9",)


def test_all_that_cannot_be_met_is_said_at_once(builder: Builder, of: Callable[..., Environment]) -> None:
    with pytest.raises(ResolveError) as caught:
        builder.build(of("tol", "zlib=9", "pure"))
    assert set(caught.value.requirements) == {"tol", "zlib=9"}


def test_pins_that_exclude_each_other_keep_the_solvers_explanation(
    builder: Builder, of: Callable[..., Environment], home: Path
) -> None:
    environment = of("left", "right")
    with pytest.raises(ResolveError, match=r"no set of packages for linux-64 satisfies all of it") as caught:
        builder.build(environment)
    explanation = caught.value.explanation
    assert "left" in explanation
    assert "right" in explanation
    assert "tool" in explanation
    assert "left" in builder.log(environment), "the log of the failed build has it too"
    assert health.check(home) == 0


def test_a_package_that_is_not_what_the_index_says(
    builder: Builder, of: Callable[..., Environment], channel: Channel, home: Path
) -> None:
    file = channel.root / "linux-64" / "zlib-1.0-0.conda"
    sound = file.read_bytes()
    expected = channel.index["linux-64"]["packages.conda"][file.name]["sha256"]
    other = Channel(channel.root.with_name("other")).add("zlib", {"lib/libz.so.1": File(b"evil")})
    shutil.copyfile(other, file)
    with pytest.raises(PackageError, match=f"expected sha256 {expected}, got [0-9a-f]{{64}}") as caught:
        builder.build(of("zlib"))
    assert caught.value.package == file.name
    assert list((home / "packages").glob("*")) == []
    assert health.check(home) == 0
    health.check_tidy(home)
    file.write_bytes(sound)
    assert not builder.build(of("zlib")).hit
    assert health.check(home) == 1


def test_a_package_that_is_gone(builder: Builder, of: Callable[..., Environment], channel: Channel, home: Path) -> None:
    (channel.root / "linux-64" / "zlib-1.0-0.conda").unlink()
    with pytest.raises(PackageError, match=r"^zlib-1\.0-0\.conda: cannot be fetched"):
        builder.build(of("zlib", "old"))
    assert health.check(home) == 0
    health.check_tidy(home)


def test_a_package_cut_short_in_the_cache_is_noticed_and_fetched_again(
    builder: Builder, of: Callable[..., Environment], home: Path
) -> None:
    first = builder.build(of("zlib", prefix="/opt/one"))
    (file,) = (path for path in (home / "packages").rglob("libz.so.1"))
    file.write_bytes(b"")
    with Builder(home=home) as later:
        with pytest.raises(PackageError, match=r"zlib-1\.0-0\.conda"):
            later.build(of("zlib", prefix="/opt/two"))
        again = later.build(of("zlib", prefix="/opt/two"))
    assert again.id != first.id
    assert health.check(home) == 2


def test_the_command_ends_with_status_four_and_names_the_log(channel: Channel, tmp_path: Path) -> None:
    file = small.write(tmp_path, "tool=9")
    done = Caller()("build", file, environ={"COOPERY_HOME": str(tmp_path / "home")})
    assert done.returncode == 4
    assert done.stdout == ""
    assert "tool=9: not in ./channel" in done.stderr
    log = Path(done.stderr.rpartition("log: ")[2].strip())
    assert log.is_relative_to(Home(tmp_path / "home").root)
    assert "tool=9" in log.read_text()
    assert "Traceback" not in done.stderr
