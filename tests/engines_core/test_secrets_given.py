"""Build secrets: given by variable or file, demanded before anything, masked everywhere."""

from __future__ import annotations

import pytest

from coopery.engines.secrets import LARGEST, checked, parse
from coopery.errors import StepFailed, UsageError

VALUE = "correct-horse-battery"


def test_both_spellings(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(b"\xffkey\n")
    found = parse([f"id=key,src={path}", "id=token,env=TOKEN", f"id=other,type=file,source={path}"], {"TOKEN": "t"})
    assert found == {"key": b"\xffkey\n", "token": b"t", "other": b"\xffkey\n"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id=a", "expected id=NAME"),
        ("token=hunter2", "expected id=NAME"),
        ("hunter2", "expected id=NAME"),
        ("id=a,env=A,src=b", "expected id=NAME"),
        ("id=a,id=b,env=A", "expected id=NAME"),
        ("id=a,env=UNSET", "UNSET is not set"),
        ("id=a,src=/nowhere/at/all", "cannot be read"),
        ("id=a,src=/dev/null", "expected 1 to"),
        ("id=-a,env=A", "no id of a secret"),
        ("id=a\nb,env=A", "no id of a secret"),
    ],
)
def test_other_forms_are_refused_and_never_repeated(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse([text], {"A": "x"})
    assert "hunter2" not in str(caught.value)


def test_given_twice_and_too_large():
    with pytest.raises(UsageError, match="given twice"):
        parse(["id=a,env=A", "id=a,env=A"], {"A": "x"})
    with pytest.raises(UsageError, match="got 512001"):
        checked({"a": b"x" * (LARGEST + 1)})


def test_all_that_are_missing_are_named_before_anything_is_fetched(builder, define, events, tmp_path):
    environment = define({"run": "true", "secrets": ["one", "two"]}, {"run": "true", "secrets": ["two", "three"]})
    with pytest.raises(UsageError) as caught:
        builder(backend="house", secrets={"two": "x"}).build(environment)
    assert "$.steps[1].secrets: one; $.steps[2].secrets: three" in caught.value.message
    assert "--secret id=one,env=VARIABLE --secret id=three,env=VARIABLE" in caught.value.remedy
    assert events == []
    assert not (tmp_path / "home" / "images").exists()


def test_the_value_is_in_the_step_and_nowhere_else(builder, define, events, tmp_path):
    made = builder(backend="house", secrets={"token": VALUE})
    image = made.build(define({"run": "say it is", "secrets": ["token"]}))
    assert any(getattr(event, "line", "") == "it is ***" for event in events)
    assert VALUE not in made.log(image.key)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()]
    assert kept == []


def test_a_failing_step_does_not_tell_it(builder, define, events):
    made = builder(backend="house", secrets={"token": VALUE})
    with pytest.raises(StepFailed) as caught:
        made.build(define({"run": "fail with", "secrets": ["token"]}))
    assert VALUE not in str(caught.value) + caught.value.stderr_tail + repr(events)
    assert "with ***" in caught.value.stderr_tail
    assert VALUE not in made.log(define({"run": "fail with", "secrets": ["token"]}))


def test_the_value_is_no_part_of_the_key(builder, define):
    environment = define({"run": "true", "secrets": ["token"]})
    first = builder(backend="house", secrets={"token": "one-value"}).build(environment)
    assert builder(backend="house", secrets={"token": "other-value"}).build(environment).hit
    assert builder(backend="house").build(environment) == first
