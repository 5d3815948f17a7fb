"""One pin changed: one layer of packages is made, and the others are the very same layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from conda.maker import Channel, File
from coopery import Builder, Environment
from coopery.layer import Layer
from trunk import science, small

pytestmark = pytest.mark.processes


def differing(first: Sequence[Layer], second: Sequence[Layer]) -> tuple[list[str], list[str]]:
    """Packages of the layers that only one of two images has."""

    def only(mine: Sequence[Layer], others: Sequence[Layer]) -> list[str]:
        there = {layer.diff_id for layer in others}
        return sorted(name for layer in mine if layer.diff_id not in there for name in layer.packages)

    return only(first, second), only(second, first)


def test_one_pin_makes_one_layer(builder: Builder, tmp_path: Path) -> None:
    channel = small.fill(Channel(tmp_path / "channel"))
    channel.add("tool", {"bin/tool": File(b"#!/bin/sh\n", 0o755)}, version="2.0")
    made = {}
    for pin in ("tool=1.0", "tool=2.0"):
        image = builder.build(Environment.from_dict(small.document(pin, "zlib", "pure", "old"), tmp_path))
        made[pin] = image.made.layers_made, image.made.layers_reused, builder.details(image.key).layers
    assert made["tool=1.0"][:2] == (6, 0), "five packages and the history"
    assert made["tool=2.0"][:2] == (1, 5)
    assert differing(made["tool=1.0"][2], made["tool=2.0"][2]) == (["tool"], ["tool"])


@pytest.mark.needs("channel", "debian")
def test_one_pin_of_a_real_environment() -> None:
    with science.builder() as builder:
        before = builder.details(science.science("1.4.2").key)
        after = builder.details(science.science("1.4.0").key)
    assert len(before.layers) == len(after.layers) > 30
    assert differing(before.layers, after.layers) == (["joblib"], ["joblib"])
    assert before.lock is not None
    assert after.lock is not None
    kept = {artifact for artifact in before.lock.artifacts if artifact.name != "joblib"}
    assert kept < set(after.lock.artifacts), "every other package is the very same file"


@pytest.mark.needs("channel", "debian")
def test_other_packages_on_the_same_base_share_its_layers() -> None:
    with science.builder() as builder:
        large, small_one = builder.details(science.science().key), builder.details(science.plain().key)
    assert large.lock is not None
    packages = {artifact.name for artifact in large.lock.artifacts} | {"conda-history"}
    base = [layer for layer in large.layers if not packages.intersection(layer.packages)]
    assert len(base) > 10
    assert base == list(large.layers[: len(base)]) == list(small_one.layers[: len(base)])
