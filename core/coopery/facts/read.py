"""All facts of one snapshot, from its files and its OCI config."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from coopery.errors import BaseError
from coopery.facts import libc, python
from coopery.facts.prefix import locate
from coopery.files import Files
from coopery.target import Facts

_CUDA: Final = re.compile(r"(?:^|\s)cuda>=(\d{1,3}\.\d{1,3})(?![\d.])")


def read_facts(files: Files, config: bytes, prefix: str) -> Facts:
    """Read what the image with *files* and *config* says of itself. Nothing of this machine enters.

    Args:
        files: sight of the image's file system.
        config: OCI image config (image spec v1.1, config.md).
        prefix: absolute path that packages are to be put at.

    Raises:
        BaseError: the config cannot be read, or *prefix* cannot be used in this base.
    """
    document, process = _parse(config)
    platform = f"{document.get('os', '')}/{document.get('architecture', '')}"
    env = tuple(_pair(entry) for entry in process.get("Env") or ())
    interpreter, version = python.interpreter(files)
    place = locate(files, prefix)
    return Facts(
        platform=platform,
        glibc=libc.glibc(files, platform),
        cuda=_cuda(dict(env)),
        loader=libc.loader(files, platform),
        python=interpreter,
        python_version=version,
        python_release=python.release(files, interpreter, version, platform) if interpreter and version else None,
        shell=libc.shell(files),
        user=str(process.get("User") or ""),
        env=env,
        prefix=place.path,
        prefix_occupied=place.occupied,
        parents=place.parents,
    )


def _parse(config: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config and its ``config`` section, which may be absent or null."""
    try:
        document = json.loads(config)
    except (ValueError, RecursionError) as exc:
        raise BaseError(f"the base's image config is no JSON: {exc}") from exc
    process = document.get("config") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(process or {}, dict):
        raise BaseError("the base's image config is no JSON object, or its field config is none")
    return document, process or {}


def _pair(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, str) or "=" not in entry[1:]:
        raise BaseError(f"the base's image config has the variable {entry!r}; expected NAME=VALUE")
    name, _, value = entry.partition("=")
    return name, value


def _cuda(env: dict[str, str]) -> str | None:
    """The driver's CUDA version that the base asks for. Its alternatives for old drivers (``brand=…``) come later.

    Source: NVIDIA Container Toolkit, "NVIDIA_REQUIRE_* constraints".
    """
    required = _CUDA.search(env.get("NVIDIA_REQUIRE_CUDA", ""))
    return required[1] if required else None
