"""References, taken apart."""

from __future__ import annotations

import pytest

from coopery.digest import of_bytes
from coopery.errors import UsageError
from coopery.registry.reference import Reference, parse

D = of_bytes(b"")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("debian", Reference("docker.io", "library/debian", "latest")),
        ("debian:12", Reference("docker.io", "library/debian", "12")),
        ("docker.io/nvidia/cuda:12", Reference("docker.io", "nvidia/cuda", "12")),
        ("registry-1.docker.io/nvidia/cuda:12", Reference("docker.io", "nvidia/cuda", "12")),
        ("localhost:5000/a/b/c", Reference("localhost:5000", "a/b/c", "latest")),
        ("[::1]:5000/a:v1", Reference("[::1]:5000", "a", "v1")),
        ("docker://ghcr.io/team/app:v1", Reference("ghcr.io", "team/app", "v1")),
        ("registry://Example.ORG/app", Reference("example.org", "app", "latest")),
        (f"ghcr.io/team/app@{D}", Reference("ghcr.io", "team/app", "", D)),
        (f"ghcr.io/team/app:v1@{D}", Reference("ghcr.io", "team/app", "", D)),
    ],
)
def test_parsing(text: str, reference: Reference) -> None:
    assert parse(text) == reference
    assert parse(str(reference)) == reference


def test_no_tag_may_be_a_tag_of_its_own() -> None:
    assert parse("localhost:5000/a", default_tag="").tag == ""
    assert str(parse("localhost:5000/a", default_tag="")) == "localhost:5000/a"
    assert parse("localhost:5000/a:latest", default_tag="").tag == "latest"
    assert parse("localhost:5000/a", default_tag="k").version == "k"


def test_docker_hub_is_spoken_to_elsewhere() -> None:
    assert (parse("debian").host, parse("debian").api_host) == ("docker.io", "registry-1.docker.io")
    assert parse("ghcr.io/a").api_host == "ghcr.io"


BAD = (
    "", "https://ghcr.io/a", "a b", "-x", "--privileged", "a:b:c/d", "ghcr.io/a@sha256:12", "a/../b", "/a", "a//b",
    "me:pw@ghcr.io/a", "ghcr.io/a\n", "a@md5:0", "oci:..", "@f", "a;b", "$(x)/y", "ghcr.io/UPPER",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
