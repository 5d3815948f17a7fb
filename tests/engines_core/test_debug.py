"""What ``coopery debug`` starts from: the snapshot below the step that failed last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coopery.engines import failed_step
from coopery.errors import NotFound, StepFailed
from coopery.events import Output
from coopery.home import Home
from coopery.place import RunRequest


def debugged(tmp_path: Path) -> list:
    return json.loads((tmp_path / "house-images" / "debugged").read_text())


def test_the_last_good_snapshot_is_opened(builder, define, events, tmp_path):
    environment = define({"run": "say one"}, {"run": "fail now"})
    made = builder()
    with pytest.raises(StepFailed) as caught:
        made.build(environment)
    key = made.key(environment)
    assert f"coopery debug {key[:16]}" in caught.value.remedy
    noted = failed_step.load(Home(tmp_path / "home"), key)
    assert (noted.step, noted.status, noted.backend, noted.log) == ("$.steps[2]", 3, "house", caught.value.log)
    events.clear()
    assert made.debug(key, RunRequest(["ls"])) == 9
    assert any("$.steps[2] ended with 3" in event.line for event in events if isinstance(event, Output))
    good = made.backend(made.emit)
    assert debugged(tmp_path)[1] == ["ls"]
    assert debugged(tmp_path)[0] == good.find_snapshot(noted.snapshot).digest
    assert made.debug(environment, RunRequest()) == 9
    assert debugged(tmp_path)[1][:2] == ["/bin/sh", "-c"]


def test_where_the_first_step_fails_it_is_the_base(builder, define, tmp_path):
    environment = define({"run": "true"}, steps=[{"run": "fail"}])
    made = builder()
    with pytest.raises(StepFailed):
        made.build(environment)
    assert made.debug(environment, RunRequest(["ls"])) == 9


def test_what_was_built_since_has_nothing_to_debug(builder, define, tmp_path):
    environment = define({"run": "true"})
    made = builder()
    made.build(environment)
    with pytest.raises(NotFound, match="no step of the newest build"):
        made.debug(environment, RunRequest())


def test_a_note_goes_when_the_key_is_built(builder, define, tmp_path):
    environment = define({"run": "true"})
    made = builder()
    home, key = Home(tmp_path / "home"), made.key(environment)
    failed_step.save(home, failed_step.FailedStep(key, "house", "0" * 64, "$.steps[0]", "x", 1, "log"))
    assert failed_step.load(home, key) is not None
    made.build(environment)
    assert failed_step.load(home, key) is None


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "{" * 5000, '{"key": "x"'])
def test_a_damaged_note_is_none(tmp_path, text):
    home = Home(tmp_path)
    path = tmp_path / "logs" / ("a" * 64) / "failed-step.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert failed_step.load(home, "a" * 64) is None
