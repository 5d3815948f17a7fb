"""``coopery build``: the main job."""

from __future__ import annotations

import time
from typing import Any

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session, step_options, steps


@click.command(
    cls=Command,
    name="build",
    short_help="Build the image of a definition, or find it.",
    examples=(
        "coopery build environment.yaml",
        "coopery build environment.yaml --to docker-archive:train.tar --output json",
        "coopery build environment.yaml --push registry.example.org/team/train:v1",
    ),
    docs="docs/cli.md#coopery-build",
    twin="Builder.build",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--rebuild", is_flag=True, help="Resolve and build again, beside what is there; say which packages moved."
)
@click.option("--to", metavar="PLACE", help="Also write it to oci:DIR[:TAG], oci-archive:FILE, …, as export does.")
@click.option("--push", metavar="TO", help="Also put it into a registry: HOST[:PORT]/REPOSITORY[:TAG].")
@click.option("--check", is_flag=True, help="Build again from nothing but the lock, and compare: exit code 5 on drift.")
@click.option("--platform", metavar="PLATFORM", help="Build for linux/arm64, … [default: the definition's target]")
@click.option("--lock", metavar="FILE", help="Build from this lock file. [default: FILE with the ending .lock]")
@click.option("--no-lock", is_flag=True, help="Leave a lock file aside.")
@click.option("--frozen", is_flag=True, help="Resolve nothing: a missing or stale lock file is an error, status 9.")
@steps
@session()
def command(
    session: Session,
    files: tuple[str, ...],
    rebuild: bool,
    to: str | None,
    push: str | None,
    check: bool,
    platform: str | None,
    lock: str | None,
    no_lock: bool,
    frozen: bool,
    secrets: tuple[str, ...],
    step_timeout: str | None,
) -> None:
    """Build the images of definitions, or find them: what is known and still there returns at once.

    Packages are those of the lock file beside a definition, where there is one and it answers the definition.
    Progress goes to stderr, the result to stdout.
    """
    from coopery.cli import images, refs
    from coopery.cli.refs import load_all
    from coopery.errors import UsageError

    if (to or push) and len(files) > 1:
        raise UsageError("--to and --push take one definition", remedy="build them one by one")
    if lock and (no_lock or len(files) > 1):
        raise UsageError("--lock FILE takes one definition, and no --no-lock")
    environments = [refs.for_platform(one, platform) for one in load_all(files)]
    made: list[dict[str, Any]] = []
    session.document["images"] = made
    with session.builder(**step_options(secrets, step_timeout)) as builder:
        if push:
            builder.check_push(push)
        for file, environment in zip(files, environments, strict=True):
            begun = time.monotonic()
            image = builder.build(environment, rebuild=rebuild, lock=lock or not no_lock, frozen=frozen)
            checked = builder.check(environment, lock=lock or not no_lock) if check else None
            exported = builder.export(image, to) if to else ""
            pushed = builder.push(image, push).reference if push else ""
            took = time.monotonic() - begun
            if session.json:
                made.append(
                    {
                        "file": file,
                        **images.document(image),
                        "exported": exported,
                        "pushed": pushed,
                        "checked": images.checked_document(checked),
                        "took": round(took, 4),
                    }
                )
            if len(files) > 1:
                session.say(f"{file}:")
            session.say(
                images.told(image, took, exported=exported, pushed=pushed, checked=images.checked(checked))
                + ("\n" if file != files[-1] else "")
            )
