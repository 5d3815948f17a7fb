"""What ``pytest --coopery-store=URL`` runs: the kits and the promises, on the store of that URL.

Each test works in a namespace of its own, drawn by chance, so that the store need not be empty; what it writes stays.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery.cache import Cache
from coopery.leases import Leases
from coopery.plugins import Plugins
from coopery.stores import leases_of, open_cache
from coopery.stores.namespace import Namespace
from coopery.testing.cache_contract import CacheContract
from coopery.testing.leases_contract import LeasesContract, OpenLeases
from coopery.testing.store_contract import OpenStore, StorePromises

_ROUNDS = 100


def _opened(url: str, home: Path) -> Cache:
    return open_cache(url, home, registered=lambda: Plugins().caches().values())


@pytest.fixture
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Opens a store by its URL, in this test's own namespace; all are closed at the end."""
    name, opened = f"t{uuid.uuid4().hex}", []

    def open_it(url: str) -> Cache:
        opened.append(_opened(url, tmp_path / "home"))
        for ability, there in _abilities(opened[-1]).items():
            request.node.user_properties.append(("coopery_declared", (ability, there)))
        return Namespace(opened[-1], name)

    yield open_it
    for store in opened:
        store.close()


def _abilities(store: Cache) -> dict[str, bool]:
    names = ("compare_and_set", "list", "leases", "history", "writable", "attachments")
    return {name: bool(getattr(store.abilities, name)) for name in names}


@pytest.fixture
def open_store(pytestconfig: pytest.Config, opening: Any) -> OpenStore:
    """The store."""
    url = str(pytestconfig.getoption("coopery_store"))
    return lambda: opening(url)


@pytest.fixture
def open_leases(pytestconfig: pytest.Config, opening: Any) -> OpenLeases:
    """Its leases, or those of ``--coopery-leases``."""
    url = str(pytestconfig.getoption("coopery_leases") or pytestconfig.getoption("coopery_store"))

    def open_it() -> Leases:
        found = leases_of(opening(url))
        return found if found is not None else pytest.skip("this store declares that it has no leases")

    return open_it


class TestRecords(CacheContract):
    """What a cache store must do."""

    @pytest.fixture
    def open_cache(self, open_store: OpenStore) -> OpenStore:
        """The store."""
        return open_store


class TestLeases(LeasesContract):
    """What leases must do."""

    @pytest.fixture
    def open_leases(self, open_leases: OpenLeases) -> OpenLeases:
        """The leases; skipped where there are none."""
        open_leases()
        return open_leases


class TestPromises(StorePromises):
    """What both promise to crowds."""

    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        """The store."""
        return open_store

    @pytest.fixture
    def leases(self, pytestconfig: pytest.Config, opening: Any) -> Leases | None:
        """Its leases, or those of ``--coopery-leases``."""
        url = pytestconfig.getoption("coopery_leases") or pytestconfig.getoption("coopery_store")
        return leases_of(opening(str(url)))

    @pytest.fixture
    def damaged(self, pytestconfig: pytest.Config) -> Iterator[None] | None:
        """Bends the files below ``--coopery-store-files``."""
        top = pytestconfig.getoption("coopery_store_files")
        return _bent(Path(str(top))) if top else None


def _bent(top: Path) -> Iterator[None]:
    """One bit of one file at a time; the files are put back as they were, those that were set aside included."""
    chance = random.Random(14)  # noqa: S311 - which bit is no secret
    whole = {path: path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink()}
    targets = [path for path, data in whole.items() if data]
    for _ in range(_ROUNDS if targets else 0):
        path = chance.choice(targets)
        data = bytearray(whole[path])
        place = chance.randrange(len(data) * 8)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        yield
        for kept, content in whole.items():
            if not kept.exists() or kept.read_bytes() != content:
                mode = 0o600 if not kept.exists() else kept.stat().st_mode & 0o777
                kept.write_bytes(content)
                os.chmod(kept, mode)
