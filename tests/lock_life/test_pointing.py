"""Where the requirements stand that cannot be had: in the file, by line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery import Environment
from coopery.errors import ResolveError
from coopery.stages.pointing import point, pointing
from lock_life.conftest import Project

TEXT = """\
base: scratch
conda:
  channels: [one, two]
  dependencies: [tool, library=9]
"""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "train.yaml").write_text(TEXT)
    return Environment.load(tmp_path / "train.yaml")


def told(environment: Environment, message: str, requirements: list[str], explanation: str = "") -> list[str]:
    error = ResolveError(message, explanation=explanation, requirements=requirements)
    point(error, environment)
    return [line.rpartition("/")[2] for line in str(error.message).split("\n")]


def test_each_line_has_its_own_place(environment: Environment) -> None:
    assert told(environment, "no library=9\nno tool", ["library=9", "tool"], "because\nof this") == [
        "train.yaml:4:24: $.conda.dependencies[1]: no library=9",
        "train.yaml:4:18: $.conda.dependencies[0]: no tool",
        "because",
        "of this",
    ]


def test_what_the_file_does_not_hold_has_no_place(environment: Environment) -> None:
    assert told(environment, "no far\nno tool", ["far", "tool"]) == [
        "no far",
        "train.yaml:4:18: $.conda.dependencies[0]: no tool",
    ]


def test_a_field_is_named_once(environment: Environment) -> None:
    """The number of a channel is that in the solver's question, the same as in the file."""
    assert told(environment, "$.conda.channels[1]: cannot be read", ["two"], "dns") == [
        "train.yaml:3:19: $.conda.channels[1]: cannot be read",
        "dns",
    ]


def test_one_message_for_several_names_them_all(environment: Environment) -> None:
    assert told(environment, "these exclude each other", ["tool", "library=9"]) == [
        "train.yaml:4:18: $.conda.dependencies[0]",
        "train.yaml:4:24: $.conda.dependencies[1]: these exclude each other",
    ]


def test_no_requirements_no_places(environment: Environment) -> None:
    assert told(environment, "nothing fits", [], "because") == ["nothing fits", "because"]
    with pytest.raises(KeyError), pointing(environment):
        raise KeyError("not a solver's")


@pytest.mark.processes
def test_a_lock_that_cannot_be_made_says_where(project: Project) -> None:
    environment = project.define("tool=9", "library")
    with pytest.raises(ResolveError) as locking:
        project.builder.relock(environment)
    with pytest.raises(ResolveError) as building:
        project.builder.build(environment)
    (at,) = [line for line in locking.value.message.splitlines() if "available: 2.0, 1.0" in line]
    assert "environment.json:" in at
    assert "$.conda.dependencies[0]: tool=9: not in" in at
    assert locking.value.message == building.value.message
