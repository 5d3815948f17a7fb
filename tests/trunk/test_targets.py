"""The machine that will run the image is stated, never the one that builds: CUDA without a GPU, arm64 on amd64."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment, Image, platform
from coopery.errors import BackendError
from coopery.home import Home
from coopery.oci.layout import Layout
from coopery.place import RunRequest
from trunk import science

pytestmark = pytest.mark.needs("channel")

MACHINES = {"linux/amd64": 62, "linux/arm64": 183}
"""``e_machine`` of programs. Source: ELF-64 Object File Format and the processor supplements."""


def on_nothing(*dependencies: str, target: dict[str, str], **more: Any) -> Environment:
    conda = {"channels": [str(science.CHANNEL)], "dependencies": list(dependencies)}
    target = {"glibc": "2.36", **target}
    return Environment.from_dict({"base": "scratch", "conda": conda, "target": target, **more})


def files(builder: Builder, image: Image) -> Iterator[tuple[str, bytes]]:
    """Paths and contents of the regular files in the image's layers."""
    home: Home = builder.home
    _, assembled = Layout(home.images, home.staging).open(image.digest, image.platform)
    for layer in assembled.layers:
        with tarfile.open(home.blobs.path(layer.digest)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name, content.read()


def one_file(builder: Builder, image: Image, name: str) -> bytes:
    (found,) = (data for path, data in files(builder, image) if Path(path).name == name)
    return found


@pytest.mark.parametrize(
    ("target", "kind"),
    [({"cuda": "12.4"}, "cuda"), ({"cuda": "13.0"}, "cuda"), ({"cuda": "12.3"}, "cpu"), ({}, "cpu")],
    ids=["12.4", "newer", "too old", "none"],
)
def test_the_build_of_a_package_is_chosen_for_the_target(builder: Builder, target: dict[str, str], kind: str) -> None:
    lock = builder.lock(on_nothing("accelerator", target=target))
    (accelerator,) = (artifact for artifact in lock.artifacts if artifact.name == "accelerator")
    assert accelerator.build.startswith(kind)
    assert dict(lock.facts).get("cuda") == target.get("cuda")


def test_a_cuda_image_is_made_without_a_gpu(builder: Builder) -> None:
    image = builder.build(on_nothing("accelerator", target={"cuda": "12.4"}, build={"bytecode": False}))
    assert b'KIND = "cuda"' in one_file(builder, image, "accelerator.py")


def emulated(target: str) -> bool:
    architecture = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[target]
    return Path("/proc/sys/fs/binfmt_misc", f"qemu-{architecture}").exists()


@pytest.mark.skipif(platform.of_host() != "linux/amd64", reason="the channel's compiling Python is for amd64")
def test_an_arm64_image_is_made_on_amd64(builder: Builder) -> None:
    image = builder.build(on_nothing("python=3.11", target={"platform": "linux/arm64"}))
    assert image.platform == "linux/arm64"
    home = builder.home
    _, assembled = Layout(home.images, home.staging).open(image.digest, image.platform)
    assert (assembled.document["architecture"], assembled.document["os"]) == ("arm64", "linux")
    machines = {
        path: struct.unpack_from("<H", data, 18)[0]
        for path, data in files(builder, image)
        if data.startswith(b"\x7fELF")
    }
    assert "opt/env/bin/python3.11" in machines
    assert set(machines.values()) == {MACHINES["linux/arm64"]}, "no program of this machine came in"
    compiled = [path for path, _ in files(builder, image) if path.endswith(".pyc")]
    assert len(compiled) > 100, "modules are compiled, though no program of the image can run here"
    if not emulated("linux/arm64"):
        said = "the image is for linux/arm64, this machine runs linux/amd64"
        with pytest.raises(BackendError, match=said) as caught:
            builder.run(image.key, RunRequest(["python", "-V"]))
        assert "linux/arm64" in caught.value.remedy
