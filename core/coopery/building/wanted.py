"""What one call of a builder asks for: the sealed definition, its key, and the lock file that is in play."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from coopery import key as _key
from coopery.building.order import Order
from coopery.definition import Environment, ImageBase
from coopery.events import BaseMoved, Warned
from coopery.seal import seal

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.digest import Digest
    from coopery.locks.fitting import Choice, Held


def order(
    builder: Builder,
    environment: Environment,
    *,
    rebuild: bool = False,
    lock: Choice = None,
    frozen: bool = False,
    local: bool = False,
) -> Order:
    """What is wanted, as `coopery.build.Builder.build` was told it.

    Args:
        builder: who was told.
        environment: the definition.
        rebuild: make it again.
        lock: which lock.
        frozen: resolve nothing.
        local: ask no registry, whatever the settings say of bases that moved.
    """
    sealed = seal(environment)
    key = _key.compute(sealed)
    held = _held(builder, environment, lock, key)
    base = None
    if frozen:
        from coopery.locks.fitting import demand

        locked = demand(builder, sealed, held)
        base = locked.lock.base if locked is not None else None
    elif held is None and not rebuild and not local and builder.settings.moved_base == "rebuild":
        base = _base_today(builder, environment, key)
    return Order(sealed, key, held, base, rebuild, frozen)


def _held(builder: Builder, environment: Environment, choice: Choice, key: str) -> Held | None:
    """The lock in play. Most builds have none, and then nothing is imported for it."""
    beside = environment.file.with_suffix(".lock") if environment.file is not None else None
    if choice is False or (choice in (None, True) and not (beside and os.path.lexists(beside))):
        return None
    from coopery.locks.fitting import choose

    return choose(environment, choice, lambda message: builder.emit(Warned(key=key, message=message)))


def _base_today(builder: Builder, environment: Environment, key: str) -> Digest | None:
    """What the tag of the base names today, where a record says what it named; None: nothing to compare."""
    known = builder.ledger.resolution(key) if isinstance(environment.base, ImageBase) else None
    if known is None or not isinstance(environment.base, ImageBase) or "@sha256:" in environment.base.image:
        return None
    from coopery.pulling import current_digest

    now = current_digest(builder, environment)
    if now != known.base:
        builder.emit(BaseMoved(key=key, reference=environment.base.image, before=known.base, after=now))
    return now
