"""One key, many places: built on Docker and pushed, it serves Podman by a pull and Apptainer by a conversion.

Each time on a machine that has nothing but the records: another cache folder, another user. No solve, no step.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from conformance.conftest import Session
from coopery import Builder
from coopery.settings import Settings
from real_registry import RealRegistry, real_registry

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("channel", "registry", "docker")]

SAMPLE = "steps"


@frozen
class Pushed:
    """What Docker made, where its records are, and the registry that has it."""

    session: Session
    made: dict[str, Any]
    records: Path
    registry: RealRegistry


@pytest.fixture(scope="session")
def pushed(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    with real_registry(tmp_path_factory.mktemp("registry")) as registry:
        made = session.drive("docker", "home", "pushed", [SAMPLE], keep=True)[SAMPLE]
        assert "error" not in made, made.get("error")
        records = session.folder / "pushed" / "records.sqlite"
        settings = Settings(home=session.folder / "home", cache=f"sqlite:{records}")
        with Builder(settings=settings, backend="docker") as builder:
            builder.push(made["key"], f"{registry.host}/team/steps:v1")
            builder.place.remove(made["id"], made["digest"])
        yield Pushed(session, made, records, registry)


@pytest.fixture
def elsewhere(pushed: Pushed) -> Callable[[str], dict[str, Any]]:
    """What a backend makes of the sample where nothing is but the records."""

    def get(backend: str) -> dict[str, Any]:
        out = f"elsewhere-{backend}"
        (pushed.session.folder / out).mkdir(mode=0o700)
        for path in pushed.records.parent.glob("records.sqlite*"):
            shutil.copy(path, pushed.session.folder / out)
        made = pushed.session.drive(backend, f"home-{out}", out, [SAMPLE])[SAMPLE]
        assert "error" not in made, made.get("error")
        return made

    return get


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("podman", marks=pytest.mark.needs("podman-run"), id="podman"),
        pytest.param("singularity", marks=pytest.mark.needs("apptainer"), id="singularity"),
    ],
)
def test_it_serves_another_engine(pushed: Pushed, elsewhere: Callable[[str], dict[str, Any]], backend: str) -> None:
    made, first = elsewhere(backend), pushed.made
    assert {"base", "steps", "lock", "layers"} & set(made["stages"]) == set()
    assert "pull" in made["stages"]
    same = ("key", "lock", "id", "said", "files", "status")
    assert {name: made[name] for name in same} == {name: first[name] for name in same}
    assert made["again"]
