"""A disk that is full, or fails, at any moment: a clear error, nothing half-made, and the next build works."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conda.maker import Channel, File
from coopery import Builder, Environment, faults
from coopery.errors import CacheError, StoreFull
from coopery.events import Event, Warned
from trunk import health, small
from trunk.caller import Caller

pytestmark = pytest.mark.processes

BEFORE_THE_IMAGE = ("blob-open", "blob-write", "blob-fsync", "blob-rename", "blob-dirsync", "index-replace")


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    yield
    faults.configure("")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Packages, files and settings: every kind of thing that a build writes."""
    small.fill(Channel(tmp_path / "channel"))
    (tmp_path / "data").write_text("data\n")
    steps = [{"copy": "data", "to": "/srv/data"}, {"env": {"A": "b"}}]
    return Environment.from_dict(small.document("tool", "old", steps=steps), tmp_path)


@pytest.fixture
def untouched(environment: Environment, tmp_path: Path) -> str:
    """The image id on a disk with room."""
    with Builder(home=tmp_path / "untouched") as builder:
        return builder.build(environment).id


@pytest.mark.parametrize(("action", "error"), [("enospc", StoreFull), ("eio", CacheError)])
@pytest.mark.parametrize("point", BEFORE_THE_IMAGE)
def test_at_each_point(
    builder: Builder, define: Callable[..., Environment], home: Path, point: str, action: str, error: type[CacheError]
) -> None:
    faults.configure(f"{point}:{action}")
    with pytest.raises(error) as caught:
        builder.build(define())
    assert type(caught.value) is error
    assert caught.value.exit_code == 6
    assert health.check(home) == 0
    health.check_tidy(home)
    faults.configure("")
    assert not builder.build(define()).hit
    assert builder.build(define()).hit
    assert health.check(home) == 1


def test_when_only_the_record_cannot_be_written_the_image_is_still_handed_out(
    builder: Builder, define: Callable[..., Environment], home: Path, events: list[Event]
) -> None:
    faults.configure("record-put:enospc")
    image = builder.build(define())
    assert not image.cached
    assert any("could not be recorded" in event.message for event in events if isinstance(event, Warned))
    faults.configure("")
    again = builder.build(define())
    assert (again.id, again.hit, again.cached) == (image.id, False, True)
    assert builder.build(define()).hit
    assert health.check(home) == 1


@pytest.mark.slow
def test_at_every_write_of_a_build_with_packages(environment: Environment, untouched: str, tmp_path: Path) -> None:
    for number in range(1, 100):
        home = tmp_path / f"home-{number}"
        faults.configure(f"blob-write:enospc:{number}")
        with Builder(home=home) as builder:
            try:
                builder.build(environment)
            except StoreFull:
                assert health.check(home) == 0
                health.check_tidy(home)
                faults.configure("")
                assert builder.build(environment).id == untouched
            else:
                break
    assert number > 5, "layers, a config and a manifest were written"


def test_in_the_middle_of_a_build_with_packages(
    builder: Builder, environment: Environment, untouched: str, home: Path
) -> None:
    faults.configure("blob-write:enospc:3")
    with pytest.raises(StoreFull, match="no space left"):
        builder.build(environment)
    assert health.check(home) == 0
    health.check_tidy(home)
    faults.configure("")
    assert builder.build(environment).id == untouched


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A real file system in memory whose size is told; called again, its size changes."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(size: str) -> Path:
        again = "remount," if folder.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", f"{again}size={size},mode=0700", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
        return folder

    yield resize
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_real_disk_that_is_full(
    disk: Callable[[str], Path], environment: Environment, untouched: str, tmp_path: Path
) -> None:
    channel = Channel(tmp_path / "channel", small.index(tmp_path / "channel"))
    channel.add("large", {"share/large": File(bytes(3_000_000))})
    file = small.write(tmp_path, "tool", "old", "large")
    met = set()
    for size in ("80k", "160k", "320k", "640k", "2m", "4m", "6m"):
        home = disk(size) / f"home-{size}"
        done = Caller()("build", file, environ={"COOPERY_HOME": str(home), "TMPDIR": str(tmp_path)})
        met.add(done.returncode)
        if done.returncode:
            assert done.returncode == 6, done.stderr
            assert "no space left" in done.stderr
            assert "Traceback" not in done.stderr
        if home.exists():
            health.check(home)
            health.check_tidy(home)
    assert met >= {6}
    disk("100m")
    with Builder(home=home) as builder:
        assert builder.build(environment).id == untouched
        builder.build(Environment.load(file))
    assert health.check(home) == 2
