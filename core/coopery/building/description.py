"""A builder in words, for another process, perhaps on another machine, to make one like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from coopery.errors import UsageError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.settings import Settings


@frozen
class Description:
    """A builder in words, such that another process, perhaps on another machine, makes one like it.

    What the caller did not state is read there: settings from that machine's files and environment. The store of
    records is stated always, since it is what all have in common.
    """

    cache: str
    leases: str | None
    backend: str | None
    home: Path | None
    settings: Settings | None
    step_seconds: float
    lease_seconds: float

    def make(self) -> Builder:
        """A builder like the one that is described."""
        from coopery.build import Builder

        return Builder(
            cache=self.cache,
            leases=self.leases,
            backend=self.backend,
            home=self.home,
            settings=self.settings,
            step_seconds=self.step_seconds,
            lease_seconds=self.lease_seconds,
        )


def describe(builder: Builder) -> Description:
    """*builder* in words.

    Raises:
        UsageError: something was handed to it that means nothing in another process; names all of them.
    """
    given = builder.given
    wrong = [name for name in ("on_event", "plugins", "secrets") if given[name]]
    wrong += [name for name in ("cache", "leases") if given[name] and not isinstance(given[name], str)]
    if wrong:
        words = ", ".join(wrong)
        raise UsageError(
            f"a builder that was given {words} cannot be described to another process",
            remedy="name stores by URL, and leave the rest out; or build in threads: executor=None",
        )
    return Description(
        cache=given["cache"] or builder.settings.cache,
        leases=given["leases"] or builder.settings.leases or None,
        backend=given["backend"],
        home=builder.settings.home if given["home"] is not None else None,
        settings=given["settings"],
        step_seconds=builder.step_seconds,
        lease_seconds=builder.lease_seconds,
    )
