"""A lock with packages that were built: on another machine they are built again, by the same tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery import Environment
from coopery.errors import DriftError
from coopery.lock import Lock
from pip_build.conftest import House
from pip_build.yard import Yard, packed, project
from pip_resolve.shelf import Shelf, Wheel

pytestmark = [pytest.mark.needs("debian", "overlay"), pytest.mark.processes, pytest.mark.slow]

SAME = project("same", body="print('same at work')")
OTHER = project("other", tools=("helper",), module="'AT = ' + repr(__import__('time').time_ns())")


def test_built_again_where_it_is_not(house: House, yard: Yard, shelf: Shelf) -> None:
    shelf.wheel("helper", "1.0")
    shelf.add(Wheel("same-1.0.tar.gz", packed("same-1.0", SAME)))
    asked = ["same", f"other @ {yard.source('other', yard.commit('other', OTHER))}"]
    path = house.root / "environment.yaml"
    lines = "".join(f"  - {one}\n" for one in asked)
    path.write_text(f"base: {{rootfs: {house.base}}}\nbuild: {{bytecode: false}}\npip:\n{lines}")
    environment = Environment.load(path)
    house.builder.relock(environment).save()
    text = path.with_suffix(".lock").read_text()
    shelf.wheel("helper", "2.0")
    assert not house.builder.relock(environment).changed  # with the wheels that are here
    first = house.builder.build(environment)
    assert house.printed.count("same at work") == 1

    there = house.again("there")
    second = there.builder.build(environment)
    assert there.printed.count("same at work") == 1
    assert "other 1.0: built again from the source in the lock, with other bytes" in there.warned
    assert "same 1.0" not in there.warned
    assert first.id != second.id
    found = there.builder.details(environment)
    assert found.lock is not None
    before = {one.name: one for one in lock_of(text, path).artifacts}
    for one in found.lock.artifacts:
        assert one.built == before[one.name].built  # the tools of the lock, though the index has newer ones
        assert (one.sha256 == before[one.name].sha256) == (one.name == "same")
    assert there.builder.build(environment).hit
    there.close()

    strict = house.again("strict")
    with pytest.raises(DriftError, match="which --frozen refuses") as caught:
        strict.builder.build(environment, frozen=True)
    assert caught.value.paths == ("other 1.0",)
    strict.close()


def lock_of(text: str, path: Path) -> Lock:
    from coopery import lockfile

    assert path.with_suffix(".lock").read_text() == text
    locked = lockfile.read(path.with_suffix(".lock")).of("linux/amd64")
    assert locked is not None
    return locked.lock
