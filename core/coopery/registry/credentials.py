"""Logins to registries, found where Docker and Podman keep them, and only when a registry asks."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from coopery.events import Emit, Warned, ignore
from coopery.registry import auth_files, helper
from coopery.registry.auth_files import AuthFile
from coopery.registry.credential import Credential

_HUB: Final = "https://index.docker.io/v1/"
"""What helpers call Docker Hub."""


class Credentials:
    """Finds logins by host. Usable from several threads; each host is looked up once.

    Files are asked in the order of `coopery.registry.auth_files.paths`. Within one of them: the helper of that host,
    then the helper for all hosts, then what stands in the file. The first login that is found is the one.

    Args:
        environ: names the files.
        emit: told of a helper that is configured for all hosts and not installed.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, emit: Emit = ignore) -> None:
        self._environ = environ
        self._emit = emit
        self._lock = threading.Lock()
        self._files: tuple[AuthFile, ...] | None = None
        self._asked: dict[tuple[str, str], Credential | None] = {}
        self._missed: set[str] = set()

    def find(self, host: str, repository: str = "") -> Credential | None:
        """The login for *repository* on *host*, ``host[:port]`` as references have it; None where there is none.

        Raises:
            UsageError: a file or a helper is broken. What it holds is not in the message.
        """
        for file in self.files():
            if found := self._of_file(file, host.lower(), repository):
                return found
        return None

    def files(self) -> tuple[AuthFile, ...]:
        """The files that there are, in order.

        Raises:
            UsageError: one of them is broken.
        """
        with self._lock:
            if self._files is None:
                found = (auth_files.read(path) for path in auth_files.paths(self._environ))
                self._files = tuple(file for file in found if file is not None)
            return self._files

    def _of_file(self, file: AuthFile, host: str, repository: str) -> Credential | None:
        if name := file.helper(host):
            return self._of_helper(name, host)
        if file.store and self._has(file.store, file) and (found := self._of_helper(file.store, host)):
            return found
        return file.credential(host, repository)

    def _of_helper(self, name: str, host: str) -> Credential | None:
        with self._lock:
            if (name, host) not in self._asked:
                server = _HUB if auth_files.names(host, "") == auth_files.names("docker.io", "") else host
                self._asked[name, host] = helper.ask(name, server)
            return self._asked[name, host]

    def _has(self, store: str, file: AuthFile) -> bool:
        """Configurations travel between machines (a desktop's into a container) without the helper that they name."""
        if helper.is_installed(store):
            return True
        with self._lock:
            told = store in self._missed
            self._missed.add(store)
        if not told:
            message = f"{file.path}: docker-credential-{store} is not installed; its logins are not used"
            self._emit(Warned(message=message))
        return False
