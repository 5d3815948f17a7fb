"""The image config of a Debian base. Source: OCI image spec v1.1, config.md."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from coopery.image import encode
from coopery.layer import Layer
from coopery_debian.base_layout import SEARCH_PATH, shell_of

_CREATED: Final = "1970-01-01T00:00:00Z"


def config(architecture: str, packages: Collection[str], layers: Sequence[Layer]) -> bytes:
    """The config, in the one form in which we write JSON that has a digest. It knows no time and no mirror.

    Args:
        architecture: in the words of images: ``amd64``.
        packages: names; a shell among them becomes the command.
        layers: from the bottom up.
    """
    settings: dict[str, Any] = {"Env": [f"PATH={SEARCH_PATH}"]}
    if shell_of(packages):
        settings["Cmd"] = ["/bin/sh"]
    return encode(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _CREATED,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": _CREATED, "created_by": layer.created_by} for layer in layers],
        }
    )
