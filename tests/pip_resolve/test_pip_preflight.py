"""What must be built is refused before anything is fetched where nothing can build it, by the line that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery import Builder, Environment
from coopery.engines.needs import needs
from coopery.errors import UnsupportedError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def refusal(tmp_path: Path, pip: object) -> UnsupportedError:
    environment = Environment.from_dict({"base": {"scratch": True}, "pip": pip}, tmp_path)
    with Builder(home=tmp_path / "home", backend="oci") as builder, pytest.raises(UnsupportedError) as caught:
        builder.build(environment)
    assert not (tmp_path / "home" / "packages").exists()
    return caught.value


@pytest.mark.parametrize(
    "line",
    [
        f"git+https://example.org/a/b@{COMMIT}",
        f"b @ git+https://example.org/a/b@{COMMIT}",
        f"b[x] @ git+ssh://git@example.org/a/b@{COMMIT} ; sys_platform == 'linux'",
        "https://example.org/b-1.0.tar.gz",
        "b @ https://example.org/b-1.0.zip#sha256=" + "0" * 64,
    ],
)
def test_requirements_that_name_code(tmp_path: Path, line: str) -> None:
    error = refusal(tmp_path, ["fine", line])
    assert error.ability == "build packages from source"
    assert error.needed_by.endswith(f": {line}")
    assert set(error.others) >= {"docker", "podman"}
    assert "--backend" in error.remedy
    assert set(needs(Environment.from_dict({"base": {"scratch": True}, "pip": [line]}))) == {
        ("run", f"$.pip.requirements: {line}"),
        ("network", f"$.pip.requirements: {line}"),
    }


def test_the_line_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"fine\ngit+https://example.org/a/b@{COMMIT}\n")
    (tmp_path / "environment.yaml").write_text("base: {scratch: true}\npip: {file: requirements.txt}\n")
    environment = Environment.load(tmp_path / "environment.yaml")
    with (
        Builder(home=tmp_path / "home", backend="oci") as builder,
        pytest.raises(UnsupportedError, match=r"requirements\.txt:2:1: "),
    ):
        builder.plan(environment)


def test_no_binary(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"requirements": ["a"], "no_binary": ["numpy"]}).needed_by == "$.pip.no_binary: numpy"


@pytest.mark.parametrize(
    "pip",
    [
        [
            "a",
            "b @ https://example.org/b-1.0-py3-none-any.whl",
            "https://example.org/c-1%2Bx-py3-none-any.whl#sha256=" + "0" * 64,
        ],
        ["https://example.org/c-1-py3-none-any.whl; sys_platform == 'linux'"],
        {"requirements": ["a"], "no_binary": [":none:"], "only_binary": [":all:"]},
    ],
)
def test_wheels_are_let_through(tmp_path: Path, pip: object) -> None:
    with Builder(home=tmp_path / "home") as builder:
        assert builder.plan(Environment.from_dict({"base": {"scratch": True}, "pip": pip}, tmp_path)).stages
