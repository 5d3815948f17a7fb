"""Image configs: what we check before we believe one. Source: OCI image spec v1.1, config.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.oci import document
from coopery.oci.document import Reader

EPOCH: Final = "1970-01-01T00:00:00Z"
"""The time in configs that we make: bytes never depend on the day."""


def parse_config(data: bytes, where: str) -> dict[str, Any]:
    """Read a config, checking what images are identified and put together by.

    Raises:
        IntegrityError: malformed, no platform, or layers that are not named by digests.
    """
    value = document.parse(data, where)
    reader = Reader(value, f"{where}: $")
    for name in ("architecture", "os"):
        if not reader.text(name):
            reader.fail(name, "a name")
    rootfs = reader.at("rootfs")
    if rootfs.text("type") != "layers":
        rootfs.fail("type", "'layers'")
    for entry in rootfs.items("diff_ids"):
        _check_digest(entry, f"{where}: $.rootfs.diff_ids")
    for number, entry in enumerate(reader.items("history", required=False)):
        _check_history(Reader(entry, f"{where}: $.history[{number}]"))
    return value


def platform_of(config: dict[str, Any]) -> str:
    """``linux/amd64``."""
    return f"{config['os']}/{config['architecture']}"


def diff_ids_of(config: dict[str, Any]) -> tuple[Digest, ...]:
    """Digests of the uncompressed layers, from the bottom up."""
    return tuple(Digest(text) for text in config["rootfs"]["diff_ids"])


def layer_history(config: dict[str, Any]) -> tuple[str, ...]:
    """``created_by`` of each layer; empty strings where the history does not account for the layers."""
    entries = [entry for entry in config.get("history") or () if not entry.get("empty_layer")]
    count = len(config["rootfs"]["diff_ids"])
    if len(entries) != count:
        return ("",) * count
    return tuple(entry.get("created_by") or "" for entry in entries)


def make_config(platform: str, diff_ids: Sequence[Digest], created_by: str) -> bytes:
    """A config that states nothing but *platform* and layers; each layer's history line is *created_by*."""
    system, _, architecture = platform.partition("/")
    return encode(
        {
            "architecture": architecture,
            "config": {},
            "created": EPOCH,
            "history": [{"created": EPOCH, "created_by": created_by} for _ in diff_ids],
            "os": system,
            "rootfs": {"diff_ids": list(diff_ids), "type": "layers"},
        }
    )


def _check_digest(value: Any, where: str) -> None:
    try:
        _digest.parse(value if isinstance(value, str) else repr(value))
    except ValueError as exc:
        raise IntegrityError(f"{where}: {exc}") from exc


def _check_history(entry: Reader) -> None:
    entry.text("created_by", "")
    if "empty_layer" in entry and not isinstance(entry.get("empty_layer"), bool):
        entry.fail("empty_layer", "true or false")
