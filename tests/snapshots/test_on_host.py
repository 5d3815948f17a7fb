"""What a backend delegates: bases, steps that execute nothing, snapshots by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.definition import Environment, EnvStep, RunStep, ScratchBase, WorkdirStep
from coopery.errors import IntegrityError, UnsupportedError
from coopery.seal import seal
from coopery.snapshots.on_host import OnHost
from coopery.snapshots.steps import run_step

NAME = "ab" * 32


@pytest.fixture
def host(workshop: Workshop) -> OnHost:
    return OnHost(workshop, "test")


def sealed(*steps):
    return seal(Environment(ScratchBase(), steps))


def test_a_step_is_kept_under_its_name_for_its_own_backend(host: OnHost, workshop: Workshop) -> None:
    definition = sealed(WorkdirStep("/job"))
    base = host.fetch_base(definition.base, "linux/amd64")
    made = host.run_step(base, definition.steps[0], NAME)
    assert host.find_snapshot(NAME) == made
    assert made.backend == base.backend == "test"
    assert OnHost(workshop, "other").find_snapshot(NAME) == evolve(made, backend="other")
    assert host.files(made).lstat("/job").kind == "directory"


def test_it_is_what_steps_give(host: OnHost, workshop: Workshop) -> None:
    definition = sealed(EnvStep({"A": "1"}))
    base = host.fetch_base(definition.base, "linux/amd64")
    alone = run_step(workshop, host.files(base), base, definition.steps[0])
    assert host.run_step(base, definition.steps[0], NAME) == alone


def test_run_is_refused_under_the_backends_name(host: OnHost) -> None:
    step = sealed(RunStep("true")).steps[0]
    with pytest.raises(UnsupportedError) as caught:
        host.identity(step)
    assert (caught.value.backend, caught.value.ability) == ("test", "run")


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"body": 1, "checksum": "x"}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_a_miss(host: OnHost, workshop: Workshop, damage: bytes) -> None:
    definition = sealed(WorkdirStep("/job"))
    base = host.fetch_base(definition.base, "linux/amd64")
    host.run_step(base, definition.steps[0], NAME)
    (workshop.home / "snapshots" / f"{NAME}.json").write_bytes(damage)
    assert host.find_snapshot(NAME) is None
    made = host.run_step(base, definition.steps[0], NAME)
    assert host.find_snapshot(NAME) == made


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a\nb", "x" * 200])
def test_a_name_that_is_no_name(host: OnHost, name: str, tmp_path: Path) -> None:
    base = host.fetch_base(sealed().base, "linux/amd64")
    for refused in (lambda: host.find_snapshot(name), lambda: host.keep(base, name)):
        with pytest.raises(IntegrityError, match="no name for a snapshot"):
            refused()
    assert not list(tmp_path.glob("up*"))
