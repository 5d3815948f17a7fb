"""A daemon behind ssh: one ``ssh … docker system dial-stdio`` for each connection, its stdin and stdout as a socket.

So does the docker command line: keys, hosts and jumps are ssh's own business, by its own configuration. Nothing can be
asked of a person, since ssh has no terminal here. It ends when the socket is closed, or this process ends, however.
Source: docker/cli, "connhelper" and "system dial-stdio"; ssh(1).
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import Final
from urllib.parse import unquote, urlsplit

from coopery.errors import BackendError
from coopery_docker.endpoint import NAME, Endpoint

_SECONDS: Final = 30
_TAIL: Final = 2000
_GRACE: Final = 2.0


class SshFailed(ConnectionError):  # noqa: N818 - says what happened
    """The connection ended as it should not; the words are ssh's own, or the far docker's."""


def argv(endpoint: Endpoint) -> tuple[str, ...]:
    """What connects to *endpoint*, whose host is ``ssh://[USER@]HOST[:PORT][/PATH/TO/SOCKET]``.

    Raises:
        BackendError: it is something else, or has a password in it, which ssh does not take.
    """
    try:
        told = urlsplit(endpoint.host)
        port, path = told.port, unquote(told.path).rstrip("/")
    except ValueError as exc:
        raise _refused(endpoint, str(exc)) from exc
    login, _, address = told.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    host = address.removesuffix(f":{port}").strip("[]")  # not ``hostname``, which is in lower case
    if colon:
        raise _refused(endpoint, "ssh takes no password in it; use a key")
    if not host or told.query or told.fragment:
        raise _refused(endpoint, f"{endpoint.host!r} has no host" if not host else "nothing may follow the path")
    far = ("docker", *((f"--host=unix://{path}",) if path else ()), "system", "dial-stdio")
    return (
        *("ssh", "-T", "-o", f"ConnectTimeout={_SECONDS}"),
        *(("-l", unquote(user)) if user else ()),
        *(("-p", str(port)) if port else ()),
        *("--", host, shlex.join(far)),  # a shell reads it over there
    )


def _refused(endpoint: Endpoint, wrong: str) -> BackendError:
    remedy = "write ssh://USER@HOST:PORT, and behind it the path of the daemon's socket where that is not the usual one"
    return BackendError(NAME, f"{endpoint.origin} names no daemon that ssh can reach: {wrong}", remedy=remedy)


class Link:
    """One connection.

    Args:
        words: from `argv`.
        seconds: how long reading and writing may take; None: for ever.

    Attributes:
        socket: our end. Whoever closes it ends ssh.

    Raises:
        SshFailed: ssh cannot be started.
    """

    def __init__(self, words: tuple[str, ...], seconds: float | None) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(seconds)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        try:
            with theirs as end:  # no Ctrl-C reaches a session of its own: what ends over there is for us to say
                self._process = subprocess.Popen(
                    words, stdin=end.fileno(), stdout=end.fileno(), stderr=self._said, start_new_session=True
                )
        except OSError as exc:
            self.socket.close()
            self._said.close()
            raise SshFailed(f"ssh cannot be started: {exc.strerror}") from exc

    @property
    def ended(self) -> bool:
        """Whether ssh has ended."""
        return self._process.poll() is not None

    def why(self) -> str:
        """Why the connection ended, in ssh's words; empty where it has not."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        if not self.ended:
            return ""
        size = self._said.seek(0, 2)
        self._said.seek(max(0, size - _TAIL))
        words = self._said.read().decode("utf-8", "replace").strip()
        return words or f"ssh ended with status {self._process.returncode}"

    def end(self) -> None:
        """Wait until ssh has ended, which it does once the socket is closed; not for long."""
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
