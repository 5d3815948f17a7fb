"""One definition, one image id: wherever, whoever, however, and whichever Python builds it."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import parts
from conda.maker import Channel
from soak import rounds
from trunk import science, small
from trunk.caller import Caller, give, ordinary

pytestmark = pytest.mark.processes

PACKAGES = ("tool", "pure", "old", "zlib")
STEPS = [
    {"copy": "data", "to": "/srv/data"},
    {"copy": "data/run.sh", "to": "/usr/bin/", "mode": "0700"},
    {"copy": "data/one.txt", "to": "/home/app/one.txt", "owner": "1000:1000"},
    {"env": {"GREETING": "hällo"}},
    {"workdir": "/srv/data/deep"},
    {"user": "1000:1000"},
]


def write(folder: Path, channel: Path) -> Path:
    """The definition and all that it names, made anew in *folder*; returns its file."""
    (folder / "data" / "deep").mkdir(parents=True)
    contents = {"one.txt": "one\n", "run.sh": "#!/bin/sh\n", "deep/ünï.txt": "x" * 5000, "B": "", "a": ""}
    for name, content in contents.items():
        (folder / "data" / name).write_text(content)
    (folder / "data" / "run.sh").chmod(0o700)
    (folder / "data" / "link").symlink_to("deep/ünï.txt")
    shutil.copytree(channel, folder / "channel", copy_function=shutil.copyfile)
    return small.write(folder, *PACKAGES, steps=STEPS)


@pytest.fixture(scope="module")
def channel() -> Iterator[Path]:
    """One channel for all: a package's bytes hold the time at which it was packed."""
    with tempfile.TemporaryDirectory(prefix="coopery-one-id-") as folder:
        yield small.fill(Channel(Path(folder, "channel"))).root


@pytest.fixture(scope="module")
def expected(channel: Path) -> tuple[str, str]:
    """Key and image id, as this user makes them with the variables of this process."""
    with tempfile.TemporaryDirectory(prefix="coopery-one-id-") as folder:
        return built(Caller(), Path(folder), channel)


def built(
    caller: Caller, folder: Path, channel: Path, environ: Mapping[str, str] | None = None, **options: Any
) -> tuple[str, str]:
    file = write(folder, channel)
    give(folder, caller)
    found = caller.build(file, environ={"COOPERY_HOME": str(folder / "home"), **(environ or {})}, **options)
    assert not found["hit"]
    return found["key"], found["id"]


@pytest.mark.parametrize(
    ("umask", "environ"),
    [
        (0o000, {"TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "0"}),
        (
            0o077,
            {"TZ": "UTC+12", "LC_ALL": "C", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1", "HOME": "/nonexistent"},
        ),
    ],
    ids=["open", "closed"],
)
def test_umask_time_zone_locale_and_hash_seed_do_not_count(
    channel: Path, expected: tuple[str, str], tmp_path: Path, umask: int, environ: dict[str, str]
) -> None:
    folder = tmp_path / f"elsewhere, {umask:o}"
    assert built(Caller(), folder, channel, environ, umask=umask, cwd=tmp_path) == expected


def test_a_locale_that_knows_only_ascii_does_not_count(
    channel: Path, expected: tuple[str, str], tmp_path: Path
) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert built(Caller(), tmp_path / "ascii", channel, ascii_only) == expected


@pytest.mark.slow
def test_no_mixture_of_these_counts(channel: Path, expected: tuple[str, str], tmp_path: Path) -> None:
    """Any folder, umask, time zone, locale, hash seed and Python, drawn anew each time."""
    chance = random.Random(27)
    pythons = ["", *filter(None, [parts.second_python()])]
    for number in range(rounds(6, 100)):
        environ = {
            "TZ": chance.choice(["UTC", "Pacific/Kiritimati", "UTC+12", "Asia/Kathmandu"]),
            "LC_ALL": chance.choice(["C", "C.UTF-8", "tr_TR.UTF-8"]),
            "PYTHONHASHSEED": str(chance.randrange(1 << 32)),
        }
        folder = tmp_path / f"{number}, {chance.randrange(1 << 32)}"
        caller = Caller(*filter(None, [chance.choice(pythons)]))
        umask = chance.choice([0o000, 0o002, 0o022, 0o027, 0o077])
        assert built(caller, folder, channel, environ, umask=umask) == expected, (number, environ, oct(umask))


@pytest.mark.needs("ordinary-user")
def test_the_user_does_not_count(channel: Path, expected: tuple[str, str]) -> None:
    with ordinary() as (caller, folder):
        assert built(caller, folder / "theirs", channel, umask=0o027, cwd="/") == expected


@pytest.mark.needs("second-python")
def test_the_python_that_builds_does_not_count(channel: Path, expected: tuple[str, str], tmp_path: Path) -> None:
    other = Caller(str(parts.second_python()))
    assert built(other, tmp_path / "other", channel) == expected


@pytest.mark.needs("second-python", "channel")
def test_nor_does_it_for_compiled_modules_of_real_packages(tmp_path: Path) -> None:
    conda = {"channels": [str(science.CHANNEL)], "dependencies": ["python=3.11", "six", "packaging"]}
    file = small.write(tmp_path, conda=conda, build=None)
    ids = set()
    for number, caller in enumerate((Caller(), Caller(str(parts.second_python())))):
        ids.add(caller.build(file, environ={"COOPERY_HOME": str(tmp_path / f"home-{number}")})["id"])
    assert len(ids) == 1
