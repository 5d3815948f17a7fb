"""Which C library an image has, and where its program interpreter is. Read from the files, never from the builder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from coopery import platform as _platform
from coopery.facts import elf
from coopery.facts.walk import find
from coopery.files import Files

_MAX_LIBC: Final = 16 << 20
"""Bytes of a C library that are searched; bookworm's has 1.9 MiB."""

_BANNER: Final = re.compile(rb"GNU C Library [^\n\0]{0,200}?release version (\d{1,3}\.\d{1,3})")
_NAMED: Final = re.compile(r"/libc-(\d{1,3}\.\d{1,3})\.so$")

_TRIPLETS: Final = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "ppc64le": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
    "riscv64": "riscv64-linux-gnu",
}
_LOADERS: Final = {
    "amd64": ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"),
    "arm64": ("/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"),
    "ppc64le": ("/lib64/ld64.so.2", "/lib/ld-musl-powerpc64le.so.1"),
    "s390x": ("/lib/ld64.so.1", "/lib/ld-musl-s390x.so.1"),
    "riscv64": ("/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-musl-riscv64.so.1"),
}
SHELLS: Final = ("/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/bin/dash", "/bin/ash")


def library_folders(platform: str) -> tuple[str, ...]:
    """Where programs of *platform* look for libraries when nothing else is said, in the order of glibc's loader."""
    triplet = _TRIPLETS.get(_platform.architecture(platform))
    multiarch = (f"/lib/{triplet}", f"/usr/lib/{triplet}") if triplet else ()
    return (*multiarch, "/lib64", "/usr/lib64", "/lib", "/usr/lib")


def glibc(files: Files, platform: str) -> str | None:
    """The version that the image's own ``libc.so.6`` states, ``2.36``; None for musl or no C library."""
    for path in _libraries(files, platform):
        banner = _BANNER.search(files.read(path, _MAX_LIBC))
        if banner:
            return banner[1].decode()
        named = _NAMED.search(path)
        if named:
            return named[1]
    return None


def _libraries(files: Files, platform: str) -> Iterator[str]:
    for folder in library_folders(platform):
        found = find(files, f"{folder}/libc.so.6")
        if found and found.stat and found.stat.kind == "file":
            yield found.path


def loader(files: Files, platform: str) -> str | None:
    """The program interpreter: what the image's shell names, else the usual path; None when there is none."""
    known = _LOADERS.get(_platform.architecture(platform), ())
    named = (_interpreter(files, shell) for shell in SHELLS)
    return next((path for path in (*named, *known) if path and _is_file(files, path)), None)


def shell(files: Files) -> str:
    """The first shell that is there, or an empty string."""
    return next((path for path in SHELLS if _is_file(files, path)), "")


def _interpreter(files: Files, path: str) -> str | None:
    found = find(files, path)
    if found is None or found.stat is None or found.stat.kind != "file":
        return None
    return elf.interpreter(files.read(found.path, elf.READ))


def _is_file(files: Files, path: str) -> bool:
    found = find(files, path)
    return found is not None and found.stat is not None and found.stat.kind == "file"
