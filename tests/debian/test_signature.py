from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import BaseError
from coopery_debian.signature import trusted, verify
from debian.openpgp import Signer, armored

pytestmark = pytest.mark.needs("gpgv")
TEXT = "Suite: stable\nCodename: bookworm\n- dashed\nSHA256:\n"


@pytest.fixture(scope="module")
def stranger() -> Signer:
    return Signer.make(2)


@pytest.fixture
def keyring(tmp_path: Path, signer: Signer) -> Path:
    return signer.keyring(tmp_path / "trusted.gpg")


def test_signed_text_comes_back(signer: Signer, keyring: Path) -> None:
    assert verify(signer.clear_sign(TEXT), trusted("", keyring), "u").decode() == TEXT


def test_what_stands_outside_of_the_signature_is_left(signer: Signer, keyring: Path) -> None:
    message = b"Suite: evil\n\n" + signer.clear_sign(TEXT) + b"Suite: evil\n"
    assert b"evil" not in verify(message, trusted("", keyring), "u")


@pytest.mark.parametrize("change", [(b"bookworm", b"bookwork"), (b"SHA256:\n", b"SHA256:\n x\n")])
def test_a_changed_text_is_refused(signer: Signer, keyring: Path, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(BaseError, match="a signature is bad"):
        verify(signer.clear_sign(TEXT).replace(*change, 1), trusted("", keyring), "u")


def test_unsigned(keyring: Path) -> None:
    for data in (TEXT.encode(), b"", b"\0" * 4096):
        with pytest.raises(BaseError, match="not signed by a trusted key"):
            verify(data, trusted("", keyring), "u")


def test_a_strangers_signature(stranger: Signer, keyring: Path) -> None:
    with pytest.raises(BaseError, match="no key that signed it is in the keyring"):
        verify(stranger.clear_sign(TEXT), trusted("", keyring), "u")


def test_signed_by_a_path_a_key_or_a_fingerprint(signer: Signer, stranger: Signer, tmp_path: Path) -> None:
    message = signer.clear_sign(TEXT)
    foreign = stranger.keyring(tmp_path / "foreign.gpg")
    plain = signer.keyring(tmp_path / "own.gpg")
    ascii_key = tmp_path / "own.asc"
    ascii_key.write_text(armored("PUBLIC KEY BLOCK", signer.public()), encoding="ascii")
    embedded = ascii_key.read_text(encoding="ascii").replace("\n\n", "\n.\n")
    for signed_by in (str(plain), str(ascii_key), f"{foreign} {plain}", embedded, f"{signer.fingerprint} {plain}"):
        assert verify(message, trusted(signed_by, foreign), "u").decode() == TEXT
    with pytest.raises(BaseError, match="another key than Signed-By names"):
        verify(message, trusted(f"{stranger.fingerprint} {plain}"), "u")


def test_other_keys_have_another_digest(signer: Signer, stranger: Signer, tmp_path: Path) -> None:
    paths = [one.keyring(tmp_path / f"{n}.gpg") for n, one in enumerate((signer, stranger))]
    digests = {trusted(f"{path}{mark}").digest for path in paths for mark in ("", f" {signer.fingerprint}")}
    assert len(digests) == 4


def test_no_keyring_says_which_package(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="apt-get install debian-archive-keyring"):
        trusted("", tmp_path / "none.gpg")
    (tmp_path / "empty.asc").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n", encoding="ascii")
    with pytest.raises(BaseError, match="expected an armored public key"):
        trusted(str(tmp_path / "empty.asc"))


def test_no_gpgv_says_which_package(signer: Signer, keyring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BaseError, match="apt-get install gpgv"):
        verify(signer.clear_sign(TEXT), trusted("", keyring), "u")
