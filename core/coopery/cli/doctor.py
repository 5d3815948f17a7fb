"""``coopery doctor``: what works here, what does not, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.engines.doctor import Finding

UNHEALTHY = 3


@click.command(
    cls=Command,
    name="doctor",
    short_help="Say what works here, and what to do where it does not.",
    examples=(
        "coopery doctor",
        "coopery doctor --backend podman --output json",
    ),
    docs="docs/cli.md#coopery-doctor, docs/backends.md",
    twin="Builder.doctor",
)
@session()
def command(session: Session) -> int:
    """Try every backend and its engine, look at what they need of the machine, and ask the stores that are named.

    Nothing is built or changed. The status is 0 where the chosen backend works, 3 where it does not.
    """
    from coopery.cli import words

    with session.builder() as builder:
        found = builder.doctor()
    session.document |= {
        "chosen": found.chosen,
        "reason": found.reason,
        "healthy": found.healthy,
        "dated": found.dated,
        "findings": [asdict(one) for one in found.findings],
    }
    engines = [one for one in found.findings if one.kind in ("backend", "engine")]
    parts = [one for one in found.findings if one.kind == "machine"]
    stores = [one for one in found.findings if one.kind == "store"]
    session.say(_table("backend", engines, found.chosen))
    session.say("")
    session.say(_table("machine", parts))
    session.say("")
    session.say(_table("store", stores))
    notes = list(_notes(found.findings))
    if notes:
        session.say("\n" + words.clean("\n".join(notes)))
    session.say("\n" + words.clean(f"without --backend: {found.chosen}: {found.reason}"))
    return 0 if found.healthy else UNHEALTHY


def _table(title: str, found: Iterable[Finding], chosen: str = "") -> str:
    from coopery.cli import words

    lines = [
        (
            f"{one.name}{' *' if one.name == chosen else ''}",
            _state(one),
            one.version,
            ", ".join(one.abilities) if chosen else "; ".join(one.details),
        )
        for one in found
    ]
    return words.table((title, "", "version", "abilities" if chosen else ""), lines)


def _state(one: Finding) -> str:
    if one.works:
        return "answers" if one.kind == "store" else "works" if one.found or one.kind == "backend" else "ok"
    return "does not work" if one.found else "not found"


def _notes(found: Iterable[Finding]) -> Iterator[str]:
    for one in found:
        if one.kind == "backend" and one.works and one.details:
            yield f"{one.name}: {'; '.join(one.details)}"
        if one.problem:
            yield f"{one.name}: {one.problem}"
            if one.remedy:
                yield f"  {one.remedy}"
        for hole in one.holes:
            yield f"{one.name}: known hole: {hole}"
