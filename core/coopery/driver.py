"""NVIDIA's driver on this machine, and whether engines are told of its devices: asked before a GPU is passed on.

Source: Container Device Interface, SPEC.md, "Format": specifications lie in /etc/cdi and /var/run/cdi.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from coopery.errors import UnsupportedError

ROOT = Path("/")
"""Where the machine's files are; tests have another."""

_SIGNS: Final = ("dev/nvidiactl", "proc/driver/nvidia/version", "dev/dxg")
"""The last is what the Windows Subsystem for Linux has."""

_CDI: Final = ("etc/cdi", "var/run/cdi")
_GENERATE: Final = "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
_KIND: Final = "nvidia.com/gpu"
_MOST: Final = 1 << 20
DEVICES: Final = f"{_KIND}=all"
"""All GPUs, in the words of a CDI specification that ``nvidia-ctk`` wrote."""


def demand(backend: str) -> None:
    """See that there is a driver.

    Raises:
        UnsupportedError: there is none; says so plainly.
    """
    if not any((ROOT / sign).exists() for sign in _SIGNS):
        problem = "this machine has no NVIDIA driver (/dev/nvidiactl is not there)"
        raise refusal(backend, problem, "run without --gpus, or install the driver")


def has_cdi() -> bool:
    """Whether a CDI specification of NVIDIA's devices is there, whatever its file is called."""
    return any(_KIND in _text(path) for folder in _CDI for path in sorted((ROOT / folder).glob("*.*")))


def _text(path: Path) -> str:
    """What an engine would read of *path*; nothing where it reads none, or may not be read by us."""
    if path.suffix not in (".json", ".yaml", ".yml"):
        return ""
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def demand_cdi(backend: str, *, toolkit: bool) -> None:
    """See that there is a driver, and that engines are told of its devices; *toolkit*: ``nvidia-ctk`` is there.

    Raises:
        UnsupportedError: as `demand`; or they are not told, and how they are.
    """
    demand(backend)
    if not has_cdi():
        way = _GENERATE if toolkit else f"install nvidia-container-toolkit, then: {_GENERATE}"
        raise refusal(backend, f"the driver is there, but {backend} is not told of its devices", way)


def refusal(backend: str, problem: str, remedy: str) -> UnsupportedError:
    """The error for GPUs that *backend* cannot pass on here, though it can elsewhere."""
    error = UnsupportedError(backend, "gpu", "run --gpus", remedy=remedy)
    error.message = f"run --gpus: {problem}"
    return error
