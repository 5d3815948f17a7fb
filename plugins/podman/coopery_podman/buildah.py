"""Buildah from Python: one pure function for each command's argument vector, and one runner.

Usable without the rest of Coopery's build loop::

    from coopery_podman import buildah

    tool = buildah.Buildah()
    print(tool.version())                                        # (1, 28, 2)
    box = tool.call(buildah.from_("docker.io/library/debian:12"))
    tool.call(buildah.run(box, ["apt-get", "update"], isolation=tool.isolation()))
    tool.call(buildah.config(box, env={"LANG": "C.UTF-8"}))
    tool.call(buildah.commit(box, "localhost/mine:1"))
    tool.call(buildah.rm(box))

The functions are those of `coopery_podman.commands`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from coopery.errors import BackendError
from coopery_podman import grammar
from coopery_podman.calling import Argv, call
from coopery_podman.commands import (
    Isolation,
    Mount,
    bud,
    commit,
    config,
    containers,
    copy,
    docker_archive,
    from_,
    images,
    info,
    inspect,
    mount,
    oci,
    pull,
    push,
    rm,
    rmi,
    run,
    tag,
    umount,
    unshare,
    version,
)

__all__ = [
    "Argv",
    "Buildah",
    "Isolation",
    "Mount",
    "Storage",
    "bud",
    "commit",
    "config",
    "containers",
    "copy",
    "docker_archive",
    "from_",
    "images",
    "info",
    "inspect",
    "mount",
    "oci",
    "pull",
    "push",
    "rm",
    "rmi",
    "run",
    "tag",
    "umount",
    "unshare",
    "version",
]

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@frozen
class Storage:
    """Which containers-storage, where it is not the configured one (containers-storage.conf(5)).

    Attributes:
        root: folder of images and containers; empty: the configured one.
        runroot: folder of what does not survive a boot; empty: the configured one.
        driver: ``overlay`` or ``vfs``; empty: the configured one.
    """

    root: str = ""
    runroot: str = ""
    driver: str = ""

    @property
    def options(self) -> Argv:
        """Options that stand before the command, for buildah and podman alike."""
        root = ("--root", grammar.host_path(self.root)) if self.root else ()
        runroot = ("--runroot", grammar.host_path(self.runroot)) if self.runroot else ()
        return (*root, *runroot, *(("--storage-driver", grammar.word(self.driver)) if self.driver else ()))


@frozen
class Buildah:
    """The one runner.

    Attributes:
        program: name or path.
        storage: the configured one unless given.
        backend: whose name errors carry.
    """

    program: str = "buildah"
    storage: Storage = Storage()
    backend: str = "podman"

    def argv(self, words: Sequence[str]) -> Argv:
        """The whole argument vector of a command."""
        return (self.program, *self.storage.options, *words)

    def call(
        self,
        words: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = 3600.0,
    ) -> str:
        """Run one command to its end; returns what it printed, without the last newline.

        Args:
            words: what a builder returned.
            cwd: folder to start in.
            env: variables over this process's.
            seconds: after which it is ended.

        Raises:
            BackendError: it is not installed, ended with another status than 0, or did not end; says what it said.
        """
        return call(self.argv(words), self.backend, cwd=cwd, env=env, seconds=seconds)

    def version(self) -> tuple[int, ...]:
        """Its version, as numbers.

        Raises:
            BackendError: it is not installed, or says something else.
        """
        text = str(self._json(version()).get("version", ""))
        found = _VERSION.match(text)
        if found is None:
            raise BackendError(self.backend, f"{self.program} says that its version is {text!r}")
        return tuple(int(part or 0) for part in found.groups())

    def info(self) -> Mapping[str, Any]:
        """What it says of the machine (``host``) and its storage (``store``).

        Raises:
            BackendError: it does not work.
        """
        return self._json(info())

    def isolation(self) -> Isolation:
        """The first isolation that works here, found by trying each with a program of our own.

        Raises:
            BackendError: none does; says why each failed.
        """
        from coopery_podman.isolation import choose

        return choose(self)

    def _json(self, words: Sequence[str]) -> Mapping[str, Any]:
        text = self.call(words, seconds=60)
        try:
            document = json.loads(text)
        except ValueError as exc:
            raise BackendError(self.backend, f"{self.program} {words[0]} printed no JSON: {text[:200]!r}") from exc
        return document if isinstance(document, dict) else {}
