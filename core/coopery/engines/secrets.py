"""Build secrets that a caller gives: ids and values. They are for steps only: never kept, never in a key or a log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.engines.needs import secret_ids
from coopery.errors import UsageError
from coopery.snapshots import secret_files

if TYPE_CHECKING:
    from coopery.definition import Environment

LARGEST: Final = 500 * 1024
"""Bytes of one secret; the limit that BuildKit has."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_FORM: Final = "expected id=NAME,env=VARIABLE or id=NAME,src=FILE"


def parse(texts: Iterable[str], environ: Mapping[str, str] = os.environ) -> dict[str, bytes]:
    """The secrets that command-line options name, as Docker spells them: ``id=token,env=TOKEN``, ``id=key,src=FILE``.

    Raises:
        UsageError: another form, a variable that is not set, a file that cannot be read, an id given twice.
    """
    found: dict[str, bytes] = {}
    for text in texts:
        fields = _fields(text)
        name = fields["id"]
        if name in found:
            raise UsageError(f"--secret id={name}: given twice")
        found[name] = _value(name, fields, environ)
    return checked(found)


def checked(values: Mapping[str, str | bytes]) -> dict[str, bytes]:
    """*values* as bytes.

    Raises:
        UsageError: an id that no definition can name, an empty value, or one that is too large.
    """
    found = {}
    for name, value in values.items():
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
        if not _ID.fullmatch(name):
            raise UsageError(f"{name!r} is no id of a secret", remedy="use letters, digits, '.', '_' and '-'")
        if not data or len(data) > LARGEST:
            raise UsageError(f"secret {name}: expected 1 to {LARGEST} bytes, got {len(data)}")
        found[name] = data
    return found


def demand(environment: Environment, given: Iterable[str]) -> None:
    """See that every secret that *environment* uses was given. Nothing is fetched before.

    Raises:
        UsageError: those that are missing, all of them.
    """
    secret_files.demand(secret_ids(environment), frozenset(given))


def texts(values: Mapping[str, bytes]) -> tuple[str, ...]:
    """The values as text, for whoever masks them."""
    return tuple(value.decode("utf-8", "replace") for value in values.values())


def _fields(text: str) -> dict[str, str]:
    """What *text* says, with no value in any message: somebody may have typed the secret itself."""
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name = {"source": "src"}.get(name, name)
        if name not in ("id", "env", "src", "type") or not equals or not value or name in fields:
            raise UsageError(f"--secret: {_FORM}", remedy="a value itself would be seen by others in the process list")
        fields[name] = value
    if "id" not in fields or ("env" in fields) == ("src" in fields):
        raise UsageError(f"--secret: {_FORM}", remedy="a value itself would be seen by others in the process list")
    return fields


def _value(name: str, fields: Mapping[str, str], environ: Mapping[str, str]) -> bytes:
    if variable := fields.get("env"):
        if variable not in environ:
            raise UsageError(f"--secret id={name}: the variable {variable} is not set")
        return os.fsencode(environ[variable])
    path = Path(fields["src"]).expanduser()
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as exc:
        raise UsageError(f"--secret id={name}: {path} cannot be read: {exc.strerror}") from exc
