"""An image as a few aligned lines, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict

from coopery.cli import words

if TYPE_CHECKING:
    from coopery.image import Image


def told(made: Image, took: float, *, exported: str = "") -> str:
    """What came out of a build that took *took* seconds."""
    if made.hit:
        layers = f"{made.layers} (a hit: nothing was built)"
    else:
        layers = words.made_and_reused(made.made.layers_made, made.made.layers_reused)
    facts = [
        ("reference", made.reference),
        ("image", made.id),
        ("key", made.key),
        ("layers", layers),
        ("size", words.size(made.size)),
        ("python", made.interpreter or ""),
        ("generation", str(made.generation) if made.generation > 1 else ""),
        ("written to", exported),
        ("took", words.seconds(took)),
    ]
    return words.rows((name, value) for name, value in facts if value)


def document(made: Image) -> dict[str, Any]:
    """An image as plain data; ``made`` says what this call did."""
    fields = asdict(made)
    fields["made"] |= {"seconds": {stage: round(amount, 4) for stage, amount in made.made.seconds}}
    return fields
