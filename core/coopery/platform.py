"""Platforms, as OCI writes them: ``linux/amd64``. Only Linux images are made.

Source: OCI image spec v1.1, image-index.md, "platform"; architecture names are Go's GOARCH values.
"""

from __future__ import annotations

from typing import Final

DEFAULT: Final = "linux/amd64"
"""A constant, not the builder's own platform: one definition has one key everywhere."""

KNOWN: Final = ("linux/amd64", "linux/arm64", "linux/ppc64le", "linux/s390x", "linux/riscv64")

_MACHINES: Final = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


def architecture(platform: str) -> str:
    """``amd64`` of ``linux/amd64``."""
    return platform.partition("/")[2]


def of_host() -> str:
    """The platform whose programs this machine's processor runs, as an image platform."""
    import platform as host

    machine = host.machine().lower()
    return f"linux/{_MACHINES.get(machine, machine)}"
