"""Signed stores: what is not signed by somebody who is trusted is not there, whoever may write in the store."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from coopery.cache import Record
from coopery.errors import CacheError, UsageError
from coopery.stores import leases_of, open_cache
from coopery.stores.namespace import Namespace
from coopery.stores.signatures import Keys
from coopery.stores.signed import Signed
from coopery.testing import CacheContract, LeasesContract, MemoryCache
from coopery.testing.memory import Shelf

NAMES = ("ours", "theirs")


def pem(key: Any) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return bytes(key.private_bytes(*form))


def public_pem(key: Any) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return bytes(key.public_key().public_bytes(*form))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files of two key pairs: ``ours``, ``ours.pub``, ``theirs``, ``theirs.pub``; and ``both.pub``."""
    folder = tmp_path_factory.mktemp("keys")
    every = b""
    for name in NAMES:
        key = ed25519.Ed25519PrivateKey.generate()
        (folder / name).write_bytes(pem(key))
        (folder / name).chmod(0o600)
        (folder / f"{name}.pub").write_bytes(public_pem(key))
        every += public_pem(key)
    (folder / "both.pub").write_bytes(every)
    return folder.__truediv__


def record(number: int = 1, generation: int = 1, writer: str = "ci@host") -> Record:
    return Record("resolution", f"key {number}", generation, {"number": number, "text": "ä\n\0🙂"}, writer, 1.5)


class TestSignedRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, files):
        shelf = Shelf()
        return lambda: Signed(MemoryCache(shelf), Keys(files("ours")))


@pytest.mark.slow
class TestSignedLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self, files):
        shelf = Shelf()
        return lambda: Signed(MemoryCache(shelf), Keys(files("ours")))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def reader(shelf, files) -> Signed:
    """One who trusts us, and signs nothing."""
    return Signed(MemoryCache(shelf), Keys(trust=files("ours.pub")))


def test_a_reader_gets_what_was_signed_as_it_was(shelf, reader, files):
    Signed(MemoryCache(shelf), Keys(files("ours"))).put(record(), 0)
    assert reader.get("resolution", "key 1") == record()
    assert [found.name for found in reader.list("resolution")] == ["key 1"]


def test_unsigned_and_foreign_signed_records_are_ignored(shelf, reader, files):
    """A hundred of each, by name and in lists; and what is signed beside them is found."""
    plain, foreign = MemoryCache(shelf), Signed(MemoryCache(shelf), Keys(files("theirs")))
    ours = Signed(MemoryCache(shelf), Keys(files("ours")))
    for number in range(100):
        plain.put(record(number), 0)
        foreign.put(record(number + 100), 0)
    ours.put(record(200), 0)
    assert [reader.get("resolution", f"key {number}") for number in range(200)] == [None] * 200
    assert list(reader.list("resolution")) == [record(200)]


def test_what_strangers_put_on_top_is_looked_through(shelf, reader, files):
    """Where the store keeps older generations, ours is still found; and the next of ours follows it."""
    ours, plain = Signed(MemoryCache(shelf), Keys(files("ours"))), MemoryCache(shelf)
    ours.put(record(), 0)
    for generation in (2, 3, 4):
        plain.put(record(1, generation, "mallory"), generation - 1)
    assert reader.get("resolution", "key 1") == record()
    assert ours.put(record(1, 1, "late"), 0) == record()
    assert ours.put(record(1, 2), 1) == record(1, 2)
    assert reader.get("resolution", "key 1") == record(1, 2)
    assert reader.get("resolution", "key 1", 1) == record()
    assert reader.get("resolution", "key 1", 3) is None
    assert list(reader.list("resolution")) == [record(1, 2)]


def test_a_name_that_strangers_took_first_can_be_used(shelf, reader, files):
    MemoryCache(shelf).put(record(writer="mallory"), 0)
    assert Signed(MemoryCache(shelf), Keys(files("ours"))).put(record(), 0) == record()
    assert reader.get("resolution", "key 1") == record()


def test_every_bit_counts(shelf, reader, files):
    """Of what is signed, of the signature, and of the key's name."""
    Signed(MemoryCache(shelf), Keys(files("ours"))).put(record(), 0)
    (kept,) = shelf.records["resolution", "key 1"]
    chance = random.Random(35)
    for number in range(300):
        part = ("signed", "signature", "key")[number % 3]
        data = bytearray(kept.body[part].encode())
        place = chance.randrange(len(data) * 8)
        data[place // 8] ^= 1 << place % 8
        if part == "signature" and place // 8 >= len(data) - 3:
            continue  # bits of base64 that stand for nothing
        bent = evolve(kept, body={**kept.body, part: data.decode(errors="replace")})
        shelf.records["resolution", "key 1"] = [bent]
        assert reader.get("resolution", "key 1") is None, f"bit {place} of {part}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"signed": 1, "key": "", "signature": ""},
        {"signed": "{}", "key": "", "signature": "no base64 "},
        {"signed": "{}", "key": "", "signature": ""},
        {"signed": "\ud800", "key": "", "signature": ""},
        {"signed": [], "key": {}, "signature": None},
    ],
)
def test_what_is_no_signed_record(shelf, reader, body):
    shelf.records["resolution", "key 1"] = [evolve(record(), body=body)]
    assert reader.get("resolution", "key 1") is None


