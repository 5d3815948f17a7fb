"""Against a real registry (distribution 2.8): open, and with a password."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registry_logins import CANARY, credentials
from test_registry_uploads import opener

from coopery.digest import of_bytes
from coopery.errors import NetworkError
from coopery.image import encode
from coopery.oci import media
from coopery.registry import Registry, upload
from coopery.settings import Settings
from coopery.wire.http import Http
from real_registry import RealRegistry, real_registry

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]
LOGIN = ("me", CANARY)


@pytest.fixture(scope="module", params=["open", "with a password"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    login = LOGIN if request.param != "open" else None
    with real_registry(tmp_path_factory.mktemp("registry"), login=login) as running:
        yield running


@pytest.fixture
def repository(real: RealRegistry, tmp_path: Path) -> Iterator[Registry]:
    settings = Settings(home=tmp_path)
    with Http(settings) as http:
        yield Registry(http, f"{real.host}/team/app", settings, credentials(tmp_path, {real.host: LOGIN}))


@pytest.mark.parametrize("size", [0, 1, 100_000, 5 << 20])
def test_blobs_go_and_come(repository: Registry, size: int) -> None:
    data = random.Random(size).randbytes(size)
    repository.check_push()
    assert repository.upload(of_bytes(data), size, opener(data)) is True
    assert repository.upload(of_bytes(data), size, opener(data)) is False
    with repository.source().open(of_bytes(data)) as file:
        assert b"".join(iter(lambda: file.read(1 << 20), b"")) == data


def test_chunks(repository: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK", 1 << 20)
    data = random.Random(4).randbytes((6 << 20) + 17)
    repository.upload(of_bytes(data), len(data), opener(data))
    assert repository.has_blob(of_bytes(data)) == len(data)


def test_a_connection_that_breaks_in_the_middle(repository: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third chunk's connection is cut by us after half of it: the registry keeps that half, and we go on there."""
    monkeypatch.setattr(upload, "CHUNK", 2 << 20)
    data = random.Random(5).randbytes(9 << 20)
    broken = []

    class Breaking(upload._Piece):
        def read(self, size: int = -1, /) -> bytes:
            piece = super().read(size)
            if self._file._left < (4 << 20) and not broken:
                broken.append(True)
                raise NetworkError(repository.name, "cut by the test", transient=True)
            return piece

    monkeypatch.setattr(upload, "_Piece", Breaking)
    assert repository.upload(of_bytes(data), len(data), opener(data)) is True
    assert broken
    assert repository.has_blob(of_bytes(data)) == len(data)


def test_manifests_tags_referrers_mounts(repository: Registry, real: RealRegistry) -> None:
    config = b"{}"
    repository.upload(of_bytes(config), len(config), opener(config))
    described = {"mediaType": media.CONFIG, "digest": of_bytes(config), "size": len(config)}
    manifest = encode({"schemaVersion": 2, "mediaType": media.MANIFEST, "config": described, "layers": []})
    digest = repository.put_manifest(manifest, media.MANIFEST, "v1")
    assert repository.manifest("v1") == repository.manifest(digest)
    assert repository.head("v1") == repository.head(digest)
    assert repository.head("v2") is None
    subject = {"mediaType": media.MANIFEST, "digest": digest, "size": len(manifest)}
    note = encode(
        {
            "schemaVersion": 2,
            "mediaType": media.MANIFEST,
            "artifactType": "application/vnd.example.note",
            "config": described,
            "layers": [],
            "subject": subject,
        }
    )
    noted = repository.put_manifest(note, media.MANIFEST)
    assert [found.digest for found in repository.referrers(digest)] == [noted]
    assert set(repository.tags()) >= {"v1", digest.replace(":", "-")}
    assert repository.delete_manifest(digest) is True
    assert repository.head("v1") is None


def test_a_mount_moves_no_bytes(repository: Registry, real: RealRegistry, tmp_path: Path) -> None:
    data = random.Random(6).randbytes(50_000)
    repository.upload(of_bytes(data), len(data), opener(data))
    settings = Settings(home=tmp_path)
    with Http(settings) as http:
        other = Registry(http, f"{real.host}/other/app", settings, credentials(tmp_path, {real.host: LOGIN}))
        assert other.mount(of_bytes(data), "team/app") is True
        assert other.upload(of_bytes(data), len(data), opener(data)) is False


def test_several_at_once(repository: Registry) -> None:
    blobs = [random.Random(seed).randbytes(300_000) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda data: repository.upload(of_bytes(data), len(data), opener(data)), blobs))
    assert all(sent)
    assert all(repository.has_blob(of_bytes(data)) == len(data) for data in blobs)


def test_a_wrong_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with real_registry(tmp_path / "registry", login=("me", "right")) as real, Http(settings) as http:
        registry = Registry(http, f"{real.host}/a", settings, credentials(tmp_path, {real.host: LOGIN}))
        with pytest.raises(NetworkError) as caught:
            registry.check_push()
    assert (caught.value.status, caught.value.attempts, caught.value.exit_code) == (401, 1, 8)
    assert real.host in str(caught.value)
    assert CANARY not in str(caught.value)
