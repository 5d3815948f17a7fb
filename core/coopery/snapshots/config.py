"""Changing an image's config as steps do. Fields that no step knows stay as they came.

Source: OCI image spec v1.1, config.md, "Properties".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coopery.image import encode
from coopery.layer import Layer

EPOCH: Final = "1970-01-01T00:00:00Z"
"""The only time that we write: the clock of a builder is no part of an image."""

_VARIABLE: Final = re.compile(r"\\(\$)|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def empty(platform: str) -> bytes:
    """The config of an image with nothing in it."""
    system, _, architecture = platform.partition("/")
    rootfs = {"type": "layers", "diff_ids": []}
    document = {"architecture": architecture, "os": system, "created": EPOCH, "config": {}, "rootfs": rootfs}
    return encode({**document, "history": []})


def changed(config: bytes, created_by: str, layer: Layer | None = None, **settings: Any) -> bytes:
    """*config* after one step.

    Args:
        config: before.
        created_by: one line for the history.
        layer: what the step put on top, if anything.
        settings: fields of ``config`` to set: Env, User, WorkingDir.
    """
    document: dict[str, Any] = json.loads(config)
    diff_ids = list(document["rootfs"]["diff_ids"])
    entry = {"created": EPOCH, "created_by": created_by, **({} if layer else {"empty_layer": True})}
    document["history"] = [*_history(document, len(diff_ids)), entry]
    document["rootfs"] = {**document["rootfs"], "diff_ids": diff_ids + ([layer.diff_id] if layer else [])}
    document["config"] = {**(document.get("config") or {}), **settings}
    return encode(document)


def with_env(config: bytes, pairs: Sequence[tuple[str, str]]) -> list[str]:
    r"""The config's Env with *pairs* set: an old name keeps its place, new ones follow in their order.

    ``$NAME`` and ``${NAME}`` in a value are replaced by what NAME was before this step (nothing where it was not
    set); ``\$`` is a dollar sign. As a Dockerfile's ENV has it.
    """
    entries = (json.loads(config).get("config") or {}).get("Env") or []
    env = {name: value for name, _, value in (str(entry).partition("=") for entry in entries)}
    return [f"{name}={value}" for name, value in {**env, **{n: _expanded(v, env) for n, v in pairs}}.items()]


def _expanded(value: str, env: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: found[1] or env.get(found[2] or found[3], ""), value)


def _history(document: Mapping[str, Any], layers: int) -> list[Any]:
    """The history so far, one entry for each layer; filled in where the base's does not account for its layers."""
    history = document.get("history") or []
    if sum(not entry.get("empty_layer") for entry in history) == layers:
        return list(history)
    return [{"created": EPOCH, "created_by": "base"} for _ in range(layers)]
