"""containers-storage read without starting a program: yes, no, and what is not understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coopery_podman.storage import Located, LookError

IMAGE, OTHER = "a" * 64, "b" * 64
BOTTOM, TOP = "c" * 64, "d" * 64


@pytest.fixture
def located(tmp_path: Path) -> Located:
    graph, run = tmp_path / "graph", tmp_path / "run"
    write(graph / "overlay-images" / "images.json", [{"id": IMAGE, "layer": TOP, "names": ["localhost/x:1"]}])
    write(graph / "overlay-layers" / "layers.json", [{"id": BOTTOM}, {"id": TOP, "parent": BOTTOM}])
    for layer in (BOTTOM, TOP):
        (graph / "overlay" / layer / "diff").mkdir(parents=True)
    return Located(graph, run, "overlay")


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_there(located: Located) -> None:
    assert (located.image(IMAGE) or {})["names"] == ["localhost/x:1"]


def test_not_there(located: Located) -> None:
    assert located.image(OTHER) is None


def test_an_id_that_is_only_mentioned_is_no_image(located: Located) -> None:
    write(located.graph_root / "overlay-images" / "images.json", [{"id": OTHER, "layer": TOP, "metadata": IMAGE}])
    assert located.image(IMAGE) is None


def test_an_empty_storage(tmp_path: Path) -> None:
    nothing = Located(tmp_path, tmp_path, "overlay")
    assert nothing.image(IMAGE) is None
    assert nothing.images() == nothing.containers() == ()


@pytest.mark.parametrize(
    "layers",
    [
        [{"id": TOP, "parent": BOTTOM}],
        [{"id": BOTTOM}],
        [{"id": BOTTOM, "flags": {"incomplete": True}}, {"id": TOP, "parent": BOTTOM}],
        [{"id": BOTTOM, "parent": TOP}, {"id": TOP, "parent": BOTTOM}],
    ],
)
def test_an_image_whose_layers_are_not_whole_is_not_there(located: Located, layers: list[Any]) -> None:
    write(located.graph_root / "overlay-layers" / "layers.json", layers)
    assert located.image(IMAGE) is None


def test_an_image_whose_layer_has_lost_its_folder_is_not_there(located: Located) -> None:
    (located.graph_root / "overlay" / BOTTOM / "diff").rmdir()
    assert located.image(IMAGE) is None


def test_an_image_without_layers(located: Located) -> None:
    write(located.graph_root / "overlay-images" / "images.json", [{"id": IMAGE}])
    assert located.image(IMAGE) is not None


@pytest.mark.parametrize("text", ['{"a', '{"id": "x"}', '["x"]', "\ufffd"])
def test_what_is_not_understood_is_no_answer(located: Located, text: str) -> None:
    path = located.graph_root / "overlay-images" / "images.json"
    path.write_text(f"{text}{IMAGE}")
    with pytest.raises(LookError):
        located.image(IMAGE)
    path.write_text(text)
    with pytest.raises(LookError):
        located.images()


def test_layers_that_are_not_understood_are_no_answer(located: Located) -> None:
    (located.graph_root / "overlay-layers" / "layers.json").write_text("{}")
    with pytest.raises(LookError):
        located.image(IMAGE)


def test_the_changes_of_a_container(located: Located) -> None:
    volatile = located.run_root / "overlay-containers" / "volatile-containers.json"
    write(volatile, [{"id": "1", "names": ["box"], "layer": TOP}])
    assert located.upper("box") == located.graph_root / "overlay" / TOP / "diff"
    write(volatile, [])
    write(
        located.graph_root / "overlay-containers" / "containers.json", [{"id": "1", "names": ["box"], "layer": OTHER}]
    )
    assert located.upper("box") is None  # no such folder
    with pytest.raises(LookError):
        located.upper("other")


def test_other_drivers_have_no_such_folder(tmp_path: Path) -> None:
    assert Located(tmp_path, tmp_path, "vfs").upper("box") is None
