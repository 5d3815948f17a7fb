"""Manifests: what is believed, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from fake_registry import FakeRegistry
from scripted_server import Reply

from coopery.digest import Digest, of_bytes
from coopery.errors import BaseError, CooperyError, IntegrityError, NetworkError
from coopery.image import encode
from coopery.oci import media
from coopery.oci.load import load
from coopery.registry import Registry

PLATFORMS = ("linux/amd64", "linux/arm64")


def an_image(fake: FakeRegistry, platform: str = "linux/amd64", tag: str = "v1") -> str:
    """A whole image; the digest of its manifest."""
    layer = b"\0" * 1024
    system, _, architecture = platform.partition("/")
    config = encode(
        {"architecture": architecture, "os": system, "rootfs": {"type": "layers", "diff_ids": [of_bytes(layer)]}}
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.MANIFEST,
        "config": {"mediaType": media.CONFIG, **fake.add_blob(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **fake.add_blob(layer)}],
    }
    return fake.add_manifest(manifest, media.MANIFEST, tag)


def an_index(fake: FakeRegistry, *, platforms: bool = True) -> str:
    entries = []
    for platform in PLATFORMS:
        digest = an_image(fake, platform, tag="")
        entry: dict[str, Any] = {
            "mediaType": media.MANIFEST,
            "digest": digest,
            "size": len(fake.manifests["team/app", digest][1]),
        }
        if platforms:
            entry["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
        entries.append(entry)
    return fake.add_manifest({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": entries}, media.INDEX, "multi")


def test_by_tag_and_by_digest(fake: FakeRegistry, repository: Registry) -> None:
    digest = an_image(fake)
    for ref in ("v1", digest):
        descriptor, data = repository.manifest(ref)
        assert (descriptor.digest, descriptor.size, descriptor.media_type) == (digest, len(data), media.MANIFEST)
        assert repository.head(ref) == descriptor
    assert all(media.INDEX in request.headers["accept"] for request in fake.requests)
    image = load(repository.source(), descriptor)
    assert image.layers[0].size == 1024


def test_what_is_not_there(fake: FakeRegistry, repository: Registry) -> None:
    assert repository.head("v1") is None
    assert repository.has_blob(of_bytes(b"")) is None
    assert repository.tags() == ()
    with pytest.raises(BaseError, match="there is no v1"):
        repository.manifest("v1")
    with pytest.raises(BaseError, match="has no blob"), repository.source().open(of_bytes(b"")):
        pass
    assert len(fake.requests) == 5


@pytest.mark.parametrize("stated", [True, False])
def test_an_index_leads_to_the_platforms_manifest(fake: FakeRegistry, repository: Registry, stated: bool) -> None:
    an_index(fake, platforms=stated)
    for platform in PLATFORMS:
        found = repository.resolve("multi", platform)
        assert load(repository.source(), found).document["architecture"] == platform.partition("/")[2]
    with pytest.raises(BaseError, match="there is linux/amd64, linux/arm64"):
        repository.resolve("multi", "linux/riscv64")


def test_a_manifest_alone_is_for_its_own_platform(fake: FakeRegistry, repository: Registry) -> None:
    digest = an_image(fake, "linux/arm64")
    assert repository.resolve(digest, "linux/arm64").digest == digest
    with pytest.raises(BaseError, match="no image for linux/amd64"):
        repository.resolve("v1", "linux/amd64")


def _headers(**changes: str) -> Callable[[Reply], Reply]:
    def change(reply: Reply) -> Reply:
        return evolve(
            reply, headers={**reply.headers, **{name.replace("_", "-"): text for name, text in changes.items()}}
        )

    return change


def _body(make: Callable[[bytes], bytes]) -> Callable[[Reply], Reply]:
    return lambda reply: evolve(reply, body=make(reply.body))


BAD_BODIES: dict[str, Callable[[Reply], Reply]] = {
    "truncated": lambda reply: evolve(reply, cut=len(reply.body) // 2),
    "cut to nothing": lambda reply: evolve(reply, cut=0),
    "shortened": _body(lambda data: data[:-1]),
    "extended": _body(lambda data: data + b" "),
    "other bytes": _body(lambda data: data.replace(b"2", b"3", 1)),
    "one bit": _body(lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "empty": _body(lambda _: b""),
    "wrong digest": _headers(Docker_Content_Digest=of_bytes(b"other")),
    "longer than stated": lambda reply: evolve(
        reply, headers={**reply.headers, "Content-Length": str(len(reply.body) - 1)}
    ),
    "shorter than stated": lambda reply: evolve(
        reply, headers={**reply.headers, "Content-Length": str(len(reply.body) + 1)}, cut=len(reply.body)
    ),
    "endless": lambda reply: evolve(
        reply, headers={**reply.headers, "Content-Length": str(1 << 40)}, cut=len(reply.body)
    ),
    "gzip": lambda reply: evolve(
        reply, body=gzip.compress(reply.body), headers={**reply.headers, "Content-Encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("how", BAD_BODIES)
@pytest.mark.parametrize("kind", ["tag", "digest"])
def test_a_bad_manifest_is_refused(fake: FakeRegistry, repository: Registry, how: str, kind: str) -> None:
    digest = an_image(fake)
    fake.fault("manifests", change=BAD_BODIES[how], times=9)
    if kind == "tag" and how == "extended":  # white space at its end is another manifest, and a right one
        fake.faults.clear()
        fake.fault("manifests", change=_body(lambda data: data + b"x"), times=9)
    with pytest.raises(CooperyError) as caught:
        repository.manifest("v1" if kind == "tag" else digest)
    assert isinstance(caught.value, IntegrityError | NetworkError)
    assert len(fake.requests) <= 5


@pytest.mark.parametrize("how", sorted(BAD_BODIES.keys() - {"wrong digest", "extended", "other bytes", "one bit"}))
def test_a_config_or_layer_that_is_not_whole_is_refused(fake: FakeRegistry, repository: Registry, how: str) -> None:
    """What is whole and of other bytes is found by its reader: see tests/pushing and tests/oci."""
    an_image(fake)
    descriptor, _ = repository.manifest("v1")
    fake.fault("blobs", change=BAD_BODIES[how], times=9)
    with pytest.raises((IntegrityError, NetworkError)):
        load(repository.source(), descriptor)


@pytest.mark.parametrize("how", ["other bytes", "one bit", "extended"])
def test_a_config_of_other_bytes_is_refused(fake: FakeRegistry, repository: Registry, how: str) -> None:
    an_image(fake)
    descriptor, _ = repository.manifest("v1")
    fake.fault("blobs", change=BAD_BODIES[how], times=9)
    with pytest.raises(IntegrityError):
        load(repository.source(), descriptor)


DESCRIPTOR = {"mediaType": media.CONFIG, "digest": of_bytes(b""), "size": 0}
GOOD = {"schemaVersion": 2, "mediaType": media.MANIFEST, "config": DESCRIPTOR, "layers": []}
INDEX = {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": []}
MANIFEST_ENTRY = {**DESCRIPTOR, "mediaType": media.MANIFEST}

AMBIGUOUS: dict[str, tuple[Any, str]] = {
    "manifests and layers, as manifest": ({**GOOD, "manifests": []}, media.MANIFEST),
    "manifests and layers, as index": ({**INDEX, "layers": [], "config": DESCRIPTOR}, media.INDEX),
    "media type not that of the header": (GOOD, media.INDEX),
    "index given as manifest": (INDEX, media.MANIFEST),
    "a key twice": (b'{"schemaVersion":2,"schemaVersion":2,' + encode(GOOD)[1:], media.MANIFEST),
    "layers twice": (b'{"layers":[{}],' + encode(GOOD)[1:], media.MANIFEST),
    "upper-case hex": (
        {**GOOD, "config": {**DESCRIPTOR, "digest": of_bytes(b"").upper().replace("SHA", "sha")}},
        media.MANIFEST,
    ),
    "negative size": ({**GOOD, "config": {**DESCRIPTOR, "size": -1}}, media.MANIFEST),
    "a size that is no integer": ({**GOOD, "layers": [{**DESCRIPTOR, "size": 1.0}]}, media.MANIFEST),
    "a huge size": ({**GOOD, "layers": [{**DESCRIPTOR, "size": 1 << 63}]}, media.MANIFEST),
    "negative size in an index": ({**INDEX, "manifests": [{**MANIFEST_ENTRY, "size": -1}]}, media.INDEX),
    "no config": ({**GOOD, "config": None}, media.MANIFEST),
    "a list": (b"[]", media.MANIFEST),
    "nothing": (b"", media.MANIFEST),
    "not UTF-8": (b"\xff\xfe", media.MANIFEST),
    "10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, media.MANIFEST),
    "NaN": (b'{"schemaVersion":NaN,' + encode(GOOD)[1:], media.MANIFEST),
    "over 4 MiB": ({**GOOD, "annotations": {"a": "x" * (4 << 20)}}, media.MANIFEST),
    "schema 1": ({**GOOD, "schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    "no media type at all": ({"schemaVersion": 2, "config": DESCRIPTOR, "layers": []}, "application/json"),
    "a web page": (b"<html>", "text/html"),
    "another algorithm": ({**GOOD, "config": {**DESCRIPTOR, "digest": "md5:" + "0" * 32}}, media.MANIFEST),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_ambiguous_documents_are_refused(fake: FakeRegistry, repository: Registry, how: str) -> None:
    document, media_type = AMBIGUOUS[how]
    fake.add_manifest(document, media_type, "v1")
    with pytest.raises(IntegrityError):
        repository.manifest("v1")
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "content_type", ["application/json", f"{media.MANIFEST}; charset=utf-8", "", media.MANIFEST.upper()]
)
def test_a_vague_header_leaves_it_to_the_document(fake: FakeRegistry, repository: Registry, content_type: str) -> None:
    fake.add_manifest(GOOD, content_type, "v1")
    assert repository.manifest("v1")[0].media_type == media.MANIFEST


def test_a_document_may_leave_its_type_to_the_header(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_manifest({"schemaVersion": 2, "config": DESCRIPTOR, "layers": []}, media.MANIFEST, "v1")
    assert repository.manifest("v1")[0].media_type == media.MANIFEST


def test_head_of_a_registry_that_says_little(fake: FakeRegistry, repository: Registry) -> None:
    digest = an_image(fake)
    fake.fault("HEAD", change=lambda reply: Reply(200, reply.body), times=1)
    found = repository.head("v1")
    assert found is not None
    assert found.digest == digest


def test_head_of_a_registry_that_lies(fake: FakeRegistry, repository: Registry) -> None:
    digest = an_image(fake)
    fake.fault("HEAD", change=_headers(Docker_Content_Digest=of_bytes(b"other")))
    with pytest.raises(IntegrityError, match="speaks of"):
        repository.head(digest)


def test_a_put_says_what_was_put(fake: FakeRegistry, repository: Registry) -> None:
    data = json.dumps(GOOD).encode()
    assert repository.put_manifest(data, media.MANIFEST, "v1") == of_bytes(data)
    assert repository.put_manifest(data, media.MANIFEST) == of_bytes(data)
    assert fake.tags_put == ["v1", of_bytes(data)]
    fake.fault("PUT", change=_headers(Docker_Content_Digest=of_bytes(b"other")))
    with pytest.raises(IntegrityError, match="speaks of"):
        repository.put_manifest(data, media.MANIFEST, "v1")


def test_deleting(fake: FakeRegistry, repository: Registry) -> None:
    digest = Digest(an_image(fake))
    assert repository.delete_manifest(digest) is True
    assert repository.delete_manifest(digest) is False
    assert repository.head("v1") is None
    fake.fault("DELETE", reply=Reply(405))
    with pytest.raises(NetworkError, match="405"):
        repository.delete_manifest(digest)


def test_tags_come_in_pages(fake: FakeRegistry, repository: Registry) -> None:
    fake.page = 3
    names = [f"v{number:02}" for number in range(10)]
    for name in names:
        fake.add_manifest(GOOD, media.MANIFEST, name)
    assert repository.tags() == tuple(names)
    assert len(fake.requests) == 4


@pytest.mark.parametrize("link", ["http://127.0.0.2:1/v2/x", "file:///etc/passwd", "http://a b/"])
def test_a_list_does_not_go_on_elsewhere(fake: FakeRegistry, repository: Registry, link: str) -> None:
    fake.add_manifest(GOOD, media.MANIFEST, "v1")
    fake.fault("tags", change=_headers(Link=f'<{link}>; rel="next"'))
    with pytest.raises(NetworkError, match="next page"):
        repository.tags()


@pytest.mark.slow
def test_an_endless_list_ends(fake: FakeRegistry, repository: Registry) -> None:
    fake.add_manifest(GOOD, media.MANIFEST, "v1")
    fake.fault("tags", change=_headers(Link='</v2/team/app/tags/list>; rel="next"'), times=10_000)
    with pytest.raises(NetworkError, match="pages"):
        repository.tags()


@pytest.mark.parametrize("api", [True, False])
def test_referrers(fake: FakeRegistry, repository: Registry, api: bool) -> None:
    fake.referrers_api = api
    subject = Digest(an_image(fake))
    described = {"mediaType": media.MANIFEST, "digest": subject, "size": len(fake.manifests["team/app", subject][1])}
    pushed = {}
    for kind in ("application/vnd.example.lock", "application/vnd.example.log"):
        data = encode({**GOOD, "artifactType": kind, "subject": described})
        pushed[kind] = repository.put_manifest(data, media.MANIFEST)
        assert repository.put_manifest(data, media.MANIFEST) == pushed[kind]
    assert {found.digest for found in repository.referrers(subject)} == set(pushed.values())
    for kind, digest in pushed.items():
        assert [found.digest for found in repository.referrers(subject, kind)] == [digest]
    assert repository.referrers(pushed["application/vnd.example.log"]) == ()
    tag = subject.replace(":", "-")
    assert (("team/app", tag) in fake.manifests) is not api


def test_referrers_survive_somebody_else_who_enters_at_once(fake: FakeRegistry, repository: Registry) -> None:
    """Our index is overwritten right after our PUT by one that does not know of us."""
    subject = Digest(an_image(fake))
    theirs = {**MANIFEST_ENTRY, "artifactType": "theirs"}
    tag = subject.replace(":", "-")

    def overwrite(reply: Reply) -> Reply:
        fake.add_manifest({**INDEX, "manifests": [theirs]}, media.INDEX, tag)
        return reply

    fake.fault(f"PUT .*{tag}", change=overwrite)
    described = {"mediaType": media.MANIFEST, "digest": subject, "size": 1}
    ours = repository.put_manifest(encode({**GOOD, "subject": described}), media.MANIFEST)
    assert {found.digest for found in repository.referrers(subject)} == {ours, MANIFEST_ENTRY["digest"]}
