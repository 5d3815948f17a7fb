"""Files of other tools, each as small as it can be and still have what real ones have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.errors import LockFileError
from coopery.formats import Imported, Wanted, read


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Imported]:
    """Reads text as a file of a name, for linux/amd64 unless said otherwise."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, text: str | bytes, *, form: str = "", **wanted: object) -> Imported:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(name, Wanted(**{"platform": "linux/amd64", **wanted}), form)  # type: ignore[arg-type]

    return run


@pytest.fixture
def problems(reading: Callable[..., Imported]) -> Callable[..., list[str]]:
    """Reads what must be refused, and gives the mistakes as a person sees them."""

    def run(name: str, text: str | bytes, **wanted: object) -> list[str]:
        with pytest.raises(LockFileError) as caught:
            reading(name, text, **wanted)
        return [str(problem) for problem in caught.value.problems]

    return run
