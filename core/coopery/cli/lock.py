"""``coopery lock``: exactly which packages a definition resolves to, in a file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coopery.cli import lock_formats
from coopery.cli.failing import Command
from coopery.cli.options import Session, session
from coopery.errors import UsageError

if TYPE_CHECKING:
    from coopery.definition import Environment
    from coopery.locks.relocking import Change, Relock


@click.command(
    cls=Command,
    name="lock",
    short_help="Write down the exact packages of a definition.",
    examples=(
        "coopery lock environment.yaml",
        "coopery lock environment.yaml --update numpy scipy --dry-run",
        "coopery lock environment.yaml --check",
        "coopery lock environment.yaml --from pixi.lock",
    ),
    docs="docs/lock.md, docs/cli.md#coopery-lock",
    twin="Builder.relock",
)
@click.argument("file", metavar="FILE")
@click.argument("packages", nargs=-1, metavar="[PACKAGE...]")
@click.option("--update", is_flag=True, help="Choose these packages anew; without names all of them, and the base.")
@click.option("--platform", "platforms", multiple=True, metavar="PLATFORM", help="Lock for linux/arm64, … Repeatable.")
@click.option("--dry-run", is_flag=True, help="Show what would move, and write nothing.")
@click.option("--check", is_flag=True, help="Only see that the lock file is there and answers; status 9 if not.")
@click.option(
    "-o", "--to", "target", metavar="FILE", help="Where to; - for stdout. [default: FILE with the ending .lock]"
)
@lock_formats.options
@session()
def command(
    session: Session,
    file: str,
    packages: tuple[str, ...],
    update: bool,
    platforms: tuple[str, ...],
    dry_run: bool,
    check: bool,
    target: str | None,
    **foreign: Any,
) -> None:
    """Write down the exact packages that a definition resolves to, with their hashes. No layer is cut.

    What is locked stays where it still answers the definition. What moves is shown, then written.
    """
    from coopery.cli.refs import load

    _check_words(packages, update, platforms, dry_run, check, target)
    lock_formats.check(foreign, update=update, checking=check, dry_run=dry_run)
    environment = load(file)
    path = Path(target) if target not in (None, "-") else None
    if check:
        _check(session, file, environment, path)
        return
    if foreign["form"]:
        lock_formats.publish(session, file, environment, foreign, target)
        return
    with session.builder() as builder:
        if foreign["sources"]:
            found = lock_formats.adopted(builder, environment, foreign, platforms, path)
        else:
            found = builder.relock(environment, platforms=platforms, update=packages or update, file=path)
    report(session, file, environment, found, dry_run=dry_run, to_stdout=target == "-")


def report(
    session: Session, file: str, environment: Environment, found: Relock, *, dry_run: bool, to_stdout: bool
) -> None:
    """Tell what moves, then write it, unless it is only to be shown."""
    own = found.after.of(environment.target.platform) or found.changes[0].after
    session.document |= {
        "file": file,
        "digest": own.lock.digest,
        "lock": own.lock.to_json(),
        "changed": found.changed,
        "platforms": [_document(change) for change in found.changes],
    }
    if to_stdout:
        session.say(found.after.text.rstrip())
        return
    for line in _told(found, dry_run=dry_run):
        session.say(line)
    if not dry_run:
        found.save()
        session.document["written"] = str(_shown(file, found))


def _check(session: Session, file: str, environment: Environment, path: Path | None) -> None:
    with session.builder() as builder:
        builder.check_lock(environment, file=path)
    session.document |= {"file": file, "stale": False}
    session.say(f"{path or Path(file).with_suffix('.lock')}: answers {file}")


def _check_words(
    packages: tuple[str, ...],
    update: bool,
    platforms: tuple[str, ...],
    dry_run: bool,
    check: bool,
    target: str | None,
) -> None:
    from coopery.cli.refs import check_platform

    if packages and not update:
        raise UsageError(f"{packages[0]!r}: packages are named to move them", remedy="add --update")
    if check and (update or platforms or dry_run or target == "-"):
        raise UsageError("--check only looks: it goes with no other option but -o FILE")
    for platform in platforms:
        check_platform(platform)


def _told(found: Relock, *, dry_run: bool) -> Iterator[str]:
    from coopery.cli import words

    several = len(found.changes) > 1
    for change in found.changes:
        head = f"{change.platform}: " if several else ""
        for reason in change.reasons:
            yield words.clean(f"{head}{reason}")
        if change.before is not None:
            yield words.clean("\n".join(f"{head}{line}" for line in change.lines) or f"{head}no package moves")
    would = "would be" if dry_run and found.changed else "is"
    state = "written" if found.changed else "up to date"
    for change in found.changes:
        lock = change.after.lock
        yield f"{_name(found)} {would} {state}: {words.count(len(lock.artifacts), 'package')} for {lock.platform}"


def _name(found: Relock) -> str:
    return found.path.name if found.path is not None else "the lock file"


def _shown(file: str, found: Relock) -> Path | None:
    beside = Path(file).with_suffix(".lock")
    return beside if found.path is not None and found.path == beside.absolute() else found.path


def _document(change: Change) -> dict[str, Any]:
    lock = change.after.lock
    return {
        "platform": change.platform,
        "digest": lock.digest,
        "base": lock.base,
        "packages": len(lock.artifacts),
        "moved": list(change.lines),
        "reasons": list(change.reasons),
    }
