"""The kit on the backend that needs no engine."""

from __future__ import annotations

import pytest

from coopery.testing import BackendContract
from coopery_oci.backend import OciBackend

pytestmark = [pytest.mark.processes]


class TestOci(BackendContract):
    @pytest.fixture
    def open_backend(self):
        return OciBackend
