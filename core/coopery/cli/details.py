"""``coopery details``: all that is recorded of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.ledger import Details


@click.command(
    cls=Command,
    name="details",
    short_help="Show what is recorded of a key.",
    examples=(
        "coopery details environment.yaml",
        "coopery details 3f2a9c --output json",
    ),
    docs="docs/cli.md#coopery-details",
    twin="Builder.details",
)
@click.argument("ref", metavar="FILE|KEY")
@session()
def command(session: Session, ref: str) -> None:
    """Show what is recorded of a definition or key: its image, whether it is still there, packages and layers."""
    from coopery.cli.refs import known

    with session.builder() as builder:
        found = builder.details(known(builder, ref))
    session.document.update(document(found))
    session.say(_told(found))


def _told(found: Details) -> str:
    from coopery.cli import words

    image, lock = found.image, found.lock
    facts = [
        ("key", found.key),
        ("name", found.name),
        ("generation", str(found.generation)),
        ("made", f"{words.moment(found.written)} by {found.writer}"),
        *([] if image is None else _image(found)),
        ("lock", f"{lock.digest}, {words.count(len(lock.artifacts), 'package')}" if lock else ""),
        ("log", found.log),
    ]
    blocks = [words.rows((name, value) for name, value in facts if value)]
    if lock:
        head = ("package", "version", "build", "from")
        blocks.append(words.table(head, [(a.name, a.version, a.build, a.source) for a in lock.artifacts]))
    if found.layers:
        lines = [(str(at), words.size(layer.size), layer.created_by) for at, layer in enumerate(found.layers, 1)]
        blocks.append(words.table(("layer", "size", "from the bottom up"), lines))
    blocks += [words.clean(f"note: {note}") for note in found.notes]
    return "\n\n".join(blocks)


def _image(found: Details) -> list[tuple[str, str]]:
    from coopery.cli import words

    image = found.image
    return [
        (
            "reference",
            image.reference if found.exists else f"{image.reference} (no longer there; build makes it again)",
        ),
        ("image", image.id),
        ("platform", image.platform),
        ("size", f"{words.size(image.size)} in {words.count(image.layers, 'layer')}"),
        ("python", image.interpreter or ""),
    ]


def document(found: Details) -> dict[str, Any]:
    """What is recorded of one key, as plain data."""
    from attrs import asdict

    from coopery.cli import images

    return {
        "key": found.key,
        "name": found.name,
        "exists": found.exists,
        "generation": found.generation,
        "written": found.written,
        "writer": found.writer,
        "image": None if found.image is None else images.document(found.image),
        "lock": None if found.lock is None else found.lock.to_json(),
        "layers": [asdict(layer, filter=lambda field, _: field.name != "made") for layer in found.layers],
        "notes": list(found.notes),
        "log": found.log,
    }
