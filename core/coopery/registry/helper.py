"""Asking a credential helper: ``docker-credential-NAME get``, the host on its input, a login in JSON on its output.

Source: github.com/docker/docker-credential-helpers, README, "Development".
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any, Final

from coopery.errors import UsageError
from coopery.registry.credential import Credential

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SECONDS: Final = 30.0
_NOT_FOUND: Final = "credentials not found"
_TOKEN_USER: Final = "<token>"  # noqa: S105 - the name that says: the secret is an identity token


def check_name(name: str) -> str:
    """*name*, when it may be the end of a program's name.

    Raises:
        UsageError: it could name another program, or be read as an option.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r}: no name of a credential helper",
            remedy="expected letters, digits and . _ -, as in pass, secretservice, ecr-login",
        )
    return name


def is_installed(name: str) -> bool:
    """Whether there is a program ``docker-credential-NAME``."""
    return shutil.which(f"docker-credential-{check_name(name)}") is not None


def ask(name: str, server: str, seconds: float = _SECONDS) -> Credential | None:
    """The login that the helper *name* keeps for *server*; None where it keeps none.

    Nothing secret is ever among its arguments. What it prints is not repeated in messages.

    Raises:
        UsageError: no such program, it failed, said something else, or was silent for *seconds*.
    """
    program = f"docker-credential-{check_name(name)}"
    try:
        done = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        # Not `from exc`: that error carries what was printed so far.
        raise _failed(program, f"no answer for {server} within {seconds:g} s") from None
    except OSError as exc:
        raise _failed(program, f"cannot be started: {exc.strerror}") from exc
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").lower()
        if _NOT_FOUND in said:  # the one way in which the protocol says so
            return None
        raise _failed(program, f"ended with status {done.returncode} when asked for {server}")
    return _credential(program, done.stdout)


def _credential(program: str, output: bytes) -> Credential | None:
    try:
        document: Any = json.loads(output)
    except (ValueError, RecursionError):
        document = None
    user, secret = (document.get(key) for key in ("Username", "Secret")) if isinstance(document, dict) else (None, None)
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(program, "did not answer with a Username and a Secret in JSON")
    if not secret:
        return None
    if user == _TOKEN_USER:
        return Credential(identity_token=secret, found=program)
    return Credential(user, secret, found=program)


def _failed(program: str, reason: str) -> UsageError:
    return UsageError(f"{program}: {reason}", remedy="run it by hand, or take it out of the Docker configuration")
