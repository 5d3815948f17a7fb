"""One definition on every backend: the same key, lock, files and behaviour; the same image where nothing was run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.conftest import BACKENDS, NAMES, able, works

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("channel")]

Built = Callable[[str, str], dict[str, Any]]

EVERY = [pytest.param(backend, marks=pytest.mark.needs(part), id=backend) for backend, part in BACKENDS.items()]
OWN = {
    "small": "1.16.0 /opt/env 1\n/opt/env/bin/python\n",
    "science": "1.0\n3\n",
    "pip": "['one', 'two  three'] /opt/env\n/opt/env/lib/python3.11/site-packages/sample.py\n",
    "clashing": None,
    "gpu": "cuda\nall|cuda>=12.4 brand=tesla,driver>=535,driver<536\n",
    "dockerfile": "made by a Dockerfile\nnote\nyes\nruns\n",
    "user-managed": "as if it were Python: -V\nnothing was added\n",
    "secrets": "twelve\nno secret is here\n",
    "user": "/home/app\n/home/app 0o100600\n",
}
"""What some of them must say; of the others it is enough that all say the same."""


def reference(name: str, backend: str) -> str:
    """The backend that the others are compared with: the first that works here and can build it."""
    return next(other for other in (*BACKENDS, backend) if other == backend or (works(other) and name in able(other)))


def test_there_are_samples_enough() -> None:
    assert len(NAMES) >= 12


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("name", NAMES)
def test_it_builds_and_behaves(built: Built, backend: str, name: str) -> None:
    made = built(backend, name)
    assert made["status"] == 0, made["said"]
    assert made["again"], "the second build was no hit"
    assert OWN.get(name) in (None, made["said"])


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_it_is_everywhere(built: Built, backend: str, name: str) -> None:
    made, first = built(backend, name), built(reference(name, backend), name)
    assert made["key"] == first["key"]
    assert (made["lock"], made["packages"]) == (first["lock"], first["packages"])
    assert made["said"] == first["said"]
    differing = set(made["files"].splitlines()) ^ set(first["files"].splitlines())
    assert sorted(differing)[:10] == []
    if not made["runs"]:
        assert made["id"] == first["id"]


@pytest.mark.parametrize("backend", EVERY)
def test_files_were_really_seen(built: Built, backend: str) -> None:
    assert len(built(backend, "science")["files"].splitlines()) > 3000
