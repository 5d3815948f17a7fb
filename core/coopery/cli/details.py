"""``coopery details``: all that is recorded of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.ledger import Details
    from coopery.records import Placement


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
@click.option("--dockerfile", is_flag=True, help="Print the equivalent Dockerfile instead.")
@session()
def command(session: Session, ref: str, dockerfile: bool) -> None:
    """Show what is recorded of a definition or key: its image, whether it is still there, packages and layers.

    Nothing is built, and no registry is asked.
    """
    from coopery.cli.refs import known

    with session.builder() as builder:
        what = known(builder, ref)
        found = builder.details(what)
        text = builder.dockerfile(what) if dockerfile or session.json else ""
    session.document.update({**document(found), "dockerfile": text})
    session.say(text.rstrip("\n") if dockerfile else _told(found))


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
        numbered = sorted(enumerate(found.layers, 1), key=lambda pair: (-pair[1].size, pair[0]))
        lines = [(str(at), words.size(layer.size), layer.created_by) for at, layer in numbered]
        blocks.append(words.table(("layer", "size", "largest first; 1 is the lowest"), lines, right={0, 1}))
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
        ("digest", image.digest),
        ("platform", image.platform),
        ("size", f"{words.size(image.size)} in {words.count(image.layers, 'layer')}"),
        ("python", image.interpreter or ""),
        ("prefix", image.prefix or ""),
        *(("also at", f"{one.reference}@{one.digest}") for one in found.placements if one.place != image.place),
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
        "placements": [_placement(one) for one in found.placements],
    }


def _placement(one: Placement) -> dict[str, Any]:
    """One place; of a registry also in parts."""
    from attrs import asdict

    _, scheme, name = one.place.partition("registry://")
    registry, _, repository = name.partition("/")
    tag = one.reference.rpartition(":")[2] if scheme else ""
    return {**asdict(one), "registry": registry, "repository": repository, "tag": tag}
