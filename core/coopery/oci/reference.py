"""Names of images: tags of layouts, and references that Docker accepts."""

from __future__ import annotations

import re
from typing import Final

from coopery.errors import UsageError

_ALNUM: Final = r"[A-Za-z0-9]+"
_PART: Final = rf"{_ALNUM}(?:(?:[-._:@+]|--){_ALNUM})*"
_REF_NAME = re.compile(rf"{_PART}(?:/{_PART})*")

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = rf"(?:localhost|{_LABEL}(?:\.{_LABEL})+|{_LABEL}(?:\.{_LABEL})*(?=:[0-9]))(?::[0-9]+)?"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOCKER = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?"
)


def check_ref_name(tag: str) -> str:
    """*tag*, when it may stand in a layout. Source: OCI image spec v1.1, annotations.md, "ref.name".

    Raises:
        UsageError: another form, or over 255 characters.
    """
    if len(tag) > 255 or not _REF_NAME.fullmatch(tag):
        raise UsageError(
            f"{tag!r}: no tag of an image layout",
            remedy="write letters and digits, joined by one of - . _ : @ + /",
        )
    return tag


def docker_reference(tag: str) -> str:
    """*tag* as ``repository:tag``; ``latest`` where it says none. Source: distribution/reference, "Grammar".

    Raises:
        UsageError: Docker would not take it.
    """
    match = _DOCKER.fullmatch(tag)
    if match is None or len(match["name"]) > 255:
        raise UsageError(
            f"{tag!r}: no image reference that Docker accepts",
            remedy="write it as repository:tag, the repository in lower case: team/train:v1",
        )
    return f"{match['name']}:{match['tag'] or 'latest'}"


def familiar(name: str) -> str:
    """*name* as people write it: ``docker.io/library/debian:12`` is ``debian:12``."""
    return name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name
