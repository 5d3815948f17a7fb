"""An image as a few aligned lines, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict

from coopery.cli import words

if TYPE_CHECKING:
    from coopery.backend import Placed
    from coopery.compare.check import Checked
    from coopery.image import Image


def told(made: Image, took: float, *, exported: str = "", pushed: str = "", checked: str = "") -> str:
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
        ("checked", checked),
        ("written to", exported),
        ("pushed to", pushed),
        ("took", words.seconds(took)),
    ]
    return words.rows((name, value) for name, value in facts if value)


def document(made: Image) -> dict[str, Any]:
    """An image as plain data; ``made`` says what this call did."""
    fields = asdict(made)
    fields["made"] |= {"seconds": {stage: round(amount, 4) for stage, amount in made.made.seconds}}
    return fields


def placed(image: Placed, took: float) -> str:
    """What a push that took *took* seconds came to."""
    facts = [
        ("reference", image.reference),
        ("digest", image.digest),
        ("size", words.size(image.size)),
        ("took", words.seconds(took)),
    ]
    return words.rows(facts)


def placed_document(image: Placed) -> dict[str, Any]:
    """The same as plain data."""
    return asdict(image)


def pulled(image: Image, took: float) -> str:
    """What a pull that took *took* seconds came to."""
    facts = [
        ("reference", image.reference),
        ("image", image.id),
        ("platform", image.platform),
        ("layers", str(image.layers)),
        ("size", words.size(image.size)),
        ("took", words.seconds(took)),
    ]
    return words.rows(facts)


def checked(found: Checked | None) -> str:
    """What building again came to; empty where nothing was."""
    if found is None:
        return ""
    layers = f"{words.count(found.layers, 'layer')}, {words.size(found.size)}"
    if found.moved_base:
        return f"{layers} of packages came out the same; the base can no longer be had as it was"
    return f"{layers}: the same, built again in {words.seconds(found.seconds)}"


def checked_document(found: Checked | None) -> dict[str, Any] | None:
    """The same as plain data."""
    return None if found is None else asdict(found, filter=lambda field, _: field.name != "image")
