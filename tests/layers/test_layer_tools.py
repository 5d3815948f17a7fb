"""Tools that are not ours read the layers as GNU tar does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from coopery import digest
from coopery.assemble import assemble
from coopery.backend import Snapshot
from coopery.image import encode
from coopery.layers.store import LayerStore
from coopery.materializer import Configuration
from coopery.oci.layout import write_layout
from coopery.oci.validate import validate, validate_layout
from layers.forest import listing, made, small_environment, target, unpack


@pytest.mark.tools
def test_skopeo_copies_and_umoci_unpacks_the_same_tree(store: LayerStore, tmp_path: Path) -> None:
    layers = made(small_environment(), store)
    config = encode({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    scratch = Snapshot("oci", "scratch", digest.of_bytes(config), config)
    image = assemble(scratch, layers, Configuration(path=("/opt/env/bin",)), target())
    validate(image)
    write_layout(image, store.blobs, tmp_path / "layout", "v1")
    validate_layout(tmp_path / "layout")

    copy = ["skopeo", "copy", f"oci:{tmp_path}/layout:v1", f"oci:{tmp_path}/copy:v1"]
    subprocess.run(copy, check=True, capture_output=True)
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    umoci = ["umoci", "unpack", *rootless, "--image", f"{tmp_path}/copy:v1", str(tmp_path / "bundle")]
    subprocess.run(umoci, check=True, capture_output=True)
    subprocess.run(["umoci", "stat", "--image", f"{tmp_path}/copy:v1"], check=True, capture_output=True)
    plain = unpack([store.blobs.path(layer.digest) for layer in layers], tmp_path / "plain")
    assert listing(tmp_path / "bundle" / "rootfs") == listing(plain)
