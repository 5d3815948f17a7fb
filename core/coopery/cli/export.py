"""``coopery export``: an image in another form, or what other tools build an equal one from."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session, step_options, steps


@click.command(
    cls=Command,
    name="export",
    short_help="Write an image elsewhere, or what builds it.",
    examples=(
        "coopery export environment.yaml --to dockerfile:./image",
        "coopery export 3f2a9c --to docker-archive:train.tar",
    ),
    docs="docs/cli.md#coopery-export",
    twin="Builder.export",
)
@click.argument("ref", metavar="FILE|KEY|IMAGE")
@click.option(
    "--to",
    required=True,
    metavar="FORM:PATH",
    help="oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, dockerfile:DIR, apptainer:FILE or devcontainer:DIR.",
)
@steps
@session()
def command(session: Session, ref: str, to: str, secrets: tuple[str, ...], step_timeout: str | None) -> None:
    """Write an image elsewhere, or write what Docker, Podman, Apptainer or an editor build an equal image from.

    A definition that has no image yet is built first.
    """
    from coopery.cli import images, words
    from coopery.cli.refs import known

    with session.builder(**step_options(secrets, step_timeout)) as builder:
        found = known(builder, ref)
        image = builder.image(found) if isinstance(found, str) else builder.build(found)
        written = builder.export(image, to)
    session.document |= {"image": images.document(image), "written": written}
    session.say(words.clean(written))
