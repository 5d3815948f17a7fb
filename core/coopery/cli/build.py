"""``coopery build``: the main job."""

from __future__ import annotations

import time
from typing import Any

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="build",
    short_help="Build the image of a definition, or find it.",
    examples=(
        "coopery build environment.yaml",
        "coopery build environment.yaml --to docker-archive:train.tar --output json",
    ),
    docs="docs/cli.md#coopery-build",
    twin="Builder.build",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--rebuild", is_flag=True, help="Resolve and build again, beside what is there; say which packages moved."
)
@click.option("--to", metavar="PLACE", help="Also write it to oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE.")
@session()
def command(session: Session, files: tuple[str, ...], rebuild: bool, to: str | None) -> None:
    """Build the images of definitions, or find them: what is known and still there returns at once.

    Progress goes to stderr, the result to stdout.
    """
    from coopery.cli import images
    from coopery.cli.refs import load_all
    from coopery.errors import UsageError

    if to and len(files) > 1:
        raise UsageError("--to takes one definition", remedy="build them one by one")
    environments = load_all(files)
    made: list[dict[str, Any]] = []
    session.document["images"] = made
    with session.builder() as builder:
        for file, environment in zip(files, environments, strict=True):
            begun = time.monotonic()
            image = builder.build(environment, rebuild=rebuild)
            exported = builder.export(image, to) if to else ""
            took = time.monotonic() - begun
            if session.json:
                made.append({"file": file, **images.document(image), "exported": exported, "took": round(took, 4)})
            if len(files) > 1:
                session.say(f"{file}:")
            session.say(images.told(image, took, exported=exported) + ("\n" if file != files[-1] else ""))
