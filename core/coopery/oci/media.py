"""Media types: ours, and Docker's older names for the same things, which are read but never written.

Source: OCI image spec v1.1, media-types.md, "Media Types" and "Compatibility Matrix".
"""

from __future__ import annotations

from typing import Final, Literal

from coopery.layer import TAR, TAR_GZIP, TAR_ZSTD

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

MANIFESTS: Final = frozenset({MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({INDEX, DOCKER_INDEX})
CONFIGS: Final = frozenset({CONFIG, DOCKER_CONFIG})

LAYERS: Final = {
    TAR: TAR,
    TAR_GZIP: TAR_GZIP,
    TAR_ZSTD: TAR_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": TAR,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": TAR_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": TAR_ZSTD,
}
"""Media type of a layer as others write it → as we keep it. Layers to be fetched from elsewhere are not in it."""

Compression = Literal["", "gzip", "zstd"]

COMPRESSION: Final[dict[str, Compression]] = {TAR: "", TAR_GZIP: "gzip", TAR_ZSTD: "zstd"}
LAYER_OF: Final[dict[Compression, str]] = {"": TAR, "gzip": TAR_GZIP, "zstd": TAR_ZSTD}

REF_NAME: Final = "org.opencontainers.image.ref.name"
"""Annotation that names a tag, valid only in a layout's ``index.json``."""

CONTAINERD_NAME: Final = "io.containerd.image.name"
"""Annotation in which Docker's and containerd's archives keep the whole reference."""
