"""``coopery lock --from`` and ``--as``: other tools' lock files in and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from coopery.cli.options import Session
from coopery.errors import CacheError, UsageError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.locks.relocking import Relock

_FORMS: Final = ("pixi", "explicit", "pylock", "requirements")
"""`coopery.formats.FORMS`, which help must not import."""

OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--from",
        "sources",
        multiple=True,
        metavar="FILE",
        help="Take packages from another tool's lock: pixi.lock, conda-lock.yml, …",
    ),
    click.option("--environment", default="", metavar="NAME", help="With --from: which environment of that file."),
    click.option("--without", multiple=True, metavar="NAME", help="With --from: leave this package out. Repeatable."),
    click.option("--as", "form", type=click.Choice(_FORMS), help="Write it in another tool's form, to -o or stdout."),
    click.option("--only", type=click.Choice(["conda", "pip"]), help="With --as: packages of this kind alone."),
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Put the options on *command*: ``sources``, ``environment``, ``without``, ``form``, ``only``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def check(found: dict[str, Any], *, update: bool, checking: bool, dry_run: bool) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: naming them.
    """
    if found["sources"] and (update or checking):
        raise UsageError("--from says which packages are locked: it goes with neither --update nor --check")
    if found["form"] and (update or checking or dry_run or found["sources"]):
        raise UsageError("--as writes the lock that is there in another form: it changes nothing, so it goes alone")
    for option, needs, given in (
        ("environment", "from", "sources"),
        ("without", "from", "sources"),
        ("only", "as", "form"),
    ):
        if found[option] and not found[given]:
            raise UsageError(f"--{option} goes with --{needs}")


def adopted(
    builder: Builder, environment: Environment, found: dict[str, Any], platforms: tuple[str, ...], path: Path | None
) -> Relock:
    """The lock file with the packages of the files that were named."""
    return builder.adopt(
        environment,
        found["sources"],
        name=found["environment"],
        without=found["without"],
        platforms=platforms,
        file=path,
    )


def publish(session: Session, file: str, environment: Environment, found: dict[str, Any], target: str | None) -> None:
    """Write the lock in another tool's form; the lock file itself stays as it is."""
    with session.builder() as builder:
        lock = builder.lock(environment)
        data = builder.publish(environment, lock, found["form"], only=(found["only"],) if found["only"] else ())
    session.document |= {"file": file, "form": found["form"], "digest": lock.digest, "text": data.decode()}
    if target in (None, "-"):
        session.say(data.decode().rstrip())
        return
    path = Path(str(target))
    _write(path, data, environment)
    session.document["written"] = str(path)
    session.say(f"{path} is written")


def _write(path: Path, data: bytes, environment: Environment) -> None:
    from coopery import lockfile
    from coopery.whole import write_whole

    own = lockfile.beside(environment)
    if own is not None and path.absolute() == own.absolute():
        raise UsageError(f"{path} is the lock file that builds use", remedy="name another file with -o")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} is not there")
    try:
        write_whole(path.absolute(), data, path.absolute().parent, mode=0o644)
    except CacheError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.message}") from exc
