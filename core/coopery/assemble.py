"""Assemble: the base's config, the packages' changes to it, and all layers, into one image. Pure.

What the base says stays, ENTRYPOINT, CMD, USER and WORKDIR included, and fields that we do not know are kept as they
came. Nothing of who built it, when, or under which name goes in: equal inputs give equal bytes.

Source: OCI image spec v1.1, config.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from coopery.backend import Snapshot
from coopery.errors import BaseError, PackageError
from coopery.image import DEFAULT_PATH, Assembled, encode
from coopery.layer import Layer
from coopery.materializer import Configuration
from coopery.target import Resolved

EPOCH: Final = "1970-01-01T00:00:00Z"
"""What an image without a base was created at, and each layer of packages: no clock is asked."""

_OF_THE_BASES_PYTHON: Final = ("PYTHONHOME", "PYTHONPATH")


def assemble(
    snapshot: Snapshot, layers: Sequence[Layer], configuration: Configuration | None, target: Resolved | None
) -> Assembled:
    """The image: *snapshot* with *layers* on top of it.

    Args:
        snapshot: after the last step.
        layers: of stage 2, from the bottom up; empty when the user manages Python.
        configuration: what the packages change; None when the user manages Python.
        target: states the platform; None where there is no stage 2, and then the snapshot's stands.

    Raises:
        BaseError: the snapshot's config is no image config, contradicts its layers, or is for another platform.
        PackageError: a package sets a variable that no process can have.
    """
    document = _document(snapshot)
    below = [layer.diff_id for layer in snapshot.layers]
    if target is not None:
        _set_platform(document, target.platform)
    if configuration is not None:
        config = document.get("config") or {}
        document["config"] = {**config, "Env": _environment(config.get("Env") or [], configuration)}
    document["created"] = document.get("created") or EPOCH
    document["rootfs"] = {"type": "layers", "diff_ids": [*below, *(layer.diff_id for layer in layers)]}
    document["history"] = [*_history(document.get("history"), snapshot.layers), *map(_line, layers)]
    try:
        config_bytes = encode(document)
    except UnicodeEncodeError as exc:
        raise BaseError(f"{snapshot.digest}: its config holds text that is not valid Unicode: {exc.reason}") from exc
    return Assembled(config_bytes, (*snapshot.layers, *layers))


def _document(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot's config, once it is known to be one."""
    try:
        document = json.loads(snapshot.config)
    except (ValueError, RecursionError) as exc:
        raise BaseError(f"{snapshot.digest}: its config is not JSON: {exc}") from exc
    if not isinstance(document, dict) or not _is_config(document):
        raise BaseError(f"{snapshot.digest}: its config is no OCI image config")
    stated = (document.get("rootfs") or {}).get("diff_ids") or []
    if stated != [layer.diff_id for layer in snapshot.layers]:
        raise BaseError(f"{snapshot.digest}: its config names {len(stated)} layers, not its {len(snapshot.layers)}")
    return document


def _is_config(document: dict[str, Any]) -> bool:
    """Whether the fields that we read are what they should be; those left out or null are."""
    config, rootfs = document.get("config") or {}, document.get("rootfs") or {}
    variables = (config.get("Env") or []) if isinstance(config, dict) else None
    ids = (rootfs.get("diff_ids") or []) if isinstance(rootfs, dict) else None
    return all(isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in (variables, ids))


def _set_platform(document: dict[str, Any], platform: str) -> None:
    system, architecture, *variant = platform.split("/")
    wanted = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
    for field, value in wanted.items():
        if document.get(field) not in (None, "", value):
            raise BaseError(f"the base is for {field} {document[field]!r}, the target for {platform}")
    document.update(wanted)


def _environment(variables: Iterable[str], configuration: Configuration) -> list[str]:
    """ENV of the base with the packages' changes: each name once, in the base's order and then the packages'."""
    found = {name: value for name, _, value in (text.partition("=") for text in variables)}
    for name in (*_OF_THE_BASES_PYTHON, *configuration.unset):
        found.pop(name, None)
    for name, value in configuration.env:
        if not name or "=" in name or "\0" in name + value:
            raise PackageError(name or "''", f"sets a variable that no process can have: {name!r}={value!r}")
        found[name] = value
    if configuration.path:
        behind = (found.get("PATH") or DEFAULT_PATH).split(":")
        found["PATH"] = ":".join(dict.fromkeys((*configuration.path, *behind)))
    return [f"{name}={value}" for name, value in found.items()]


def _history(history: Any, layers: Sequence[Layer]) -> list[Any]:
    """The base's history, where it tells of as many layers as there are; otherwise one line for each."""
    lines = history if isinstance(history, list) and all(isinstance(line, dict) for line in history) else []
    if sum(not line.get("empty_layer", False) for line in lines) == len(layers):
        return lines
    return [{"created_by": layer.created_by or f"base layer {layer.diff_id}"} for layer in layers]


def _line(layer: Layer) -> dict[str, Any]:
    return {"created": EPOCH, "created_by": layer.created_by}
