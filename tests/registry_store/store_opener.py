"""Opens the registry store in a repository of its own, as often as a test asks."""

from __future__ import annotations

import uuid
from pathlib import Path

from attrs import define, field

from coopery.registry.reference import Reference
from coopery.settings import Settings
from coopery.stores.registry import RegistryCache
from coopery.wire.clock import SYSTEM, Clock


@define
class Opener:
    """Opens the store in one repository anew each time; ``said`` is what all of them told people."""

    host: str
    home: Path
    repository: str = field(factory=lambda: f"team/{uuid.uuid4().hex}")
    said: list[str] = field(factory=list)
    opened: list[RegistryCache] = field(factory=list)
    clock: Clock = SYSTEM

    def __call__(self, **options: object) -> RegistryCache:
        settings = Settings(home=self.home)
        reference = Reference(self.host, self.repository)
        store = RegistryCache(reference, self.said.append, settings=lambda: settings, clock=self.clock, **options)  # type: ignore[arg-type]
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()
