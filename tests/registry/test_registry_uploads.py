"""Blobs on their way to a registry that breaks off, forgets, and turns away."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from attrs import evolve
from fake_registry import FakeRegistry
from scripted_server import FakeClock, Reply, Server

from coopery.digest import of_bytes
from coopery.errors import IntegrityError, NetworkError
from coopery.image import encode
from coopery.oci import media
from coopery.registry import Registry, upload

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

DATA = random.Random(7).randbytes(40_000)
DIGEST = of_bytes(DATA)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 9,000 bytes, so that 40,000 make five."""
    monkeypatch.setattr(upload, "SMALL", 100)
    monkeypatch.setattr(upload, "CHUNK", 9_000)


def opener(data: bytes = DATA) -> Callable[[], contextmanager[io.BytesIO]]:  # type: ignore[type-arg]  # a factory of contexts
    @contextmanager
    def opened() -> Iterator[io.BytesIO]:
        yield io.BytesIO(data)

    return opened  # type: ignore[return-value]  # contextmanager's own type


def test_a_small_blob_is_one_put(fake: FakeRegistry, repository: Registry) -> None:
    assert repository.upload(DIGEST, len(DATA), opener()) is True
    assert repository.upload(DIGEST, len(DATA), opener()) is False
    assert repository.has_blob(DIGEST) == len(DATA)
    assert [request.method for request in fake.requests] == ["HEAD", "POST", "PUT", "HEAD", "HEAD"]
    assert fake.uploads == {}


@pytest.mark.usefixtures("small_chunks")
def test_a_large_blob_goes_in_chunks(fake: FakeRegistry, repository: Registry) -> None:
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs["team/app", DIGEST] == DATA
    assert [request.headers["content-range"] for request in fake.asked("PATCH")] == [
        "0-8999", "9000-17999", "18000-26999", "27000-35999", "36000-39999",
    ]  # fmt: skip


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_cut_at_random_offsets_it_goes_on(
    fake: FakeRegistry, repository: Registry, clock: FakeClock, count: int
) -> None:
    """PROMISES 22: the digest is right, nothing that had arrived is sent again, and the tag moves once."""
    config = {"mediaType": media.CONFIG, "digest": DIGEST, "size": len(DATA)}
    manifest = encode({"schemaVersion": 2, "mediaType": media.MANIFEST, "config": config, "layers": []})
    for seed in range(count):
        for kept in (fake.blobs, fake.requests, fake.tags_put, clock.slept):
            kept.clear()
        chance = random.Random(seed)
        chunk, within = divmod(chance.randrange(len(DATA)), 9_000)
        times = chance.choice((1, 1, 2, 3))
        fake.fault("PATCH", cut=within, after=chunk, times=times)
        assert repository.upload(DIGEST, len(DATA), opener()) is True
        repository.put_manifest(manifest, media.MANIFEST, "v1")
        assert fake.blobs == {("team/app", DIGEST): DATA}
        assert fake.tags_put == ["v1"]
        assert 1 <= len(clock.slept) <= times
        whole = [request for request in fake.asked("PATCH") if request.body]
        assert sum(len(request.body) for request in whole) + within * len(clock.slept) >= len(DATA) - 9_000
        assert sum(len(request.body) for request in whole) <= len(DATA)
        fake.faults.clear()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("lost", ["PATCH", "PUT", "POST"])
@pytest.mark.parametrize("nth", [0, 2])
def test_an_answer_that_is_lost(fake: FakeRegistry, repository: Registry, lost: str, nth: int) -> None:
    fake.fault(f"{lost} .*uploads", lost=True, after=nth if lost == "PATCH" else 0)
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}
    assert sum(len(request.body) for request in fake.asked("PATCH")) == len(DATA)


def test_a_lost_answer_to_a_small_blob(fake: FakeRegistry, repository: Registry) -> None:
    fake.fault("PUT", lost=True)
    repository.upload(DIGEST, len(DATA), opener())
    assert len(fake.asked("PUT")) == 1


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("what", "status"),
    [
        *((what, status) for what in ("PATCH", "PUT", "GET|PATCH") for status in (404, 416, 400, 500, 503, 429)),
        *(("POST", status) for status in (500, 503, 429)),  # one that begins no upload for another reason means it
    ],
)
def test_refused_once(fake: FakeRegistry, repository: Registry, what: str, status: int) -> None:
    fake.fault(f"({what}) .*uploads", reply=Reply(status), after=0 if what in ("PUT", "POST") else 2)
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}


@pytest.mark.usefixtures("small_chunks")
def test_an_upload_that_the_registry_forgot_begins_anew(fake: FakeRegistry, repository: Registry) -> None:
    def forget(reply: Reply) -> Reply:
        fake.uploads.clear()
        return reply

    fake.fault("PATCH", change=forget, after=2)
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}
    assert len(fake.asked("POST")) == 2


