"""From definition to image in a real daemon, by the builder: built once, found again, put again, run."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopery import Builder, Environment
from coopery.backend import Workshop
from coopery.errors import StepFailed
from coopery.events import Event, Output, StageFinished
from coopery.image import Assembled
from coopery.oci.layout import write_layout
from coopery.place import RunRequest
from coopery_docker import stage
from coopery_docker.client import Daemon

pytestmark = pytest.mark.needs("docker")


@pytest.fixture
def definition(tmp_path: Path, workshop: Workshop, small: Assembled) -> Path:
    write_layout(small, workshop.blobs, tmp_path / "base", "small")
    path = tmp_path / "environment.json"
    steps = [{"env": {"SECOND": "$COLOR-2"}}, {"run": "echo $SECOND > /made; echo ran"}, {"workdir": "/work"}]
    path.write_text(json.dumps({"name": "test", "base": {"layout": "base", "tag": "small"}, "steps": steps}))
    return path


@pytest.fixture
def builder(tmp_path: Path, events: list[Event], daemon: Daemon) -> Iterator[Builder]:
    with Builder(home=tmp_path / "home", backend="docker", on_event=events.append) as made:
        yield made
        gc.collect()  # a failed build keeps its snapshot for the next try
        stage.sweep_images(daemon)
        for entry in made.list():
            if entry.image is not None:
                daemon.remove_image(str(entry.image.digest), force=True)


def printed(events: list[Event]) -> list[str]:
    return [event.line for event in events if isinstance(event, Output)]


def test_built_once_found_again_put_again(
    builder: Builder, definition: Path, daemon: Daemon, events: list[Event], capfd: pytest.CaptureFixture[str]
) -> None:
    environment = Environment.load(definition)
    first = builder.build(environment)
    assert not first.hit
    assert first.reference.startswith("coopery:")
    assert (daemon.image(first.reference) or {})["Id"] == first.digest
    assert builder.build(environment).hit
    assert builder.run(environment, RunRequest(("sh", "-c", "cat /made; pwd"))) == 0
    assert capfd.readouterr().out.endswith("green-2\n/work\n")

    daemon.remove_image(first.reference)  # behind our back
    events.clear()
    again = builder.build(environment)
    assert (again.hit, again.id, again.digest) == (False, first.id, first.digest)
    assert (daemon.image(first.reference) or {})["Id"] == first.digest
    assert "ran" not in printed(events)  # put again from the blobs, with no step run


def test_a_failed_step_is_taken_up_where_it_failed(
    builder: Builder, definition: Path, daemon: Daemon, events: list[Event]
) -> None:
    text = json.loads(definition.read_text())
    text["steps"].append({"run": "cat /not-there"})
    definition.write_text(json.dumps(text))
    with pytest.raises(StepFailed) as caught:
        builder.build(Environment.load(definition))
    assert caught.value.step == "$.steps[3]"
    assert "not-there" in caught.value.stderr_tail
    assert "not-there" in Path(caught.value.log).read_text()
    text["steps"][3] = {"run": "cat /made"}
    definition.write_text(json.dumps(text))
    events.clear()
    assert not builder.build(Environment.load(definition)).hit
    assert printed(events) == ["green-2"]
    finished = [event for event in events if isinstance(event, StageFinished) and event.stage == "steps"]
    assert [event.detail for event in finished] == ["1 run, 3 reused"]
