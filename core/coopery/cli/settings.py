"""``coopery settings``: what the outside world looks like from here, and who said so."""

from __future__ import annotations

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="settings",
    short_help="Show the settings and where they come from.",
    examples=(
        "coopery settings",
        "coopery settings --output json",
    ),
    docs="docs/settings.md, docs/cli.md#coopery-settings",
    twin="Builder.settings_report",
)
@session()
def command(session: Session) -> None:
    """Show every setting with where it comes from, the files that were looked at, and hosts with a known login.

    Passwords and tokens are never shown.
    """
    from coopery.cli import words

    with session.builder() as builder:
        found = builder.settings_report()
    session.document |= {name: part if isinstance(part, str) else list(part) for name, part in asdict(found).items()}
    values = [(one.name, _text(one.value), one.origin) for one in found.values]
    blocks = [words.table(("setting", "value", "from"), values)]
    files = [(file.path, "read" if file.found else "not there") for file in found.files]
    blocks.append(words.table(("file", ""), files))
    if found.logins:
        logins = [(one.host, one.of, one.found or "none") for one in found.logins]
        blocks.append(words.table(("host", "of", "login"), logins))
    if found.promise:
        blocks.append(words.clean(f"cache: {found.promise}"))
    session.say("\n\n".join(blocks))


def _text(value: str | tuple[str, ...]) -> str:
    return (value if isinstance(value, str) else ", ".join(value)) or "-"
