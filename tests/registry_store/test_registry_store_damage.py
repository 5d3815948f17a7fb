"""What is damaged, hostile or somebody else's is a miss, and is said; what is put then counts again."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import random
from typing import Any

import pytest

from coopery.cache import Record
from coopery.digest import of_bytes
from coopery.errors import CacheError, IntegrityError
from coopery.image import encode
from coopery.oci import media
from coopery.stores.registry import artifact, tags
from soak import rounds

pytestmark = pytest.mark.slow  # together; each is quick
KEY = "ab" * 32


def record(generation: int = 1, written: float = 1.5, text: str = "x") -> Record:
    return Record("resolution", KEY, generation, {"text": text}, "user@host", written)


def manifest(open_fake: Any, fake: Any, tag: str = KEY) -> bytes:
    data: bytes = fake.manifests[open_fake.repository, tag][1]
    return data


def replace(open_fake: Any, fake: Any, data: bytes, tag: str = KEY, kind: str = media.MANIFEST) -> None:
    fake.manifests[open_fake.repository, tag] = (kind, data)


def test_every_flipped_bit_is_a_miss_or_nothing(open_fake, fake):
    """In the manifest, which carries the record: 0 wrong records. The registry says that its digest is that."""
    store = open_fake()
    store.put(record(), 0)
    whole = manifest(open_fake, fake)
    chance = random.Random(19)
    for _ in range(rounds(120, 1_000)):
        place = chance.randrange(len(whole) * 8)
        bent = bytearray(whole)
        bent[place // 8] ^= 1 << place % 8
        replace(open_fake, fake, bytes(bent))
        open_fake.said.clear()
        found = store.get("resolution", KEY)
        assert found in (None, record()), f"bit {place}"  # a bit of an annotation says nothing of the record
        assert len(open_fake.said) == (found is None)


def test_a_digest_that_is_not_that_of_the_bytes(open_fake, fake):
    """A registry's disk that rots: it still says the digest that it once computed."""
    open_fake().put(record(), 0)
    whole = manifest(open_fake, fake)
    fake.fault(
        f"GET .*/manifests/{KEY}",
        times=99,
        change=lambda reply: type(reply)(
            reply.status,
            reply.body.replace(b"user@host", b"user@h0st"),
            {**reply.headers, "Docker-Content-Digest": of_bytes(whole)},
        ),
    )
    assert open_fake().get("resolution", KEY) is None
    assert "its record is damaged and is taken for absent" in open_fake.said[0]


@functools.cache
def bomb() -> bytes:
    return gzip.compress(bytes(65 << 20), 1)


def as_artifact(blob: bytes, **changes: Any) -> bytes:
    made = json.loads(artifact.of_blob(blob, artifact.RECORD, artifact.RECORD_BLOB, {}).manifest)
    return encode({**made, **changes})


def fields(**changes: Any) -> bytes:
    sound = {"kind": "resolution", "name": KEY, "generation": 1, "body": {}, "writer": "w", "written": 1.5}
    return gzip.compress(json.dumps({**sound, **changes}).encode())


HOSTILE: dict[str, Any] = {
    "empty": lambda: b"",
    "not JSON": lambda: b"\xff\xfe",
    "an image": lambda: as_artifact(b"x", artifactType="application/vnd.oci.image.config.v1+json"),
    "an index": lambda: encode({"schemaVersion": 2, "mediaType": media.MANIFEST, "manifests": []}),
    "two layers": lambda: as_artifact(b"x", layers=json.loads(as_artifact(fields()))["layers"] * 2),
    "no layers": lambda: as_artifact(b"x", layers=[]),
    "other bytes than the digest says": lambda: as_artifact(fields()).replace(
        base64.b64encode(fields()), base64.b64encode(fields(writer="z"))
    ),
    "no base64": lambda: as_artifact(fields()).replace(base64.b64encode(fields())[:8], b"????????"),
    "no gzip": lambda: as_artifact(b"plain"),
    "cut short": lambda: as_artifact(fields()[:-9]),
    "followed by something": lambda: as_artifact(fields() + b"x"),
    "deep JSON": lambda: as_artifact(gzip.compress(b'{"body":' + b"[" * 100_000)),
    "a list": lambda: as_artifact(gzip.compress(b"[]")),
    "another kind": lambda: as_artifact(fields(kind="placement")),
    "another name": lambda: as_artifact(fields(name="cd" * 32)),
    "generation 0": lambda: as_artifact(fields(generation=0)),
    "generation true": lambda: as_artifact(fields(generation=True)),
    "generation as text": lambda: as_artifact(fields(generation="1")),
    "a body of another type": lambda: as_artifact(fields(body=[])),
    "a writer of another type": lambda: as_artifact(fields(writer=1)),
    "a time of another type": lambda: as_artifact(fields(written="now")),
    "a field too many": lambda: as_artifact(fields(more=1)),
    "a key twice": lambda: as_artifact(fields())[:-1] + b',"artifactType":"x"}',
    "a blob that is not there": lambda: as_artifact(fields(), layers=[{**_layer(), "data": ""}]),
}


