"""``coopery pin``: keeps an image, or the packages of a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.collect.pins import Pin


@click.command(
    cls=Command,
    name="pin",
    short_help="Keep an image, whatever gc is asked for.",
    examples=(
        "coopery pin environment.yaml --name paper-2026",
        "coopery pin environment.lock",
    ),
    docs="docs/cli.md#coopery-pin, docs/operations.md#cleaning-up",
    twin="Builder.pin",
)
@click.argument("ref", metavar="FILE|KEY|LOCK")
@click.option("--name", default="", metavar="TEXT", help="Of the pin. [default: the definition's name, or the file's]")
@session()
def command(session: Session, ref: str, name: str) -> None:
    """Keep the image of a definition or key, with the packages of its lock; or the packages of a lock file.

    A pin names what there is now, never a key: a rebuild does not move it.
    """
    from coopery.cli.refs import known, lock_file

    with session.builder() as builder:
        made = builder.pin(lock_file(ref) or known(builder, ref), name)
    session.document.update(document(made))
    session.say(f"pinned as {made.name}: {made.what}")


def document(pin: Pin) -> dict[str, Any]:
    """A pin as plain data."""
    return {
        "name": pin.name,
        "image": pin.image,
        "locks": [lock.digest for lock in pin.locks],
        "packages": sum(len(lock.artifacts) for lock in pin.locks),
        "what": pin.what,
    }
