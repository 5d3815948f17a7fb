"""``coopery cache``: caches as such. ``copy`` moves what they hold, ``init`` makes one for a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from attrs import asdict

from coopery.cli.failing import Command, write_examples
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.moving.copying import Copied


class _Group(click.Group):
    """What `coopery.cli.failing.Command` is to a command: help that teaches."""

    examples = ("coopery cache copy home: bundle.tar.zst", "coopery cache init --group ml /srv/coopery")
    docs = "docs/moving.md, docs/sharing.md"
    twin = "Builder.copy"

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Examples, then where to read on."""
        write_examples(formatter, self.examples)
        formatter.write_text(f"Docs: {self.docs}")
        formatter.write_text(f"In Python: {self.twin}, Builder.share")


@click.group(cls=_Group, name="cache", short_help="Copy caches, and share one in a group.")
def command() -> None:
    """Copy images and records from one cache to another, also in one file; make a cache folder for a group."""


@command.command(
    cls=Command,
    name="copy",
    short_help="Copy images and records from one cache to another.",
    examples=(
        "coopery cache copy home: bundle.tar.zst",
        "coopery cache copy bundle.tar.zst home: --digest sha256:…",
        "coopery cache copy sqlite: directory:/srv/coopery/records --since 7d",
    ),
    docs="docs/moving.md",
    twin="Builder.copy",
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("refs", metavar="[FILE|KEY|NAME]...", nargs=-1)
@click.option("--since", metavar="TIME", help="Only what was recorded in that time: 7d, 12h.  [default: everything]")
@click.option("--packages", is_flag=True, help="Fetched packages too, to build from their locks without a network.")
@click.option(
    "--digest",
    default="",
    metavar="DIGEST",
    help="The bundle's, as the copy that made it printed it: no other file is taken.",
)
@session()
def copy(
    session: Session, source: str, target: str, refs: tuple[str, ...], since: str | None, packages: bool, digest: str
) -> int | None:
    """Copy from one cache to another what was built: of all keys, or of those that are named.

    FROM and TO are home: (this cache folder), a folder, a bundle (a file that ends in .tar, .tar.zst or .tar.gz), or
    a store's URL. What arrives is checked as a whole first; what is there already is not written again. Where both
    have something else under one key, what is in TO stays, and the status is 6.
    """
    import time

    from coopery.cli import refs as _refs
    from coopery.collect import amounts
    from coopery.errors import CacheError

    after = time.time() - amounts.seconds(since) if since is not None else 0.0
    with session.builder() as builder:
        wanted = [_refs.load(ref) if _refs.is_file(ref) else ref for ref in refs]
        done = builder.copy(source, target, wanted, since=after, packages=packages, digest=digest)
    session.document.update(asdict(done))
    session.say(_told(done))
    if done.conflicts:
        raise CacheError(
            "\n".join(
                ("not everything could be copied; what is there stays:", *(f"  {one}" for one in done.conflicts))
            ),
            remedy="coopery build --rebuild makes a generation after both, or copy into a cache of its own",
        )
    return None


@command.command(
    cls=Command,
    name="init",
    short_help="Make a cache folder for a group.",
    examples=("coopery cache init --group ml /srv/coopery",),
    docs="docs/sharing.md",
    twin="Builder.share",
)
@click.argument("path", metavar="FOLDER")
@click.option("--group", required=True, metavar="NAME", help="Whose it is: a group that you are in.")
@session()
def init(session: Session, path: str, group: str) -> None:
    """Make FOLDER the cache folder of a group, so that its members share images, packages and records.

    Done again, it opens what somebody's umask, or root, has closed to the group: of your own things, or as root of all.
    """
    with session.builder() as builder:
        made = builder.share(path, group)
    session.document.update(asdict(made))
    opened = f"; opened to it: {', '.join(made.opened)}" if made.opened else ""
    session.say(f"{made.home} is the cache folder of group {made.group}{opened}\nmembers set COOPERY_HOME={made.home}")


def _told(done: Copied) -> str:
    from coopery.cli import words

    lines = [
        ("keys", str(len(done.keys))),
        ("records", _both(done.records, done.records_present)),
        ("images", str(len(done.images))),
        ("blobs and packages", f"{_both(done.parts, done.parts_present)}, {words.size(done.size)}"),
    ]
    if done.images_missing:
        lines.append(("without image", f"{words.count(len(done.images_missing), 'record')}: not in {done.source}"))
    if done.skipped:
        lines.append(("left out", f"{words.count(len(done.skipped), 'package')} that no plugin here keeps"))
    if done.bundle:
        lines.append(("bundle", done.bundle))
    return words.rows(lines)


def _both(written: int, present: int) -> str:
    return f"{written} copied" + (f", {present} there already" if present else "")
