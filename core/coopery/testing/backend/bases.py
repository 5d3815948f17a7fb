"""What is asked of a backend before any step: what it says of itself, and bases."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from coopery import digest as _digest
from coopery.backend import Abilities, Examination
from coopery.definition import Base, ContextBase, DockerfileBase, RootfsBase
from coopery.errors import BackendError, BaseError, CooperyError, IntegrityError, UnsupportedError
from coopery.place import Presence
from coopery.testing.backend.desk import Desk
from coopery.testing.backend.ground import Ground

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PLACE = re.compile(r"[a-z][a-z0-9-]*:[^\n]*")
_UNKNOWN = _digest.of_bytes(b"no such image")


class BaseChecks(Ground):
    """What it says of itself, and bases."""

    def test_making_one_touches_nothing(self, desk: Desk) -> None:
        """No file in the cache folder: backends are made whenever their names are listed."""
        before = sorted(desk.workshop.home.rglob("*"))
        assert desk.backend.place.name == desk.backend.place.name
        assert sorted(desk.workshop.home.rglob("*")) == before

    def test_its_names_are_plain(self, desk: Desk) -> None:
        """The backend's name is a word for a command line, the place's begins with a scheme."""
        backend = desk.backend
        assert _NAME.fullmatch(backend.name), f"{backend.name!r} is no name for a backend"
        assert _PLACE.fullmatch(backend.place.name), f"{backend.place.name!r} is no name for a place"
        assert isinstance(backend.abilities, Abilities)

    def test_it_says_that_it_works(self, desk: Desk) -> None:
        """`examine` found the engine by trying it; there is no problem, and nothing is left of the trial."""
        found = desk.backend.examine()
        assert isinstance(found, Examination)
        assert (found.found, found.works, found.problem) == (True, True, "")

    def test_an_engine_that_cannot_be_asked(self, severed: Desk) -> None:
        """`examine` says why and what to do, and raises nothing; whether an image is there is unknown."""
        found = severed.backend.examine()
        assert not found.works
        assert found.problem
        assert found.remedy
        assert severed.backend.place.exists(_UNKNOWN, _UNKNOWN) is Presence.UNKNOWN

    def test_putting_an_image_into_an_engine_that_cannot_be_asked(self, severed: Desk) -> None:
        """It is an error of ours; where it is the engine's, it names the backend and says what to do."""
        image, new = severed.image(severed.base())
        with pytest.raises(CooperyError) as caught:
            severed.put(image, new, "coopery-kit")
        if isinstance(caught.value, BackendError):
            assert caught.value.backend == severed.backend.name
            assert caught.value.remedy

    def test_a_base_is_fetched(self, desk: Desk) -> None:
        """Config and layers are core's own; its blobs are here, its files can be seen; a second time gives the same."""
        base = desk.base()
        assert base.backend == desk.backend.name
        assert len(base.layers) == 1
        document = json.loads(base.config)
        assert f"{document['os']}/{document['architecture']}" == desk.platform
        assert [desk.workshop.blobs.size(layer.digest) for layer in base.layers] == [base.layers[0].size]
        assert desk.text(base, "/srv/kept") == "from the base\n"
        assert desk.backend.files(base).lstat("/srv/none") is None
        assert desk.base() == base

    def test_a_base_for_another_platform_is_refused(self, desk: Desk) -> None:
        """The platform that is asked for is the config's, or it is an error."""
        other = "linux/s390x"
        try:
            base = desk.backend.fetch_base(desk.seal().base, other)
        except (BaseError, UnsupportedError):
            return
        document = json.loads(base.config)
        assert f"{document['os']}/{document['architecture']}" == other

    def test_a_base_that_changed_since_the_key_is_refused(self, desk: Desk) -> None:
        """The key names bytes; others are never taken for them."""
        sealed = desk.seal()
        with (desk.folder / "root.tar").open("ab") as file:
            file.write(b"\0" * 1024)
        with pytest.raises(IntegrityError):
            desk.backend.fetch_base(sealed.base, desk.platform)

    def test_a_base_that_is_damaged_is_refused(self, desk: Desk) -> None:
        """It is one of our errors, of whatever kind."""
        (desk.folder / "root.tar").write_bytes(b"no tar at all\n" * 100)
        with pytest.raises(CooperyError):
            desk.base()

    @pytest.mark.parametrize(
        ("make", "place"),
        [(lambda: DockerfileBase("Dockerfile"), "$.base.dockerfile"), (lambda: ContextBase("."), "$.base.context")],
        ids=["dockerfile", "context"],
    )
    def test_bases_that_it_does_not_declare(self, desk: Desk, make: Callable[[], Base], place: str) -> None:
        """A Dockerfile is refused by name, where it cannot be built."""
        if desk.backend.abilities.dockerfile:
            pytest.skip("it declares that it builds Dockerfiles")
        (desk.folder / "Dockerfile").write_text("FROM scratch\n")
        with pytest.raises(UnsupportedError) as caught:
            desk.backend.fetch_base(desk.seal(base=make()).base, desk.platform)
        assert (caught.value.backend, caught.value.ability) == (desk.backend.name, "dockerfile")
        assert caught.value.needed_by == place

    def test_a_base_is_named_by_its_content_alone(self, desk: Desk) -> None:
        """The same file under a name with every odd sign gives the same snapshot."""
        odd = "-odd name\n\t'\"$(id);ü.tar"
        (desk.folder / odd).write_bytes((desk.folder / "root.tar").read_bytes())
        sealed = desk.seal(base=RootfsBase(odd))
        assert desk.backend.fetch_base(sealed.base, desk.platform) == desk.base()
