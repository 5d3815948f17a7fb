"""Which command line reaches BuildKit: found by asking programs that answer as real ones do."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery_docker.builders import buildkit

pytestmark = pytest.mark.processes


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}/one:{tmp_path}/two")
    return tmp_path


def docker(folder: Path, *, buildx: str = "", version: str = "") -> None:
    folder.mkdir(exist_ok=True)
    lines = ["#!/bin/sh", 'case "$1" in']
    lines += [f"buildx) echo '{buildx}';;" if buildx else "buildx) exit 1;;"]
    lines += [f"version) echo '{version}';;" if version else "version) exit 1;;", "esac"]
    (folder / "docker").write_text("\n".join(lines))
    (folder / "docker").chmod(0o755)


def test_buildx_comes_first_wherever_it_is(programs: Path) -> None:
    docker(programs / "one", version="20.10.24+dfsg1")
    docker(programs / "two", buildx="github.com/docker/buildx v0.29.1 abc", version="28.5.1")
    found = buildkit()
    assert found is not None
    assert found.words == "BuildKit (docker buildx v0.29.1)"
    assert found.argv[0] == str(programs / "two" / "docker")


def test_an_old_command_line_has_buildkit_itself(programs: Path) -> None:
    docker(programs / "one", version="28.2.2")
    docker(programs / "two", version="20.10.24+dfsg1")
    found = buildkit()
    assert found is not None
    assert (found.argv, found.env) == ((str(programs / "two" / "docker"), "build"), {"DOCKER_BUILDKIT": "1"})


@pytest.mark.parametrize("version", ["28.2.2", "", "podman", "1.13.1"])
def test_others_do_not_reach_it(programs: Path, version: str) -> None:
    docker(programs / "one", version=version)
    assert buildkit() is None


def test_what_cannot_be_started_is_passed_over(programs: Path) -> None:
    (programs / "one").mkdir()
    (programs / "one" / "docker").write_bytes(b"\x7fELF nonsense")
    (programs / "one" / "docker").chmod(0o755)
    assert buildkit() is None
