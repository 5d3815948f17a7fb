"""The last way to run: the image's own program loader starts its program, with no root and no namespace.

The loader is told where the image's libraries are; the program is named by its real path below the unpacked image, so
that Python finds its home beside it. What is written into files as ``/opt/env/…`` does not resolve then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

from attrs import evolve

from coopery.activation import NOTHING
from coopery.facts import elf, find, libc
from coopery.files import Files
from coopery_oci.process import Process

_MAX_SCRIPTS: Final = 4
_PATHS: Final = ("PATH", "LD_LIBRARY_PATH")
_FOLDERS: Final = ("HOME", "CONDA_PREFIX")


def through_loader(process: Process, files: Files, root: str, platform: str) -> Process:
    """*process*, so that it can be started where *root* is an ordinary folder.

    Args:
        process: as planned for the image.
        files: the image.
        root: host path where its files will be.
        platform: of the image; says where its libraries usually are.

    Raises:
        OSError: ENOENT, the program is not in the image; EACCES, it cannot be executed.
    """
    argv, path, head = _program(process, files, root)
    interpreter = elf.interpreter(head)
    if interpreter is not None:
        loader = find(files, interpreter)
        if loader is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), interpreter)
        folders = [root + folder for folder in (*_listed(process.env, "LD_LIBRARY_PATH"), *_libraries(files, platform))]
        argv = (root + loader.path, "--library-path", ":".join(folders), root + path, *argv[1:])
    else:
        argv = (root + path, *argv[1:])
    env, cwd = _moved(process.env, root), root + process.cwd
    return evolve(process, argv=argv, env=env, cwd=cwd, files={}, activation=NOTHING)


def _program(process: Process, files: Files, root: str) -> tuple[tuple[str, ...], str, bytes]:
    """Arguments, real path and first bytes of what the kernel would load, the interpreters of scripts followed."""
    argv = process.argv
    for _ in range(_MAX_SCRIPTS):
        path = _lookup(argv[0], process, files)
        head = files.read(path, elf.READ)
        if not head.startswith(b"#!"):
            return argv, path, head
        words = head[2:].partition(b"\n")[0].decode("utf-8", "replace").split(None, 1) or [""]
        if words[0].endswith("/env") and len(words) > 1:
            words = words[1].split()[-1:]  # env(1) would start this machine's program of that name
        argv = (*words, root + path, *argv[1:])
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), process.argv[0])


def _lookup(name: str, process: Process, files: Files) -> str:
    refused = errno.ENOENT
    for candidate in process.candidates(name):
        found = find(files, candidate)
        if found is not None and found.stat is not None:
            if found.stat.kind == "file" and found.stat.mode & 0o111:
                return found.path
            refused = errno.EACCES
    raise OSError(refused, os.strerror(refused), name)


def _libraries(files: Files, platform: str) -> list[str]:
    found = (find(files, folder) for folder in ("/usr/local/lib", *libc.library_folders(platform)))
    return list(dict.fromkeys(folder.path for folder in found if folder is not None))


def _listed(env: Mapping[str, str], name: str) -> list[str]:
    return [folder for folder in env.get(name, "").split(":") if folder.startswith("/")]


def _moved(env: Mapping[str, str], root: str) -> dict[str, str]:
    """The variables that must name folders of the image, moved below *root*; the loader has its own list."""
    moved = {name: ":".join(root + folder for folder in _listed(env, name)) for name in _PATHS if name in env}
    moved |= {name: root + env[name] for name in _FOLDERS if env.get(name, "").startswith("/")}
    kept = {**env, **moved}
    kept.pop("LD_LIBRARY_PATH", None)
    return kept
