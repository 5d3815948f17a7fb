"""Writing an image elsewhere, in the forms that other tools read: a layout or an archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.digest import hex_of
from coopery.errors import UsageError
from coopery.oci.layout import Layout

if TYPE_CHECKING:
    from coopery.home import Home
    from coopery.image import Image

_FORM: Final = re.compile(r"(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REPOSITORY: Final = re.compile(r"(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/?)+(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?")


def export(home: Home, image: Image, to: str) -> str:
    """Write *image* from the home's layout to *to*; returns the reference.

    Raises:
        UsageError: *to* is not ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]`` or ``docker-archive:FILE[:NAME:TAG]``.
    """
    transport, path, tag = _parse(to, image)
    layout = Layout(home.images, home.staging)
    _, assembled = layout.open(image.digest, image.platform)
    if transport == "oci":
        from coopery.oci.layout import write_layout

        write_layout(assembled, layout.blobs, path, tag)
    elif transport == "oci-archive":
        from coopery.oci.archive import write_oci_archive

        write_oci_archive(assembled, layout.blobs, path, tag)
    else:
        from coopery.oci.docker_archive import write_docker_archive

        write_docker_archive(assembled, layout.blobs, path, tag)
    return f"{transport}:{path}:{tag}"


def _parse(to: str, image: Image) -> tuple[str, Path, str]:
    matched = _FORM.fullmatch(to)
    if matched is None:
        raise UsageError(
            f"{to!r} is no place that images are written to",
            remedy="write oci:FOLDER[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]",
        )
    transport, path, tag = matched.groups()
    if transport == "docker-archive":
        tag = tag or f"coopery:{_default(image)}"
        if not _REPOSITORY.fullmatch(tag):
            raise UsageError(f"{tag!r} is no image name", remedy="write name:tag in lower case, as in train:v1")
    else:
        tag = tag or _default(image)
        if not _TAG.fullmatch(tag):
            raise UsageError(f"{tag!r} is no tag", remedy="use letters, digits, '_', '.' and '-'")
    return transport, Path(path), tag


def _default(image: Image) -> str:
    """From the key; from the image id where it was pulled and has none."""
    return (image.key or hex_of(image.id))[:20]
