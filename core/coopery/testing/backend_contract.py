"""What every backend must do. Subclass `BackendContract`, write the fixture ``open_backend``, and run pytest.

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def open_backend(self):
            return MyBackend

        @pytest.fixture
        def leaks(self):
            return lambda: my_engine_lists_its_containers()

What a backend does not declare among its abilities is not asked of it, but that it be refused by name. The tests need
no network: their base is made of this machine's own shell (`coopery.testing.backend.root`).
"""

from __future__ import annotations

from coopery.testing.backend.bases import BaseChecks
from coopery.testing.backend.images import ImageChecks
from coopery.testing.backend.runs import RunChecks
from coopery.testing.backend.steps import StepChecks


class BackendContract(BaseChecks, StepChecks, RunChecks, ImageChecks):
    """Bases, steps, images: results, errors and their fields, hostile names, repeats, interrupts, leaks.

    After each test nothing may be left in staging, mounted, running, or in the engine.

    Fixtures: ``open_backend`` is what an author writes. ``unreachable``, ``leaks`` and ``root`` may be overridden, and
    so may the attributes ``runs_images`` and ``patience``; see `coopery.testing.backend.ground.Ground`.
    """