def test_a_signed_record_counts_under_its_own_name_only(shelf, reader, files):
    """Nobody can serve one key's record for another, or a placement for a resolution."""
    Signed(MemoryCache(shelf), Keys(files("ours"))).put(record(), 0)
    (kept,) = shelf.records["resolution", "key 1"]
    shelf.records["resolution", "key 2"] = [evolve(kept, name="key 2")]
    shelf.records["placement", "key 1"] = [evolve(kept, kind="placement")]
    assert reader.get("resolution", "key 2") is None
    assert reader.get("placement", "key 1") is None


def test_who_cannot_sign_cannot_write_or_delete(shelf, reader):
    assert not reader.abilities.writable
    assert leases_of(reader) is None
    for act in (lambda: reader.put(record(), 0), lambda: reader.delete("resolution", "key 1")):
        with pytest.raises(CacheError, match="no key to sign with"):
            act()
    assert shelf.records == {}


def test_several_are_trusted(shelf, files):
    for number, name in enumerate(NAMES):
        Signed(MemoryCache(shelf), Keys(files(name))).put(record(number), 0)
    both = Signed(MemoryCache(shelf), Keys(trust=files("both.pub")))
    assert len(list(both.list("resolution"))) == 2
    assert len(Keys(files("ours"), files("theirs.pub")).trusted) == 2


def test_tenants_that_trust_themselves_do_not_meet(shelf, files):
    """One store, a namespace and a key for each: what A writes into B's namespace is not there for B."""
    one, other = (Signed(Namespace(MemoryCache(shelf), name), Keys(files(name))) for name in NAMES)
    for number in range(100):
        one.put(record(number), 0)
    assert [other.get("resolution", f"key {number}") for number in range(100)] == [None] * 100
    assert list(other.list("resolution")) == []
    intruder = Signed(Namespace(MemoryCache(shelf), "theirs"), Keys(files("ours")))
    for number in range(100):
        intruder.put(record(number, writer="ours"), 0)
    assert [other.get("resolution", f"key {number}") for number in range(100)] == [None] * 100


def test_a_private_key_that_others_may_read_is_refused(shelf, files, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(files("ours").read_bytes())
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(CacheError, match="others may read this key"):
            Signed(MemoryCache(shelf), Keys(path)).put(record(), 0)


@pytest.mark.parametrize("content", [b"", b"canary", b"-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused_and_not_quoted(shelf, tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    for keys in (Keys(trust=path), Keys(path)):
        with pytest.raises(CacheError, match="expected") as caught:
            Signed(MemoryCache(shelf), keys).put(record(), 0) if keys.can_sign else keys.trusted
        assert "canary" not in str(caught.value)


def test_keys_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "key"
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(public_pem(key) + public_pem(key))
    with pytest.raises(CacheError, match="Ed25519"):
        Keys(trust=path).trusted  # noqa: B018 - reading it is what is tried
    nobody = Signed(MemoryCache(), Keys(trust=tmp_path / "missing"))
    for ask in (lambda: nobody.get("resolution", "key 1"), lambda: list(nobody.list("resolution"))):
        with pytest.raises(CacheError, match="cannot be read"):
            ask()


def test_from_a_url(tmp_path, files):
    url = f"sqlite:{tmp_path}/s.sqlite?sign={files('ours')}&namespace=team"
    store = open_cache(url, tmp_path)
    assert repr(store).startswith("Signed(Namespace(SqliteCache(")
    assert store.put(record(), 0) == record()
    reader = open_cache(f"sqlite:{tmp_path}/s.sqlite?namespace=team&trust={files('ours.pub')}", tmp_path)
    assert reader.get("resolution", "key 1") == record()
    stranger = open_cache(f"sqlite:{tmp_path}/s.sqlite?namespace=team&trust={files('theirs.pub')}", tmp_path)
    assert stranger.get("resolution", "key 1") is None
    with pytest.raises(UsageError, match="absolute path"):
        open_cache("sqlite:?trust=keys.pem", tmp_path)
    with pytest.raises(UsageError, match="sign=FILE"):
        Signed.from_url("signed:", tmp_path, print)
    for one in (store, reader, stranger):
        one.close()


def test_what_a_signature_is_over(shelf, files):
    """Anybody can verify it with other tools: the bytes are these."""
    Signed(MemoryCache(shelf), Keys(files("ours"))).put(record(), 0)
    (kept,) = shelf.records["resolution", "key 1"]
    key = serialization.load_pem_public_key(files("ours.pub").read_bytes())
    assert isinstance(key, ed25519.Ed25519PublicKey)
    signed = b"coopery.signed-record.v1\0" + kept.body["signed"].encode()
    key.verify(base64.b64decode(kept.body["signature"]), signed)
    assert json.loads(kept.body["signed"])["writer"] == "ci@host"
