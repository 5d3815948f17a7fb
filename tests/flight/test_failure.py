"""Errors as plain data and back."""

from __future__ import annotations

import json

import pytest

from coopery import failure
from coopery.errors import (
    BaseError,
    BuildError,
    CacheError,
    CooperyError,
    DefinitionError,
    IntegrityError,
    PackageError,
    Problem,
    ResolveError,
    StepFailed,
    StoreFull,
    UnsupportedError,
)

ERRORS = [
    BaseError("no such base", remedy="look"),
    ResolveError("no solution", explanation="a\nb", remedy="relax"),
    PackageError("x.conda", "damaged"),
    StepFailed("oci", "$.steps[0]", ["false"], 1, "tail\nä"),
    UnsupportedError("oci", "run", "$.steps[0].run", ["docker"]),
    IntegrityError("other bytes"),
    CacheError("disk"),
    StoreFull("full"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_there_and_back(error):
    again = failure.restore(json.loads(json.dumps(failure.describe(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.exit_code == error.exit_code


def test_the_log_is_kept():
    error = BuildError("no")
    error.log = "/logs/1.log"
    assert failure.restore(failure.describe(error)).log == "/logs/1.log"


def test_what_json_cannot_hold_makes_it_its_parent():
    error = DefinitionError([Problem("$.x", "is wrong")])
    again = failure.restore(json.loads(json.dumps(failure.describe(error))))
    assert type(again) is CooperyError
    assert str(again) == "$.x: is wrong"


def test_what_is_none_of_ours_is_a_build_error():
    again = failure.restore(failure.describe(KeyError("x")))
    assert type(again) is BuildError
    assert str(again) == "KeyError: 'x'"


def test_a_record_decides_no_class():
    told = {"types": ["os.system", "builtins.SystemExit", "coopery.nowhere.X"], "message": "m", "log": "", "fields": {}}
    assert type(failure.restore(told)) is BuildError


def test_long_texts_are_cut():
    described = failure.describe(ResolveError("m" * 50_000, explanation="e" * 50_000))
    assert len(json.dumps(described)) < 40_000


def test_a_copy_is_equal_and_apart():
    error = DefinitionError([Problem("$.x", "is wrong")])
    again = failure.copy(error)
    assert again is not error
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    other = ZeroDivisionError()
    assert failure.copy(other) is other
