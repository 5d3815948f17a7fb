"""What is checked of an image's own Python and of CUDA; versions with known holes."""

from __future__ import annotations

import pytest

from coopery.digest import of_bytes
from coopery.engines import gpu
from coopery.engines.holes import HOLES, known, numbers
from coopery.errors import BaseError, ResolveError
from coopery.lock import Artifact, Lock
from coopery.target import Facts, Resolved

BASE = of_bytes(b"base")


def artifact(kind: str, name: str, version: str) -> Artifact:
    return Artifact(kind, name, version, "", "", f"{name}-{version}", "x", "0" * 64, 1)


def told(driver: str | None, *artifacts: Artifact, asks: str | None = None, has: str = "") -> tuple[str, ...]:
    facts = Facts(cuda=asks, env=(("CUDA_VERSION", has),) if has else ())
    target = Resolved("linux/amd64", "/opt/env", BASE, facts, cuda=driver)
    return gpu.check(Lock("linux/amd64", BASE, {}, artifacts), target, facts)


RUNTIME = artifact("conda", "cuda-version", "12.4")


def test_what_agrees_is_silent():
    assert told("12.4", RUNTIME) == ()
    assert told("12.6", RUNTIME, asks="12.4", has="12.4.1") == ()
    assert told(None, artifact("conda", "numpy", "2.0")) == ()
    assert told("12.4", artifact("pip", "torch", "2.4.0+cpu")) == ()


@pytest.mark.parametrize(
    "one",
    [
        artifact("conda", "cuda-version", "13.0"),
        artifact("pip", "nvidia-cuda-runtime-cu13", "13.0.48"),
        artifact("pip", "torch", "2.9.0+cu130"),
    ],
    ids=lambda one: one.name,
)
def test_a_newer_major_version_than_the_drivers_cannot_work(one):
    with pytest.raises(ResolveError, match=r"cannot run on the driver that is promised: it supports CUDA 12\.4"):
        told("12.4", one)


def test_a_base_for_a_newer_major_version_cannot_start():
    with pytest.raises(BaseError, match="would not start"):
        told("11.8", asks="12.4")


@pytest.mark.parametrize(
    ("driver", "one", "asks", "has", "words"),
    [
        ("12.2", RUNTIME, None, "", "minor version compatibility"),
        ("12.4", artifact("pip", "nvidia-cuda-runtime-cu11", "11.8.89"), None, "12.4.1", "packages bring CUDA 11"),
        ("12.2", artifact("conda", "numpy", "2.0"), "12.4", "", "exceptions for older drivers"),
        (None, RUNTIME, None, "", "it will use no GPU"),
    ],
)
def test_what_merely_differs_is_a_warning(driver, one, asks, has, words):
    found = told(driver, one, asks=asks, has=has)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("program", "version", "open_"),
    [
        ("runc", "runc version 1.1.5+ds1", 2),
        ("runc", "1.2.8", 0),
        ("runc", "1.3.2", 1),
        ("runc", "1.3.3", 0),
        ("docker", "24.0.9", 1),
        ("docker", "28.5.1", 0),
        ("buildx", "github.com/docker/buildx v0.21.2 abc", 1),
        ("apptainer", "1.4.5", 0),
        ("apptainer", "", 0),
        ("unheard-of", "0.1", 0),
    ],
)
def test_known_holes(program, version, open_):
    assert len(known(program, version)) == open_


def test_the_table_reads_back():
    assert all(numbers(hole.fixed) and all(map(numbers, hole.also)) for hole in HOLES)


PYTHON = {"user_managed": True, "interpreter": "/opt/python"}


def test_a_declared_interpreter_that_is_there(builder, define):
    environment = define({"copy": "python", "to": "/opt/python"}, python=PYTHON)
    assert builder().build(environment).interpreter == "/opt/python"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"copy": "python", "to": "/opt/other"}, "it is not in the image"),
        ({"copy": "one.txt", "to": "/opt/python"}, "nobody may execute it"),
        ({"workdir": "/opt/python"}, "it is a directory"),
        ({"copy": "one.txt", "to": "/opt"}, "/opt: a folder is needed here"),
    ],
)
def test_a_declared_interpreter_that_is_none(builder, define, step, words):
    with pytest.raises(BaseError, match="interpreter") as caught:
        builder().build(define(step, python=PYTHON, prefix="/srv/env"))
    assert words in caught.value.message
