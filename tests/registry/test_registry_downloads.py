"""Blobs on their way to us, from a registry and its mirror."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from attrs import evolve
from fake_registry import FakeRegistry
from registry_logins import credentials
from scripted_server import RESET, FakeClock, Reply, Server

from coopery.blobs import BlobStore
from coopery.digest import Digest, of_bytes
from coopery.errors import BaseError, IntegrityError, NetworkError, UsageError
from coopery.events import Event, Warned
from coopery.layer import Layer
from coopery.oci import media
from coopery.oci.intake import take
from coopery.registry import Reference, Registry
from coopery.registry.mirrors import mirror_of
from coopery.settings import Settings
from coopery.wire.http import Http
from soak import rounds

DATA = random.Random(3).randbytes(60_000)


def whole(repository: Registry, digest: Digest) -> bytes:
    with repository.source().open(digest) as file:
        return b"".join(iter(lambda: file.read(10_000), b""))


def test_a_blob(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_blob(DATA)
    assert whole(repository, of_bytes(DATA)) == DATA
    assert len(fake.requests) == 1


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("seed", range(rounds(10, 100)))
def test_cut_anywhere_it_goes_on(fake: FakeRegistry, repository: Registry, ranges: bool, seed: int) -> None:
    fake.ranges = ranges
    fake.add_blob(DATA)
    chance = random.Random(seed)
    cuts = [chance.randrange(1, 20_000) for _ in range(3)]
    for cut in cuts:
        fake.fault("GET", change=lambda reply, cut=cut: evolve(reply, cut=min(cut, len(reply.body))))
    assert whole(repository, of_bytes(DATA)) == DATA
    asked = [request.headers.get("range") for request in fake.requests]
    assert asked[0] is None
    assert len(asked) == 4
    if ranges:
        assert asked[1] == f"bytes={cuts[0]}-"


def test_refused_between_the_pieces(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_blob(DATA)
    for plan in ({"change": lambda reply: evolve(reply, cut=30_000)}, {"reply": RESET}, {"reply": Reply(503)}):
        fake.fault("GET", **plan)
    assert whole(repository, of_bytes(DATA)) == DATA


def test_five_times_without_a_byte(fake: FakeRegistry, repository: Registry, clock: FakeClock) -> None:
    fake.add_blob(DATA)
    fake.fault("GET", change=lambda reply: evolve(reply, cut=0), times=1000)
    with pytest.raises(NetworkError, match="tried 5 times"):
        whole(repository, of_bytes(DATA))
    assert len(fake.requests) == 5
    assert clock.now <= 60


@pytest.mark.slow
def test_a_large_blob_may_break_off_more_often(fake: FakeRegistry, repository: Registry) -> None:
    data = random.Random(1).randbytes(9 << 20)
    fake.add_blob(data)
    fake.fault("GET", change=lambda reply: evolve(reply, cut=min(len(reply.body), 1_100_000)), times=1000)
    assert whole(repository, of_bytes(data)) == data
    assert len(fake.requests) == 9


def test_another_part_than_was_asked_for(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_blob(DATA)
    fake.fault("GET", change=lambda reply: evolve(reply, cut=1000))
    wrong = {"Content-Range": f"bytes 5000-{len(DATA) - 1}/{len(DATA)}"}
    fake.fault("GET", change=lambda reply: evolve(reply, headers=wrong))
    with pytest.raises(NetworkError, match="another part"):
        whole(repository, of_bytes(DATA))


def test_a_blob_that_shrank_meanwhile(fake: FakeRegistry, repository: Registry) -> None:
    fake.ranges = False
    fake.add_blob(DATA)
    fake.fault("GET", change=lambda reply: evolve(reply, cut=1000))
    fake.fault("GET", change=lambda reply: evolve(reply, body=b"short"))
    with pytest.raises(NetworkError, match="shorter"):
        whole(repository, of_bytes(DATA))


def test_where_a_registry_sends_us_to_its_storage(fake: FakeRegistry, careless: Registry, elsewhere: Server) -> None:
    """PROMISES 37: the storage's URL is signed; our login is none of its business."""
    fake.add_blob(DATA)
    fake.fault("blobs", change=lambda _: Reply(307, headers={"Location": f"{elsewhere.url}/signed?sig=1"}), after=1)
    elsewhere.script = lambda _: Reply(body=DATA)
    assert whole(careless, of_bytes(DATA)) == DATA
    assert len(elsewhere.requests) == 1
    assert elsewhere.sent("Authorization") == []


