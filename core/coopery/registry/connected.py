"""A repository, ready to be asked: settings, credentials and connections put together, and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coopery.events import Emit
from coopery.registry.client import Registry
from coopery.registry.reference import Reference
from coopery.settings import Settings
from coopery.wire.http import Http


@contextmanager
def connected(reference: Reference, settings: Settings, emit: Emit) -> Iterator[Registry]:
    """The repository of *reference*, by the settings and credentials of this user; nothing is asked yet."""
    with Http(settings, emit=emit) as http:
        yield Registry(http, reference, settings, emit=emit)
