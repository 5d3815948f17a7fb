"""What a Dockerfile is offered to mount: the secrets that the definition names, and the CA bundle of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.errors import UsageError
from coopery.snapshots.secret_files import CA_BUNDLE, of_dockerfile

PLACE = "$.build.secrets"


@pytest.fixture
def behind(workshop: Workshop, tmp_path: Path) -> Workshop:
    """A workshop whose settings name a CA bundle, and which was given a secret."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"authority")
    settings = evolve(workshop.settings, ca_bundle=str(bundle))
    return evolve(workshop, settings=settings, secrets={"token": b"canary", CA_BUNDLE: b"own"})


def test_the_bundle_of_the_settings_is_offered(behind: Workshop) -> None:
    with of_dockerfile(behind, ("token",), PLACE) as files:
        assert {name: path.read_bytes() for name, path in files.items()} == {
            CA_BUNDLE: b"authority",
            "token": b"canary",
        }
        assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert not any(path.exists() for path in files.values())


def test_a_secret_of_that_name_is_taken_instead(behind: Workshop) -> None:
    with of_dockerfile(behind, (CA_BUNDLE,), PLACE) as files:
        assert files[CA_BUNDLE].read_bytes() == b"own"


def test_without_a_bundle_there_is_none(workshop: Workshop) -> None:
    with of_dockerfile(workshop, (), PLACE) as files:
        assert files == {}


def test_a_bundle_that_cannot_be_read_is_named(behind: Workshop, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").unlink()
    with pytest.raises(UsageError, match=r"ca_bundle: .*bundle\.pem cannot be read"), of_dockerfile(behind, (), PLACE):
        pass
