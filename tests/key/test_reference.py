from __future__ import annotations

import pytest

from coopery.reference import normalize

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest"),
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
        ("docker.io/library/ubuntu:latest", "docker.io/library/ubuntu:latest"),
        ("index.docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
        ("library/ubuntu", "docker.io/library/ubuntu:latest"),
        ("nvidia/cuda:12.4.1-base", "docker.io/nvidia/cuda:12.4.1-base"),
        ("a/b/c", "docker.io/a/b/c:latest"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
        ("ghcr.io/a", "ghcr.io/a:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("host:5000/a:1", "host:5000/a:1"),
        ("HOST/a", "HOST/a:latest"),
        (f"ubuntu@{DIGEST}", f"docker.io/library/ubuntu@{DIGEST}"),
        (f"host:5000/a:1@{DIGEST}", f"host:5000/a@{DIGEST}"),
    ],
)
def test_normalize(written: str, full: str) -> None:
    assert normalize(written) == full
    assert normalize(full) == full
