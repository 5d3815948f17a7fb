"""An image that is known and really there, or one build for all who ask for it.

A key is built once, wherever: whoever finds that it was made elsewhere *fills* this place, which is a claim of its own.
An image is fetched for that from a registry or a folder that has it; where it cannot be had it is made again, from the
recorded base and lock. Nothing new is recorded for the key by that (`coopery.stages.recording`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import evolve

from coopery import records, use
from coopery.errors import PluginError, UsageError
from coopery.events import Hit, Waiting, Warned
from coopery.flights.together import Found
from coopery.image import Image

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.building.order import Order
    from coopery.cancel import Cancel
    from coopery.errors import CooperyError
    from coopery.flights.flight import Guard
    from coopery.flights.together import Waiting as Tell
    from coopery.records import Resolution


def fulfil(builder: Builder, order: Order, cancel: Cancel | None = None) -> Image:
    """The image of *order*, as `coopery.build.Builder.build` has it; *cancel* says how this caller gives up."""
    if order.rebuild:
        return _build_once(builder, order, cancel, lambda holder: _tell(builder, order, holder))

    def look() -> tuple[Image, tuple[str, ...]] | None:
        return believed(builder, order)

    def make(all_gone: Cancel, tell: Tell) -> Image:
        return _build_once(builder, order, all_gone, tell)

    result = builder.together.run(wish(order), look, make, lambda holder: _tell(builder, order, holder), cancel)
    return _hit(builder, order, *result.value) if isinstance(result, Found) else result


def found(builder: Builder, order: Order) -> Image | None:
    """The image of *order* where it is known and here; nothing is built."""
    known = believed(builder, order)
    return None if known is None else _hit(builder, order, *known)


def believed(builder: Builder, order: Order) -> tuple[Image, tuple[str, ...]] | None:
    """An image that is recorded for *order* and really there, and why its lock file was stale, if it was."""
    ledger = builder.ledger
    for known in ledger.known(order.key, order.under):
        if order.accepts(known) and (image := ledger.believe(known)) is not None:
            return image, known.stale
    return None


def _hit(builder: Builder, order: Order, image: Image, stale: tuple[str, ...]) -> Image:
    if stale and order.held is not None:
        from coopery.locks.fitting import stale_warning

        builder.emit(Warned(key=order.key, message=stale_warning(order.held.shown, stale)))
    builder.emit(Hit(key=order.key, reference=image.reference))
    return image


def _tell(builder: Builder, order: Order, holder: str) -> None:
    builder.emit(Waiting(key=order.key, holder=holder))


def wish(order: Order) -> str:
    """What threads must have in common to share an answer: what is built, and what it may be built from."""
    return f"{name(order)}{' frozen' if order.frozen else ''}"


def name(order: Order) -> str:
    """What tells *order* from those that may not share its result."""
    return f"{records.resolution_name(order.key, order.under)}{order.flight}"


def _build_once(builder: Builder, order: Order, cancel: Cancel | None, tell: Tell) -> Image:
    from coopery import keeping, preflight
    from coopery.engines import secrets
    from coopery.stages.make import make

    environment = order.sealed.environment
    try:
        other = builder.serving(environment, builder.ledger.newest(order.key))
        if other is builder:
            preflight.check(environment, builder.backend_name, builder.plugins_loaded)
            secrets.demand(environment, builder.secrets)
    except (PluginError, UsageError) as exc:  # it cannot be built here, but perhaps be had from elsewhere
        return _had(builder, order.read(), exc, cancel, tell)
    if other is not builder:
        return fulfil(other, order, cancel)
    order = order.read()
    if not builder.home.writable:
        from coopery import aside

        return aside.fulfil(builder, order)
    builder.home.make()
    keeping.tell_promise(builder)
    oldest = _oldest(builder, order)

    def look() -> Image | Resolution | None:
        return _look(builder, order, oldest)

    def build(guard: Guard) -> Image | Resolution:
        return make(builder, order, guard)

    flown = f"{name(order)}{f' generation {oldest}' if order.rebuild else ''}"
    with use.working(builder.home.root):  # what we make and mark from now on is not collected
        made = builder.flight.run(flown, _owner(), look, build, tell, cancel)
        if isinstance(made, records.Resolution):
            return _fill(builder, evolve(order, rebuild=False), made, cancel, tell)
        return made


def _fill(builder: Builder, order: Order, known: Resolution, cancel: Cancel | None, tell: Tell) -> Image:
    """The image of *known*, which was made elsewhere or is gone from here, brought into this builder's place."""
    from coopery.flights.whereabouts import whereabouts
    from coopery.stages.make import make

    where = whereabouts(builder.home.root, builder.place.name, make=True)

    def look() -> Image | None:
        here = _look(builder, order, known.generation)
        return here if isinstance(here, Image) else None

    def build(guard: Guard) -> Image:
        return make(builder, order, guard)

    return builder.flight.run(f"{known.image} in {where}", _owner(), look, build, tell, cancel)


def _had(builder: Builder, order: Order, refusal: CooperyError, cancel: Cancel | None, tell: Tell) -> Image:
    """The image of *order*, made elsewhere and brought here; where nobody has it, *refusal*: why it is not built."""
    known = None if order.rebuild else _look(builder, order, 1)
    if isinstance(known, Image):
        return known
    if known is None or not builder.home.writable:
        raise refusal
    builder.home.make()
    image = fill(builder, known, cancel, tell)
    if image is None:
        raise refusal
    return image


def fill(builder: Builder, known: Resolution, cancel: Cancel | None = None, tell: Tell | None = None) -> Image | None:
    """The image of *known* in this builder's place: there, or brought; None where it is nowhere to be had.

    Raises:
        BackendError, CacheError: the place or the disk refused.
    """
    from coopery.engines.transfer import Nowhere, must_bring
    from coopery.flights.whereabouts import whereabouts

    def look() -> Image | None:
        return builder.ledger.believe(known)

    def build(guard: Guard) -> Image:
        return must_bring(builder, builder.backend(builder.emit, guard.cancel), known, builder.emit)

    where = whereabouts(builder.home.root, builder.place.name, make=True)
    told = tell or (lambda holder: builder.emit(Waiting(key=known.key, holder=holder)))
    try:
        with use.working(builder.home.root):
            # Not the name of `_fill`'s: who waits there can build, and is not to share our giving up.
            return builder.flight.run(f"{known.image} brought into {where}", _owner(), look, build, told, cancel)
    except Nowhere:
        return None


def _oldest(builder: Builder, order: Order) -> int:
    """The first generation that will do."""
    if not order.rebuild:
        return 1
    before = builder.ledger.resolution(order.key, order.under)
    return before.generation + 1 if before is not None else 1


def _look(builder: Builder, order: Order, oldest: int) -> Image | Resolution | None:
    """The image that is recorded and would do, where it is here; else what is recorded; None: nothing that would do."""
    recorded: Resolution | None = None
    newest = builder.ledger.resolution(order.key, order.under) if order.rebuild else None
    candidates = (newest,) if order.rebuild else builder.ledger.known(order.key, order.under)
    for known in candidates:
        if known is not None and order.accepts(known) and known.generation >= oldest:
            if (image := builder.ledger.believe(known)) is not None:
                return image
            recorded = recorded or known
    return recorded


def _owner() -> str:
    return f"{records.writer()} pid {os.getpid()}"