def test_storage_that_asks_for_a_login_gets_none(fake: FakeRegistry, careless: Registry, elsewhere: Server) -> None:
    fake.add_blob(DATA)
    fake.fault("blobs", change=lambda _: Reply(307, headers={"Location": elsewhere.url}), times=9)
    for challenge in ('Basic realm="x"', f'Bearer realm="{elsewhere.url}/token"'):
        elsewhere.script = lambda _, challenge=challenge: Reply(401, headers={"WWW-Authenticate": challenge})
        with pytest.raises(NetworkError, match="401"):
            whole(careless, of_bytes(DATA))
    assert elsewhere.sent("Authorization") == []
    assert {request.path for request in elsewhere.requests} == {"/"}


def _take(repository: Registry, data: bytes, blobs: BlobStore) -> None:
    take(repository.source(), Layer(of_bytes(data), of_bytes(data), len(data)), blobs)


BAD = {
    "shortened": lambda reply: evolve(reply, body=reply.body[:-1]),
    "extended": lambda reply: evolve(reply, body=reply.body + b"x"),
    "other bytes": lambda reply: evolve(reply, body=reply.body[:-1] + b"x"),
    "nothing": lambda reply: evolve(reply, body=b""),
    "always cut": lambda reply: evolve(reply, cut=min(10, len(reply.body))),
    "longer than stated": lambda reply: evolve(reply, headers={"Content-Length": "59999"}),
    "shorter than stated": lambda reply: evolve(reply, headers={"Content-Length": "60001"}, cut=60_000),
    "gzip": lambda reply: evolve(reply, headers={"Content-Encoding": "gzip"}),
    "an error page": lambda _: Reply(200, b"<html>try later</html>"),
    "refused": lambda _: Reply(403),
    "gone": lambda _: Reply(404),
    "down": lambda _: Reply(502),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_layer_is_never_kept(fake: FakeRegistry, repository: Registry, tmp_path: Path, how: str) -> None:
    """PROMISES 20: an error, and nothing in the store. A later try finds the right bytes."""
    fake.add_blob(DATA)
    fault = fake.fault("blobs", change=BAD[how], times=1000)
    blobs = BlobStore(tmp_path / "blobs", tmp_path / "staging")
    with pytest.raises((IntegrityError, NetworkError, BaseError)):
        _take(repository, DATA, blobs)
    assert blobs.size(of_bytes(DATA)) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "config.json"] == []
    fault.times = 0
    _take(repository, DATA, blobs)
    assert blobs.size(of_bytes(DATA)) == len(DATA)


# Mirrors


@pytest.fixture
def mirrored(fake: FakeRegistry, tmp_path: Path, clock: FakeClock) -> tuple[FakeRegistry, Registry, list[Event]]:
    """A mirror, the repository that is read through it, and what is told meanwhile."""
    mirror = FakeRegistry("127.0.0.2")
    told: list[Event] = []
    settings = Settings(home=tmp_path, registries={fake.host: f"{mirror.host}/cache"})
    http = Http(settings, clock=clock, emit=told.append)
    repository = Registry(http, f"{fake.host}/team/app", settings, credentials(tmp_path, {}), emit=told.append)
    with mirror:
        yield mirror, repository, told
        http.close()


Mirrored = tuple[FakeRegistry, Registry, list[Event]]
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": media.MANIFEST,
    "config": {"mediaType": media.CONFIG, "digest": of_bytes(b""), "size": 0},
    "layers": [],
}


def test_a_mirror_is_asked_first(fake: FakeRegistry, mirrored: Mirrored) -> None:
    mirror, repository, told = mirrored
    mirror.add_blob(DATA, "cache/team/app")
    digest = mirror.add_manifest(MANIFEST, media.MANIFEST, "v1", "cache/team/app")
    assert whole(repository, of_bytes(DATA)) == DATA
    assert repository.manifest("v1")[0].digest == digest
    assert (fake.requests, told) == ([], [])


