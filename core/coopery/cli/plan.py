"""``coopery plan``: what a build would do."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="plan",
    short_help="Say what a build would do.",
    examples=(
        "coopery plan environment.yaml",
        "coopery plan environment.yaml --backend docker --output json",
    ),
    docs="docs/cli.md#coopery-plan",
    twin="Builder.plan",
)
@click.argument("file", metavar="FILE")
@session()
def command(session: Session, file: str) -> None:
    """Say what building a definition would do now. Nothing is fetched, solved or made."""
    from coopery.cli import images, words
    from coopery.cli.refs import load

    with session.builder() as builder:
        plan = builder.plan(load(file))
    session.document.update(
        {
            "file": file,
            "key": plan.key,
            "known": plan.known,
            "backend": plan.backend,
            "stages": list(plan.stages),
            "image": images.document(plan.image) if plan.image else None,
            "lock": plan.lock.to_json() if plan.lock else None,
            "lock_file": plan.lock_file,
        }
    )
    known = "yes" if plan.known else "no"
    session.say(words.rows([("key", plan.key), ("known", known), ("backend", plan.backend)]))
    session.say(words.clean("\n".join(f"  {line}" for line in plan.stages)))
