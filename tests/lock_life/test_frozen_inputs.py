"""``--frozen`` with any input that is not pinned: an error before anything is fetched.

Nobody listens where these definitions lead, so that whatever is fetched would be another error. Source: the reliability
promise "mutable inputs are pinned before hashing".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment, Settings
from coopery.errors import DefinitionError, StaleLock
from coopery.events import Event
from trunk import small

NOWHERE = "127.0.0.1:1"
TAG = {"image": f"{NOWHERE}/team/base:v1"}
DIGEST = {"image": f"{NOWHERE}/team/base@sha256:{'a' * 64}"}
CONDA = {"channels": [f"http://{NOWHERE}/channel"], "dependencies": ["tool=1.0=0"]}
PIP = {"requirements": ["sample==1.0"], "index_url": f"http://{NOWHERE}/simple"}

UNPINNED: dict[str, tuple[dict[str, Any], str]] = {
    "a tag": ({"base": TAG}, "names no digest"),
    "a suite of Debian": ({"base": {"debian": {"suite": "bookworm", "packages": ["bash"]}}}, "bookworm changes"),
    "conda packages, however exact": ({"conda": CONDA}, r"environment\.lock is not there"),
    "conda packages on a digest": ({"base": DIGEST, "conda": CONDA}, r"environment\.lock is not there"),
    "pip packages": ({"base": DIGEST, "pip": PIP}, r"environment\.lock is not there"),
    "a branch of a repository": (
        {"base": DIGEST, "pip": [f"sample @ git+https://{NOWHERE}/team/sample@main"]},
        r"environment\.lock is not there",
    ),
    "conda's and pip's": ({"base": TAG, "conda": CONDA, "pip": PIP}, r"environment\.lock is not there"),
}


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def builder(tmp_path: Path, events: list[Event]) -> Iterator[Builder]:
    settings = Settings(home=tmp_path / "home", debian_mirror=f"http://{NOWHERE}/debian")
    with Builder(settings=settings, on_event=events.append) as made:
        yield made


def define(folder: Path, **changes: Any) -> Environment:
    return Environment.load(small.write(folder, **{"base": "scratch", "conda": None, **changes}))


@pytest.mark.parametrize("what", UNPINNED)
def test_it_is_refused_before_anything_is_fetched(
    what: str, builder: Builder, events: list[Event], tmp_path: Path
) -> None:
    document, told = UNPINNED[what]
    with pytest.raises(StaleLock, match=told) as caught:
        builder.build(define(tmp_path, **document), frozen=True)
    assert caught.value.exit_code == 9
    assert caught.value.remedy
    assert events == []


@pytest.mark.parametrize("ref", ["", "@", "@-main", "@a..b"])
def test_a_repository_with_no_ref_is_no_definition(tmp_path: Path, ref: str) -> None:
    with pytest.raises(DefinitionError, match="commit"):
        define(tmp_path, pip=[f"sample @ git+https://{NOWHERE}/team/sample{ref}"])


def test_what_is_pinned_is_built(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("data\n")
    assert builder.build(define(tmp_path, steps=[{"copy": "data", "to": "/data"}]), frozen=True)
