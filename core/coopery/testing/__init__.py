"""Contract kits: what a plugin must satisfy, as tests. An author subclasses one and writes its one fixture.

    from coopery.testing import CacheContract

    class TestMyCache(CacheContract):
        @pytest.fixture
        def open_cache(self, tmp_path):
            return lambda: MyCache(tmp_path)

Needs pytest. Nothing in core imports this package.
"""

import pytest

pytest.register_assert_rewrite(
    "coopery.testing.backend",
    "coopery.testing.cache_contract",
    "coopery.testing.leases_contract",
    "coopery.testing.materializer",
    "coopery.testing.scene",
    "coopery.testing.store_contract",
)

from coopery.testing.backend_contract import BackendContract  # noqa: E402 - as below
from coopery.testing.cache_contract import CacheContract  # noqa: E402 - asserts are rewritten only in later imports
from coopery.testing.leases_contract import LeasesContract  # noqa: E402 - as above
from coopery.testing.materializer.scene import MaterializerScene  # noqa: E402 - as above
from coopery.testing.materializer_contract import MaterializerContract  # noqa: E402 - as above
from coopery.testing.memory import MemoryCache  # noqa: E402 - as above
from coopery.testing.store_contract import StorePromises  # noqa: E402 - as above

__all__ = [
    "BackendContract",
    "CacheContract",
    "LeasesContract",
    "MaterializerContract",
    "MaterializerScene",
    "MemoryCache",
    "StorePromises",
]
