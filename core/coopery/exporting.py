"""Writing an image elsewhere, in the forms that other tools read: a layout or an archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.digest import hex_of
from coopery.engines import elsewhere
from coopery.errors import UsageError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Image

FORMS: Final = (
    "oci:FOLDER[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG], dockerfile:FOLDER, apptainer:FILE, "
    "devcontainer:FOLDER, or with coopery-singularity sif:FILE or squashfs:FILE"
)
BUILT: Final = ("dockerfile", "apptainer", "devcontainer")
"""What other tools build an equal image from."""

_FORM: Final = re.compile(r"(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REPOSITORY: Final = re.compile(r"(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/?)+(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?")


def export(builder: Builder, image: Image, to: str) -> str:
    """Write *image* to *to*; returns the reference, or the path of what is to be built.

    Raises:
        UsageError: *to* is none of `FORMS`.
        NotFound: its bytes are not on this machine.
    """
    kind, _, path_text = to.partition(":")
    if kind in BUILT and path_text:
        from coopery.export import write

        return write(builder, image, kind, Path(path_text))
    if path_text and (exporter := _exporter(builder, kind)) is not None:
        exporter.export(kind, elsewhere.assembled(builder, image), image.prefix or "", Path(path_text))
        return to
    transport, path, tag = _parse(to, image)
    assembled, blobs = elsewhere.assembled(builder, image), builder.home.blobs
    if transport == "oci":
        from coopery.oci.layout import write_layout

        write_layout(assembled, blobs, path, tag)
    elif transport == "oci-archive":
        from coopery.oci.archive import write_oci_archive

        write_oci_archive(assembled, blobs, path, tag)
    else:
        from coopery.oci.docker_archive import write_docker_archive

        write_docker_archive(assembled, blobs, path, tag)
    return f"{transport}:{path}:{tag}"


def _exporter(builder: Builder, kind: str) -> Any:
    """A backend that writes files of *kind*: it names them in ``exports``, and has a method ``export``."""
    if kind in ("oci", "oci-archive", "docker-archive"):
        return None
    known = builder.plugins_loaded.backends().items()
    name = next((name for name, found in known if kind in getattr(found, "exports", ())), None)
    return None if name is None else builder.plugins_loaded.backend(name)(builder.workshop(builder.emit))


def _parse(to: str, image: Image) -> tuple[str, Path, str]:
    matched = _FORM.fullmatch(to)
    if matched is None:
        raise UsageError(
            f"{to!r} is no place that images are written to",
            remedy=f"write {FORMS}",
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
