"""What every materializer must do. Subclass `MaterializerContract`, write the fixture ``scene``, and run pytest.

    class TestMyMaterializer(MaterializerContract):
        @pytest.fixture
        def scene(self, tmp_path):
            make_a_small_index(tmp_path / "index")
            return MaterializerScene(
                MyMaterializer,
                content=Section(["a"]), other=Section(["b"]), impossible=Section(["no-such-package"]),
                settings={"index_url": (tmp_path / "index").as_uri()},
            )

The index is the author's: a small one in a folder is best. Nothing here needs an engine, and nothing is built.
"""

from __future__ import annotations

from coopery.testing.materializer.resolving import ResolveChecks
from coopery.testing.materializer.trees import TreeChecks


class MaterializerContract(ResolveChecks, TreeChecks):
    """Results, purity, errors, hostile names, the same bytes everywhere, leaks.

    After each test nothing may be left in staging, and no thread or process of the materializer may run.
    """
