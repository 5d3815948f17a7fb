from __future__ import annotations

import json

import pytest

from coopery.errors import BaseError
from coopery.facts import read_facts
from coopery.target import Facts


def config(**process: object) -> bytes:
    return json.dumps({"architecture": "amd64", "os": "linux", "config": process}).encode()


def test_an_empty_base_has_no_facts(image):
    assert read_facts(image({}), config(), "/opt/env") == Facts(platform="linux/amd64", prefix="/opt/env")


def test_all_of_them(image):
    paths = {
        "/lib64/libc.so.6": b"GNU C Library (GNU libc) stable release version 2.31.\n",
        "/lib64/ld-linux-x86-64.so.2": b"",
        "/bin/sh": b"static",
        "/usr/bin/python3": "python3.8",
        "/usr/bin/python3.8": b"",
        "/usr/lib/python3.8/os.py": b"",
    }
    env = ["PATH=/usr/bin", "EMPTY=", "A=b=c", "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471"]
    facts = read_facts(image(paths), config(Env=env, User="app"), "/opt/env")
    assert facts == Facts(  # noqa: S604 - shell is a field here
        platform="linux/amd64",
        glibc="2.31",
        cuda="12.4",
        loader="/lib64/ld-linux-x86-64.so.2",
        python="/usr/bin/python3",
        python_version="3.8",
        shell="/bin/sh",
        user="app",
        env=(("PATH", "/usr/bin"), ("EMPTY", ""), ("A", "b=c"), ("NVIDIA_REQUIRE_CUDA", env[3].partition("=")[2])),
        prefix="/opt/env",
    )


@pytest.mark.parametrize(
    ("variable", "cuda"),
    [
        ("NVIDIA_REQUIRE_CUDA=cuda>=11.8", "11.8"),
        ("NVIDIA_REQUIRE_CUDA=brand=tesla,driver>=450 cuda>=12.0", "12.0"),
        ("NVIDIA_REQUIRE_CUDA=cuda>=12.4.1", None),
        ("NVIDIA_REQUIRE_CUDA=driver>=525", None),
        ("NVIDIA_REQUIRE_CUDA=", None),
        ("CUDA_VERSION=12.4.1", None),
    ],
)
def test_cuda_is_what_the_base_requires_of_the_driver(image, variable, cuda):
    assert read_facts(image({}), config(Env=[variable]), "/opt/env").cuda == cuda


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{", b'{"config": 3}', b'{"config": {"Env": [3]}}', b'{"config": {"Env": ["=x"]}}', b"[" * 9999],
)
def test_a_config_that_is_none(image, document):
    with pytest.raises(BaseError, match="the base's image config"):
        read_facts(image({}), document, "/opt/env")