@pytest.mark.usefixtures("small_chunks")
def test_a_registry_that_loses_a_part_is_noticed(fake: FakeRegistry, repository: Registry) -> None:
    def lose(reply: Reply) -> Reply:
        (begun,) = fake.uploads.values()
        del begun[5_000:]
        return evolve(reply, headers={**reply.headers, "Range": "0-4999"})

    fake.fault("PATCH", change=lose, after=1)
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("what", ["PATCH", "PUT", "POST"])
@pytest.mark.parametrize("status", [500, 503])
def test_refused_always(fake: FakeRegistry, repository: Registry, clock: FakeClock, what: str, status: int) -> None:
    fake.fault(f"{what} .*uploads", reply=Reply(status), times=1000)
    with pytest.raises(NetworkError) as caught:
        repository.upload(DIGEST, len(DATA), opener())
    assert caught.value.status == status
    assert len(fake.asked(f"{what} .*uploads")) == 5
    assert clock.now <= 60
    assert fake.blobs == {}


@pytest.mark.usefixtures("small_chunks")
def test_cut_always(fake: FakeRegistry, repository: Registry) -> None:
    fake.fault("PATCH", cut=0, times=1000)
    with pytest.raises(NetworkError):
        repository.upload(DIGEST, len(DATA), opener())
    assert len(fake.asked("PATCH")) == 5


@pytest.mark.usefixtures("small_chunks")
def test_cut_often_but_going_on(fake: FakeRegistry, repository: Registry) -> None:
    fake.fault("PATCH", cut=1_500, times=1000)
    repository.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}
    assert len(fake.asked("PATCH")) == -(-len(DATA) // 1_500)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("wrong", [DATA[:-1], DATA[:-1] + b"?", b"", DATA + b"?"])
def test_other_bytes_than_were_promised(
    fake: FakeRegistry, repository: Registry, monkeypatch: pytest.MonkeyPatch, chunked: bool, wrong: bytes
) -> None:
    if chunked:
        monkeypatch.setattr(upload, "SMALL", 100)
        monkeypatch.setattr(upload, "CHUNK", 9_000)
    if wrong == DATA + b"?":  # what is behind the stated size is not read: it is no part of the blob
        repository.upload(DIGEST, len(DATA), opener(wrong))
        assert fake.blobs["team/app", DIGEST] == DATA
        return
    with pytest.raises(IntegrityError, match="other bytes"):
        repository.upload(DIGEST, len(DATA), opener(wrong))
    assert fake.blobs == {}


def test_an_empty_blob(fake: FakeRegistry, repository: Registry) -> None:
    assert repository.upload(of_bytes(b""), 0, opener(b"")) is True
    assert fake.blobs == {("team/app", of_bytes(b"")): b""}


def test_mounting(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_blob(DATA, "team/base")
    assert repository.mount(DIGEST, "team/base") is True
    assert repository.has_blob(DIGEST) == len(DATA)
    assert repository.mount(of_bytes(b"other"), "team/base") is False
    assert fake.uploads == {}, "an upload that was begun instead is given up"


def test_the_right_to_push_is_tried_and_leaves_nothing(fake: FakeRegistry, repository: Registry) -> None:
    repository.check_push()
    assert [request.method for request in fake.requests] == ["POST", "DELETE"]
    assert fake.uploads == {}
    fake.fault("DELETE", reply=Reply(405))
    repository.check_push()


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_no_right_to_push(fake: FakeRegistry, repository: Registry, status: int) -> None:
    fake.fault("POST", reply=Reply(status), times=9)
    with pytest.raises(NetworkError) as caught:
        repository.check_push()
    assert caught.value.status == status
    assert len(fake.requests) == 1
    assert fake.host in str(caught.value)
    if status in (401, 403):
        assert f"docker login {fake.host}" in caught.value.remedy


@pytest.mark.parametrize(
    ("location", "said"),
    [("", "no Location"), ("file:///etc/passwd", "no URL"), ("http://a b/", "no URL"), ("//:0/", "no URL")],
)
def test_an_upload_that_leads_nowhere(fake: FakeRegistry, repository: Registry, location: str, said: str) -> None:
    fake.fault("POST", change=lambda reply: evolve(reply, headers={"Location": location}), times=9)
    with pytest.raises(NetworkError, match=said):
        repository.upload(DIGEST, len(DATA), opener())


def test_bytes_may_go_to_storage_elsewhere_but_no_login(
    fake: FakeRegistry, careless: Registry, elsewhere: Server
) -> None:
    fake.fault("POST", change=lambda reply: evolve(reply, headers={"Location": f"{elsewhere.url}/up?sig=1"}))
    elsewhere.script = lambda _: Reply(201)
    careless.upload(DIGEST, len(DATA), opener())
    assert [request.path.partition("&")[0] for request in elsewhere.requests] == ["/up?sig=1"]
    assert elsewhere.sent("Authorization") == []
