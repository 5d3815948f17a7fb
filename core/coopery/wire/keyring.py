"""The library ``keyring``, where it is installed, asked in a child process: its backends may hang, prompt, or crash.

The child has no terminal and a few seconds. Host and user go to it by standard input, the password comes back by a
pipe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from coopery.wire.login import Credential
from coopery.wire.origin import Origin

_SECONDS: Final = 10.0
_CHILD: Final = """
import json, sys
asked = json.load(sys.stdin)
import keyring
found = None
for service in asked["services"]:
    if asked["user"]:
        password = keyring.get_password(service, asked["user"])
        found = None if password is None else (asked["user"], password)
    else:
        credential = keyring.get_credential(service, None)
        found = None if credential is None else (credential.username, credential.password)
    if found:
        break
json.dump(found, sys.stdout)
"""


def installed() -> bool:
    """Whether the library is there. Imports nothing."""
    return find_spec("keyring") is not None


def ask(origin: Origin, user: str = "") -> Credential | None:
    """What the keyring has under *origin* (``https://host``) or its host. None, too, where it fails or takes too long.

    Without *user* only keyrings answer that know a user by a service alone; to be asked by name, put the user into
    the URL (``https://ada@host/…``). Services are named as pip names them.

    A keyring that does not answer must not fail a fetch that may need no password at all; one that does need it ends
    with the server's own refusal.
    """
    if not installed():
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD],
            input=json.dumps({"services": [f"{origin}/", str(origin), origin.netloc], "user": user}).encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            start_new_session=True,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    if not (isinstance(answer, list) and len(answer) == 2 and all(isinstance(text, str) for text in answer)):
        return None
    return Credential(answer[0], answer[1], "the keyring")
