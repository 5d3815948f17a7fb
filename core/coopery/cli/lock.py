"""``coopery lock``: exactly which packages a definition resolves to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.lock import Lock


@click.command(
    cls=Command,
    name="lock",
    short_help="Write down the exact packages of a definition.",
    examples=(
        "coopery lock environment.yaml",
        "coopery lock environment.yaml -o - | jq .artifacts[].name",
    ),
    docs="docs/cli.md#coopery-lock",
    twin="Builder.lock",
)
@click.argument("file", metavar="FILE")
@click.option(
    "-o", "--to", "target", metavar="FILE", help="Where to; - for stdout. [default: FILE with the ending .lock]"
)
@session()
def command(session: Session, file: str, target: str | None) -> None:
    """Write down the exact packages that a definition resolves to, with their hashes. No layer is cut.

    A key that was built or locked before keeps its packages; a new one is resolved.
    """
    from coopery.cli import words
    from coopery.cli.refs import load

    environment = load(file)
    with session.builder() as builder:
        lock = builder.lock(environment)
    session.document.update({"file": file, "digest": lock.digest, "lock": lock.to_json()})
    if target == "-":
        session.say(_text(lock).rstrip())
        return
    path = Path(target) if target else Path(file).with_suffix(".lock")
    write(path, _text(lock).encode())
    session.document["written"] = str(path)
    session.say(f"{path}: {words.count(len(lock.artifacts), 'package')}, {lock.digest}")


def _text(lock: Lock) -> str:
    """A form that people can compare line by line. The lock's digest is over its canonical form, not over this."""
    import json

    return json.dumps(lock.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path: Path, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all.

    Raises:
        UsageError: the folder is not there, or cannot be written.
    """
    import tempfile

    from coopery.errors import UsageError

    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as stream:
            try:
                stream.write(data)
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
                os.replace(stream.name, path)
            except BaseException:
                os.unlink(stream.name)
                raise
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.strerror}") from exc
