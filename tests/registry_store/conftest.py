"""The registry store, on a registry in this process and on real ones, which are open or ask for a password."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
from fake_registry import FakeRegistry
from registry_logins import CANARY
from scripted_server import FakeClock
from store_opener import Opener

from real_registry import RealRegistry, real_registry

LOGIN = ("me", CANARY)


@pytest.fixture(autouse=True)
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Nobody's logins; when called with a host, that one's."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)

    def add(host: str) -> None:
        auth = base64.b64encode(":".join(LOGIN).encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    (tmp_path / "config.json").write_text("{}")
    return add


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def open_fake(fake: FakeRegistry, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(fake.host, tmp_path / "home", clock=FakeClock())
    yield opener
    opener.close()


@pytest.fixture(scope="session")
def real_open(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def real_closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with real_registry(tmp_path_factory.mktemp("registry"), login=LOGIN) as running:
        yield running


@pytest.fixture
def open_real(real_open: RealRegistry, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(real_open.host, tmp_path / "home")
    yield opener
    opener.close()


@pytest.fixture
def open_closed(real_closed: RealRegistry, tmp_path: Path, logins: Callable[[str], None]) -> Iterator[Opener]:
    logins(real_closed.host)
    opener = Opener(real_closed.host, tmp_path / "home")
    yield opener
    opener.close()