def _layer() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_artifact(fields()))["layers"][0]
    return found


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_record_is_a_miss(open_fake, fake, data):
    """By key and in lists; a name that has never been put starts anew."""
    replace(open_fake, fake, data())
    store = open_fake()
    assert store.get("resolution", KEY) is None
    assert len(open_fake.said) == 1
    assert KEY[:8] in open_fake.said[0]
    assert list(store.list("resolution")) == []
    assert store.put(record(), 0) == record()
    assert open_fake().get("resolution", KEY) == record()


def test_a_pointer_that_was_lost_or_bent_is_put_right(open_fake, fake):
    """The claims are what counts: the next writer is told of the record that was always there."""
    store = open_fake()
    store.put(record(), 0)
    store.put(record(2, 2.5), 1)
    old = manifest(open_fake, fake, next(tag for _, tag in fake.manifests if "g0000000001w" in tag))
    for damage in (
        lambda: fake.manifests.pop((open_fake.repository, KEY)),
        lambda: replace(open_fake, fake, b"{}"),
    ):
        damage()
        assert store.get("resolution", KEY) is None
        assert store.put(record(1, 9.5, "late"), 0) == record(2, 2.5)
        assert open_fake().get("resolution", KEY) == record(2, 2.5)
    replace(open_fake, fake, old)  # somebody moved the tag back: generation 1 is what readers see, and can follow
    assert open_fake().get("resolution", KEY) == record()
    assert store.put(record(2, 9.5, "late"), 1) == record(2, 2.5)


def test_a_claim_that_somebody_moved_is_passed_over(open_fake, fake):
    """A claim's tag says which manifest it was made for, and when."""
    store = open_fake()
    store.put(record(), 0)
    early = tags.claim(record(written=0.5), of_bytes(b"never made"))
    replace(open_fake, fake, manifest(open_fake, fake), early)
    fake.manifests.pop((open_fake.repository, KEY))
    assert store.put(record(written=3.0, text="late"), 0) == record()
    assert any("under a tag that is not its own" in said for said in open_fake.said)


def test_a_large_record_has_a_blob_of_its_own(open_fake, fake):
    """A manifest has at most 4 MiB. The blob is compared with its digest, too."""
    text = random.Random(3).randbytes(1 << 20).hex()
    large = record(text=text)
    store = open_fake()
    assert store.put(large, 0) == large
    assert open_fake().get("resolution", KEY) == large
    assert len(manifest(open_fake, fake)) < 4096
    digest = json.loads(manifest(open_fake, fake))["layers"][0]["digest"]
    blob = fake.blobs[open_fake.repository, digest]
    for damaged in (blob[:-1] + b"x", blob[:-1], blob + b"x", b""):
        fake.blobs[open_fake.repository, digest] = damaged
        assert store.get("resolution", KEY) is None
    del fake.blobs[open_fake.repository, digest]
    assert store.get("resolution", KEY) is None
    assert len(open_fake.said) == 5


def test_a_record_of_more_than_64_mib_is_refused(open_fake):
    with pytest.raises(CacheError, match="is refused"):
        open_fake().put(record(text="x" * (65 << 20)), 0)


def test_what_is_attached_is_found_or_nothing(open_fake, fake):
    for api in (False, True):
        fake.referrers_api = api
        store = open_fake()
        with pytest.raises(CacheError, match="nothing is recorded"):
            store.attach("placement", KEY, {"log": b"x"})
        store.put(record(), 0) if not api else store.put(record(2, 2.5), 1)
        store.attach("resolution", KEY, {"lock": b"{}", "log": b"words\n"})
        assert open_fake().attached("resolution", KEY, "lock") == b"{}"
        assert open_fake().attached("resolution", KEY, "log") == b"words\n"
        assert open_fake().attached("resolution", KEY, "other") is None
        assert open_fake().attached("placement", KEY, "log") is None
    for (name, digest), _ in list(fake.blobs.items()):
        fake.blobs[name, digest] = b"damaged"
    assert open_fake().attached("resolution", KEY, "log") is None


def test_the_images_of_others_are_not_looked_at(open_fake, fake):
    """A repository holds images under any tags; those of our own images are no records either."""
    store = open_fake()
    store.put(record(), 0)
    for tag in ("latest", "v1.2-rc_3", KEY[:20], f"{KEY[:20]}-g2", "sha256-" + "ab" * 32):
        replace(open_fake, fake, b"{}", tag)
    assert [found.name for found in open_fake().list("resolution")] == [KEY]
    assert open_fake.said == []


def test_gzip_of_others_is_read_within_bounds():
    with pytest.raises(IntegrityError):
        artifact.unzipped(bomb(), "here")
