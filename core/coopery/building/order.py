"""What one call of `Builder.build` asks for, once it is known which lock file is in play. On the way to every hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

if TYPE_CHECKING:
    from coopery.digest import Digest
    from coopery.locks.fitting import Held
    from coopery.records import Resolution
    from coopery.sealed import Sealed


@frozen
class Order:
    """One image that is wanted.

    Attributes:
        sealed: the definition.
        key: its key.
        held: the lock that it is held to, or None.
        base: digest that its base must have; None: any that a record vouches for.
        rebuild: make it again, as the next generation.
        frozen: refuse to resolve anything, and any base but the lock's.
    """

    sealed: Sealed
    key: str
    held: Held | None = None
    base: Digest | None = None
    rebuild: bool = False
    frozen: bool = False

    @property
    def under(self) -> str:
        """Names the lock in records; empty where there is none."""
        return self.held.name if self.held is not None else ""

    @property
    def flight(self) -> str:
        """What tells it from other orders of its key and lock that may not share its result."""
        return f" on {self.base}" if self.base is not None else ""

    def read(self) -> Order:
        """The same, with its lock file read, so that mistakes in it are told first.

        Raises:
            LockFileError: every mistake in it.
        """
        return evolve(self, held=evolve(self.held, source=self.held.read())) if self.held is not None else self

    def accepts(self, known: Resolution) -> bool:
        """Whether what is recorded would do."""
        return (self.base is None or known.base == self.base) and not (self.frozen and known.stale)
