"""The config of an image: what stays of the base, what packages change, and that nothing else gets in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coopery import digest
from coopery.assemble import EPOCH, assemble
from coopery.backend import Snapshot
from coopery.errors import BaseError, PackageError
from coopery.image import DEFAULT_PATH, Assembled, encode
from coopery.layer import Layer
from coopery.materializer import Configuration
from layers.forest import target


def layer(name: str, **fields: Any) -> Layer:
    of = digest.of_bytes(name.encode())
    return Layer(of, of, len(name), created_by=f"coopery: {name}", **fields)


BASE = (layer("base"), layer("step"))
DOCUMENT: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2024-05-06T07:08:09Z",
    "author": "somebody",
    "config": {
        "Env": ["LANG=C.UTF-8", "PATH=/usr/bin:/bin", "PYTHONPATH=/old", "PYTHONHOME=/old", "NVIDIA=all"],
        "Entrypoint": ["/nvidia"],
        "Cmd": ["bash"],
        "User": "1000",
        "WorkingDir": "/srv",
        "Labels": {"a": "ä"},
        "Healthcheck": {"Test": ["NONE"]},
    },
    "x-unknown": {"kept": [1, 2.5, None, 2**63]},
    "rootfs": {"type": "layers", "diff_ids": [base.diff_id for base in BASE]},
    "history": [
        {"created": "2024-05-06T07:08:09Z", "created_by": "ADD"},
        {"created_by": "ENV", "empty_layer": True},
        {"created_by": "COPY"},
    ],
}
CONFIGURATION = Configuration(
    path=("/opt/env/bin", "/opt/env/condabin"),
    env=(("CONDA_PREFIX", "/opt/env"), ("PYTHONNOUSERSITE", "1"), ("LANG", "C")),
    unset=("NVIDIA",),
    notes=("a note",),
    activate=("/opt/env/a.sh",),
)
NEW = (layer("numpy"), layer("history"))


def snapshot(document: Any = None, layers: tuple[Layer, ...] = BASE, **changes: Any) -> Snapshot:
    found = document if document is not None else {**DOCUMENT, **changes}
    config = found if isinstance(found, bytes) else encode(found)
    return Snapshot("oci", "id", digest.of_bytes(config), config, layers)


def assembled(base: Snapshot, configuration: Configuration | None = CONFIGURATION) -> Assembled:
    return assemble(base, NEW, configuration, target())


def env(base: Snapshot, configuration: Configuration = CONFIGURATION) -> list[str]:
    found: list[str] = assembled(base, configuration).document["config"]["Env"]
    return found


def test_what_the_base_says_stays() -> None:
    image = assembled(snapshot())
    assert image.layers == BASE + NEW
    after = image.document
    config, before = after["config"], DOCUMENT["config"]
    assert {**config, "Env": 0} == {**before, "Env": 0}
    assert (after["x-unknown"], after["author"], after["created"]) == (
        DOCUMENT["x-unknown"],
        "somebody",
        "2024-05-06T07:08:09Z",
    )
    assert set(after) == set(DOCUMENT)


def test_variables() -> None:
    assert env(snapshot()) == [
        "LANG=C",
        "PATH=/opt/env/bin:/opt/env/condabin:/usr/bin:/bin",
        "CONDA_PREFIX=/opt/env",
        "PYTHONNOUSERSITE=1",
    ]


@pytest.mark.parametrize("variables", [None, [], ["PATH="]])
def test_a_base_without_path_gets_the_usual_one(variables: list[str] | None) -> None:
    assert env(snapshot(config={"Env": variables}), Configuration(path=("/p",))) == [f"PATH=/p:{DEFAULT_PATH}"]


def test_a_folder_is_on_path_once_and_in_front() -> None:
    base = snapshot(config={"Env": ["PATH=/bin:/opt/env/bin:/usr/bin"]})
    assert env(base, Configuration(path=("/opt/env/bin",))) == ["PATH=/opt/env/bin:/bin:/usr/bin"]


def test_a_name_that_comes_twice_has_its_last_value() -> None:
    assert env(snapshot(config={"Env": ["A=1", "B=x=y", "A=2"]}), Configuration()) == ["A=2", "B=x=y"]


def test_packages_may_set_pythonpath_themselves() -> None:
    assert "PYTHONPATH=/spark" in env(snapshot(), Configuration(env=(("PYTHONPATH", "/spark"),)))


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_a_variable_that_no_process_can_have_is_refused(name: str) -> None:
    with pytest.raises(PackageError):
        env(snapshot(), Configuration(env=((name, "x"),)))


def test_without_stage_2_the_config_stays_as_it_is() -> None:
    image = assemble(snapshot(), (), None, None)
    assert image.document == DOCUMENT
    assert image.config == encode(DOCUMENT)


def test_history_and_layers_agree() -> None:
    document = assembled(snapshot()).document
    assert document["history"] == [
        *DOCUMENT["history"],
        {"created": EPOCH, "created_by": "coopery: numpy"},
        {"created": EPOCH, "created_by": "coopery: history"},
    ]
    assert document["rootfs"] == {"type": "layers", "diff_ids": [each.diff_id for each in BASE + NEW]}


@pytest.mark.parametrize("history", [None, [], [{"created_by": "one"}], [{}] * 3, "text", [1, 2]])
def test_a_history_that_does_not_fit_is_made_anew(history: Any) -> None:
    document = assembled(snapshot(history=history)).document
    assert [line["created_by"] for line in document["history"]] == [
        "coopery: base",
        "coopery: step",
        "coopery: numpy",
        "coopery: history",
    ]


def test_scratch() -> None:
    base = snapshot({"architecture": "amd64", "os": "linux"}, ())
    assert assembled(base).document["created"] == EPOCH
    assert assembled(base).document["config"]["Env"][0] == "CONDA_PREFIX=/opt/env"
    assert len(assembled(base).document["history"]) == 2


def test_the_platform_is_stated_and_a_variant_of_the_base_kept() -> None:
    document = assembled(snapshot({**DOCUMENT, "architecture": "", "os": None, "variant": "v2"})).document
    assert (document["os"], document["architecture"], document["variant"]) == ("linux", "amd64", "v2")


@pytest.mark.parametrize("changes", [{"architecture": "arm64"}, {"os": "windows"}])
def test_a_base_for_another_platform_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BaseError, match="linux/amd64"):
        assembled(snapshot(**changes))


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"{", b"[]", b"1", b"\xff", b"null", b"[" * 100_000),
        *({**DOCUMENT, "config": [1]}, {**DOCUMENT, "config": {"Env": "A=1"}}, {**DOCUMENT, "config": {"Env": [1]}}),
        *({**DOCUMENT, "rootfs": []}, {**DOCUMENT, "rootfs": {"diff_ids": [1]}}, {**DOCUMENT, "rootfs": {}}),
        {**DOCUMENT, "rootfs": {"diff_ids": [BASE[0].diff_id]}},
        json.dumps({**DOCUMENT, "author": "\udc80"}).encode(),
    ],
)
def test_a_config_that_is_none_is_refused(document: Any) -> None:
    with pytest.raises(BaseError):
        assembled(snapshot(document))


def test_equal_inputs_give_equal_bytes_and_nothing_foreign_is_inside() -> None:
    shuffled = snapshot(dict(reversed(DOCUMENT.items())))
    image = assembled(snapshot())
    assert image == assembled(shuffled)
    assert image.image_id == "sha256:57cea872c06371bd484ad7e5a6bcc0ac6cbd4570b9654c4971a9801e35926474"
    assert b"a note" not in image.config
    assert b"a.sh" not in image.config