def test_what_a_mirror_does_not_have_comes_from_the_registry(fake: FakeRegistry, mirrored: Mirrored) -> None:
    mirror, repository, told = mirrored
    fake.add_blob(DATA)
    digest = fake.add_manifest(MANIFEST, media.MANIFEST, "v1")
    assert whole(repository, of_bytes(DATA)) == DATA
    assert repository.manifest("v1")[0].digest == digest
    assert len(mirror.requests) == 2
    assert [
        mirror.host in event.message and fake.host in event.message for event in told if isinstance(event, Warned)
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize("plan", [{"reply": RESET}, {"reply": Reply(500)}, {"reply": Reply(401)}])
def test_a_mirror_that_is_down(fake: FakeRegistry, mirrored: Mirrored, plan: dict[str, Reply]) -> None:
    mirror, repository, told = mirrored
    mirror.fault("", times=1000, **plan)
    fake.add_blob(DATA)
    assert whole(repository, of_bytes(DATA)) == DATA
    assert sum(isinstance(event, Warned) for event in told) == 1


def test_a_mirror_that_breaks_off_is_gone_on_with_at_the_registry(fake: FakeRegistry, mirrored: Mirrored) -> None:
    mirror, repository, _ = mirrored
    mirror.add_blob(DATA, "cache/team/app")
    fake.add_blob(DATA)
    mirror.fault("GET", change=lambda reply: evolve(reply, cut=20_000))
    mirror.fault("GET", reply=RESET, times=1000)
    assert whole(repository, of_bytes(DATA)) == DATA
    assert [request.headers["range"] for request in fake.requests] == ["bytes=20000-"]


def test_a_mirror_with_other_content_is_refused(fake: FakeRegistry, mirrored: Mirrored, tmp_path: Path) -> None:
    mirror, repository, _ = mirrored
    mirror.blobs["cache/team/app", of_bytes(DATA)] = DATA[:-1] + b"?"
    mirror.manifests["cache/team/app", of_bytes(b"x")] = (media.MANIFEST, b"y")
    blobs = BlobStore(tmp_path / "blobs", tmp_path / "staging")
    with pytest.raises(IntegrityError, match=mirror.host):
        _take(repository, DATA, blobs)
    with pytest.raises(IntegrityError, match=mirror.host):
        repository.manifest(of_bytes(b"x"))
    assert blobs.size(of_bytes(DATA)) is None


def test_a_mirror_is_never_pushed_to_nor_asked_what_is_there(fake: FakeRegistry, mirrored: Mirrored) -> None:
    mirror, repository, _ = mirrored
    from test_registry_uploads import opener

    repository.check_push()
    repository.has_blob(of_bytes(DATA))
    repository.upload(of_bytes(DATA), len(DATA), opener(DATA))
    repository.put_manifest(b'{"schemaVersion":2}', media.MANIFEST, "v1")
    repository.head("v1")
    repository.tags()
    assert mirror.requests == []


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("mirror.example", "mirror.example/library/debian"),
        ("mirror:5000/", "mirror:5000/library/debian"),
        ("mirror.example/hub/x", "mirror.example/hub/x/library/debian"),
        ("Mirror.example", "mirror.example/library/debian"),
        ("[::1]:5000", "[::1]:5000/library/debian"),
    ],
)
def test_names_of_mirrors(tmp_path: Path, setting: str, name: str) -> None:
    found = mirror_of(
        Reference("docker.io", "library/debian", "12"), Settings(home=tmp_path, registries={"docker.io": setting})
    )
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("setting", ["https://mirror", "me:canary@mirror", "mirror:port", "/x", "a b", "mirror/../x"])
def test_what_is_no_mirror(tmp_path: Path, setting: str) -> None:
    settings = Settings(home=tmp_path, registries={"docker.io": setting})
    with pytest.raises(UsageError, match=r"docker\.io") as caught:
        mirror_of(Reference("docker.io", "library/debian", "12"), settings)
    assert "canary" not in str(caught.value)
