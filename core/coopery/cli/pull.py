"""``coopery pull``: an image out of a registry."""

from __future__ import annotations

import time

import click

from coopery import platform as _platform
from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="pull",
    short_help="Bring an image from a registry.",
    examples=(
        "coopery pull registry.example.org/team/train:v1",
        "coopery pull localhost:5000/train:v1 --platform linux/arm64",
    ),
    docs="docs/cli.md#coopery-pull",
    twin="Builder.pull",
)
@click.argument("reference", metavar="REFERENCE")
@click.option("--platform", default=_platform.DEFAULT, show_default=True, help="Of an image for several platforms.")
@session()
def command(session: Session, reference: str, platform: str) -> None:
    """Bring an image from a registry into the cache folder's layout, every byte checked.

    The reference that is printed is what `coopery run` and other tools take.
    """
    from coopery.cli import images

    with session.builder() as builder:
        begun = time.monotonic()
        image = builder.pull(reference, platform)
        took = time.monotonic() - begun
    session.document["image"] = images.document(image)
    session.say(images.pulled(image, took))
