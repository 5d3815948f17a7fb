from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.why import Difference, differences, lines, package_name


def told(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, ...]:
    return lines(differences(a, b))


@pytest.mark.parametrize(
    ("a", "b", "line"),
    [
        (
            {"conda": {"dependencies": ["numpy=1.26", "six"]}},
            {"conda": {"dependencies": ["numpy=2.0", "pandas", "six"]}},
            "conda.dependencies: numpy=1.26 → numpy=2.0; + pandas",
        ),
        ({"conda": {"dependencies": ["six"]}}, {"conda": {}}, "conda.dependencies: - six"),
        ({}, {"conda": {"dependencies": ["six"]}}, "conda.dependencies: + six"),
        ({"conda": {}}, {}, "conda: - (empty)"),
        (
            {"conda": {"channels": ["a", "b"]}},
            {"conda": {"channels": ["b", "a"]}},
            "conda.channels: a, b → b, a",
        ),
        ({"conda": {"dependencies": ["git"]}}, {"pip": {"requirements": ["git"]}}, "conda.dependencies: - git"),
        ({"base": {"image": "a:1"}}, {"base": {"image": "a:2"}}, "base.image: a:1 → a:2"),
        ({"base": {"image": "a:1"}}, {"base": {"scratch": True}}, "base: image a:1 → scratch"),
        (
            {"base": {"dockerfile": "sha256:" + "a" * 64}},
            {"base": {"context": "sha256:" + "b" * 64, "dockerfile": "D"}},
            "base: dockerfile sha256:aaaaaaaaaaaa → context sha256:bbbbbbbbbbbb",
        ),
        (
            {"base": {"debian": {"suite": "a", "packages": ["bash", "libc6=1"]}}},
            {"base": {"debian": {"suite": "a", "packages": ["bash", "libc6=2"]}}},
            "base.debian.packages: libc6=1 → libc6=2",
        ),
        ({}, {"prefix": "/srv/env"}, "prefix: /opt/env → /srv/env"),
        ({}, {"target": {"platform": "linux/arm64"}}, "target.platform: linux/amd64 → linux/arm64"),
        ({"target": {"cuda": "12.4"}}, {}, "target.cuda: - 12.4"),
        ({}, {"build": {"bytecode": False}}, "build.bytecode: yes → no"),
        ({}, {"build": {"secrets": ["token"]}}, "build.secrets: + token"),
        ({"build": {"arguments": {"A": "1"}}}, {"build": {"arguments": {"A": "2"}}}, "build.arguments.A: 1 → 2"),
        ({"interpreter": "/a"}, {"interpreter": "/b"}, "interpreter: /a → /b"),
        ({"steps": [{"user": "1"}]}, {"steps": [{"user": "2"}]}, "steps[0].user: 1 → 2"),
        ({"steps": [{"run": "a"}]}, {"steps": [{"run": "a", "network": False}]}, "steps[0].network: yes → no"),
        (
            {"steps": [{"copy": "d", "to": "/a"}]},
            {"steps": [{"copy": "d", "to": "/a", "mode": 493}]},
            "steps[0].mode: + 0755",
        ),
        ({"steps": [{"env": {"A": "1"}}]}, {"steps": [{"env": {"A": "2"}}]}, "steps[0].env.A: 1 → 2"),
        (
            {"steps": [{"run": "a"}, {"run": "c"}]},
            {"steps": [{"run": "a"}, {"run": "b"}, {"run": "c"}]},
            "steps[1]: + run b",
        ),
        ({"steps": [{"copy": "sha256:" + "c" * 64, "to": "/app"}]}, {}, "steps[0]: - copy sha256:cccccccccccc to /app"),
        ({"steps": [{"run": "a"}]}, {"steps": [{"user": "b"}]}, "steps[0]: run a → user b"),
        ({"later": {"thing": 1}}, {"later": {"thing": 2}}, "later.thing: 1 → 2"),
    ],
)
def test_told_in_words(a: dict[str, Any], b: dict[str, Any], line: str) -> None:
    assert told(a, b)[0] == line


def test_what_is_long_is_told_from_where_it_parts() -> None:
    script = "apt-get update && apt-get install -y --no-install-recommends " + "package " * 10
    (found,) = differences({"steps": [{"run": script + "git"}]}, {"steps": [{"run": script + "gcc\nmake"}]})
    assert found.before is not None
    assert found.before.startswith("…")
    assert found.before.endswith("git")
    assert str(found).endswith("gcc ⏎ make")


def test_order_is_that_of_a_definition() -> None:
    a = {"base": {"image": "a"}, "steps": [], "conda": {"dependencies": ["x=1"]}, "prefix": "/a"}
    b = {"base": {"image": "b"}, "steps": [{"user": "1"}], "conda": {"dependencies": ["x=2"]}, "prefix": "/b"}
    assert [line.split(":")[0] for line in told(a, b)] == [
        "base.image",
        "steps[0]",
        "conda.dependencies",
        "prefix",
    ]


def test_a_difference_has_fields() -> None:
    (found,) = differences({"prefix": "/a"}, {"prefix": "/b"})
    assert found == Difference("prefix", "/a", "/b")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("numpy=1.26", "numpy"),
        ("conda-forge::NumPy >=1.2", "numpy"),
        ("bioconda/linux-64::bam_tools=2.5.2", "bam-tools"),
        ("numpy[build=py3*]", "numpy"),
        ("torch==2.4+cu124", "torch"),
        ("thing[extra]>=1; python_version<'3.9'", "thing"),
        ("thing @ git+https://h/x@abc", "thing"),
        ("git+https://h/x@abc#egg=Some_Thing", "some-thing"),
        ("https://h/x.whl", "https://h/x.whl"),
        ("org.apache:spark:3.5", "org.apache:spark"),
    ],
)
def test_package_name(spec: str, name: str) -> None:
    assert package_name(spec) == name


packages = st.lists(st.sampled_from(["a=1", "a=2", "b", "c>3", "c<9"]), min_size=1, max_size=5, unique=True).map(sorted)
identities = st.fixed_dictionaries(
    {"base": st.sampled_from([{"image": "a"}, {"image": "b"}, {"scratch": True}])},
    optional={
        "conda": st.fixed_dictionaries({}, optional={"dependencies": packages, "channels": packages}),
        "steps": st.lists(
            st.sampled_from([{"user": "1"}, {"run": "x" * 99}, {"run": ["x"]}, {"env": {"A": ""}}]), min_size=1
        ),
        "build": st.just({"arguments": {"a": "1"}}) | st.just({"arguments": {"a": "1", "b": ""}}),
    },
)


@given(identities, identities)  # as `identity` makes them: what is at its default is not there
def test_something_is_told_exactly_when_something_differs(a: dict[str, Any], b: dict[str, Any]) -> None:
    found = differences(a, b)
    assert bool(found) == (a != b)
    assert all(difference.before != difference.after for difference in found)
