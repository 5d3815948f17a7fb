"""What a daemon's answers say: lines of progress, errors among them, and why there was no answer."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from coopery.errors import BackendError
from coopery_docker.endpoint import NAME, Endpoint
from coopery_docker.ssh import SshFailed

_FULL: Final = "no space left on device"
_ROOM: Final = "make room where the daemon keeps its images: docker system df, docker image prune"


class Unreachable(BackendError):  # noqa: N818 - says the state
    """The daemon is not there, does not let us in, or went away."""


class Refused(BackendError):  # noqa: N818 - says what happened
    """The daemon answered, and did not do it."""


def said(answer: Iterable[Any], doing: str) -> Iterator[bytes]:
    """What the lines of *answer* print. It is read to its end even behind an error: the connection is used again.

    Raises:
        Refused: one of the lines is an error, though the status was 200.
    """
    wrong = ""
    for line in answer:
        if not isinstance(line, Mapping):
            wrong = wrong or f"an answer that is no JSON object: {str(line)[:200]!r}"
            continue
        told = line.get("error") or line.get("message") or (line.get("errorDetail") or {}).get("message")
        wrong = wrong or str(told or "")
        if isinstance(text := line.get("stream"), str):
            yield text.encode()
        elif isinstance(status := line.get("status"), str) and "progressDetail" not in line:
            yield f"{status}\n".encode()
    if wrong:
        raise refused(f"{doing}: {wrong}")


def refused(message: str) -> Refused:
    """Our error for what the daemon says that it did not do; where its disk is full, with what to do about that."""
    return Refused(NAME, message, remedy=_ROOM if _FULL in message else "")


def unreachable(endpoint: Endpoint, doing: str, exc: BaseException) -> Unreachable:
    """Our error for a daemon that cannot be talked to, with what to do about that."""
    cause = _root(exc)
    if isinstance(cause, SshFailed):
        words, remedy = (
            f"{cause}",
            "see that this works and asks nothing: ssh HOST docker version",
        )
    elif isinstance(cause, PermissionError):
        words, remedy = "may not be used by this user", "join the group docker, or use rootless Docker"
    elif isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        words, remedy = "no daemon is there", "start it (systemctl start docker), or set DOCKER_HOST"
    else:
        words, remedy = f"{cause}", "look whether the daemon still runs: docker info"
    return Unreachable(NAME, f"{doing}: {endpoint.host} ({endpoint.origin}): {words}", remedy=remedy)


def _root(exc: BaseException) -> BaseException:
    """The operating system's own error behind *exc*, where there is one."""
    seen: list[BaseException] = []
    waiting: list[object] = [exc]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or found in seen:
            continue
        if isinstance(found, PermissionError | FileNotFoundError | ConnectionError) and found.errno:
            return found
        if isinstance(found, SshFailed):
            return found
        seen.append(found)
        waiting += [*found.args, found.__cause__, found.__context__, getattr(found, "reason", None)]
    return exc


def files_of(archive: bytes) -> tuple[str, ...]:
    """Names of the files that lie directly in the folder that *archive* is the tar of, sorted."""
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                folder, _, name = member.name.strip("/").partition("/")
                if folder and name and "/" not in name and (member.isfile() or member.issym()):
                    found.append(name)
    except tarfile.TarError:  # cut off: the names so far
        pass
    return tuple(sorted(found))
