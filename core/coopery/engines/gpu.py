"""Whether a base and the packages on it agree about CUDA: what cannot work is an error, what differs a warning.

CUDA's user-space parts of two minor versions of one major run on one driver ("minor version compatibility"); another
major needs a driver of that major. Source: NVIDIA, "CUDA Compatibility".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from coopery.errors import BaseError, ResolveError

if TYPE_CHECKING:
    from coopery.lock import Artifact, Lock
    from coopery.target import Facts, Resolved

_STATED: Final = frozenset({"cuda-version", "cudatoolkit"})
"""Conda packages whose version is CUDA's."""

_WHEEL: Final = re.compile(r"nvidia-cuda-runtime-cu(\d{2})")
"""The wheel that carries CUDA's runtime, named by its major version."""

_LOCAL: Final = re.compile(r"\+cu(\d{2,3})(?:\D|$)")
"""PyTorch's own index: ``2.4.0+cu124`` is for CUDA 12.4."""


def check(lock: Lock, target: Resolved, ground: Facts) -> tuple[str, ...]:
    """Warnings about CUDA in the base and in *lock*.

    Raises:
        BaseError: the base asks for a driver of a newer major version of CUDA than the one that is promised.
        ResolveError: packages are for a newer major version of CUDA than the driver that is promised can run.
    """
    warnings = _base(target.cuda, ground.cuda)
    wanted = {artifact: version for artifact in lock.artifacts if (version := _cuda(artifact))}
    if not wanted:
        return warnings
    if target.cuda is None:
        one = next(iter(wanted))
        return (
            f"{one} is for CUDA, and neither the base nor $.target.cuda says which driver the image will run on: "
            "without one it will use no GPU",
        )
    driver = _numbers(target.cuda)
    newer = [f"{artifact} (CUDA {_words(version)})" for artifact, version in wanted.items() if version[0] > driver[0]]
    if newer:
        raise ResolveError(
            f"{', '.join(newer)} cannot run on the driver that is promised: it supports CUDA {target.cuda}",
            remedy="ask for a build of that major version, or say in target: {cuda: …} what the driver supports",
        )
    return (*warnings, *_later(wanted, driver, target.cuda), *_other_base(wanted, ground, target.cuda))


def _base(stated: str | None, asked: str | None) -> tuple[str, ...]:
    """*asked* is what the base's ``NVIDIA_REQUIRE_CUDA`` wants of the driver, *stated* what is promised of it."""
    if stated is None or asked is None or _numbers(stated) >= _numbers(asked):
        return ()
    told = f"the base asks for a driver that supports CUDA {asked}, and $.target.cuda promises {stated}"
    if _numbers(stated)[0] < _numbers(asked)[0]:
        raise BaseError(f"{told}: it would not start there", remedy=f"take a base of CUDA {stated}, or a newer driver")
    return (f"{told}: it starts only where one of the base's exceptions for older drivers holds",)


def _later(wanted: dict[Artifact, tuple[int, ...]], driver: tuple[int, ...], stated: str) -> tuple[str, ...]:
    return tuple(
        f"{artifact} is for CUDA {_words(version)}, the promised driver supports {stated}: it runs by minor version "
        "compatibility, but for what needs to be compiled at run time"
        for artifact, version in wanted.items()
        if len(version) > 1 and version[0] == driver[0] and version > driver
    )


def _other_base(wanted: dict[Artifact, tuple[int, ...]], ground: Facts, stated: str) -> tuple[str, ...]:
    """The base brings CUDA of its own, and the packages bring another: both are in the image, the packages' wins."""
    base = dict(ground.env).get("CUDA_VERSION", "")
    if not base or not _numbers(base):
        return ()
    others = {_words(version) for version in wanted.values() if version[0] != _numbers(base)[0]}
    if not others:
        return ()
    return (f"the base has CUDA {base}, packages bring CUDA {', '.join(sorted(others))}; the driver's {stated} counts",)


def _cuda(artifact: Artifact) -> tuple[int, ...]:
    """The version of CUDA that *artifact* is for; empty where it does not say."""
    if artifact.kind == "conda" and artifact.name in _STATED:
        return _numbers(artifact.version)[:2]
    if artifact.kind == "pip":
        if wheel := _WHEEL.fullmatch(artifact.name):
            return (int(wheel[1]),)
        if local := _LOCAL.search(artifact.version):
            digits = local[1]
            return (int(digits[:2]), *((int(digits[2:]),) if digits[2:] else ()))
    return ()


def _numbers(text: str) -> tuple[int, ...]:
    matched = re.match(r"\d{1,4}(?:\.\d{1,4})*", text)
    return tuple(map(int, matched[0].split("."))) if matched else ()


def _words(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
