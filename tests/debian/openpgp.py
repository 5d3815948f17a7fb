"""Just enough of OpenPGP to sign a release in a test, so that only gpgv is needed: RSA, SHA-256, one key.

Source: RFC 4880 (section 5.2 signatures, 5.5 keys, 7 clear-signed text), RFC 8017 (section 9.2).
"""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

from attrs import frozen

TIME = 1_600_000_000
EXPONENT = 65537
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def _prime(bits: int, source: random.Random) -> int:
    while True:
        number = source.getrandbits(bits) | (3 << (bits - 2)) | 1
        if all(number % small for small in (3, 5, 7, 11, 13, 17, 19, 23)) and pow(2, number - 1, number) == 1:
            return number


def _mpi(number: int) -> bytes:
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0x80 | tag << 2 | 2]) + len(body).to_bytes(4, "big") + body


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


def armored(kind: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    checksum = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{lines}\n={checksum}\n-----END PGP {kind}-----\n"


@frozen
class Signer:
    """One RSA key and what it signs."""

    modulus: int
    private: int

    @classmethod
    def make(cls, seed: int) -> Signer:
        source = random.Random(seed)
        p, q = _prime(768, source), _prime(768, source)
        return cls(p * q, pow(EXPONENT, -1, (p - 1) * (q - 1)))

    @property
    def _key(self) -> bytes:
        return b"\x04" + TIME.to_bytes(4, "big") + b"\x01" + _mpi(self.modulus) + _mpi(EXPONENT)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(b"\x99" + len(self._key).to_bytes(2, "big") + self._key).hexdigest().upper()  # noqa: S324 - the format's

    def public(self) -> bytes:
        """The key as a binary keyring."""
        user = b"Test archive <test@example.org>"
        signed = b"\x99" + len(self._key).to_bytes(2, "big") + self._key + b"\xb4" + len(user).to_bytes(4, "big") + user
        return _packet(6, self._key) + _packet(13, user) + self._signature(0x13, signed)

    def keyring(self, path: Path) -> Path:
        path.write_bytes(self.public())
        return path

    def clear_sign(self, text: str) -> bytes:
        """*text*, which ends with a line end, as gpg --clearsign would give it."""
        lines = text.removesuffix("\n").split("\n")
        data = "\r\n".join(line.rstrip(" \t") for line in lines).encode()
        body = "\n".join("- " + line if line.startswith("-") else line for line in lines)
        signature = armored("SIGNATURE", self._signature(0x01, data))
        return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{body}\n{signature}".encode()

    def _signature(self, kind: int, data: bytes) -> bytes:
        hashed = bytes([4, kind, 1, 8]) + b"\x00\x06" + b"\x05\x02" + TIME.to_bytes(4, "big")
        digest = hashlib.sha256(data + hashed + b"\x04\xff" + len(hashed).to_bytes(4, "big")).digest()
        size = (self.modulus.bit_length() + 7) // 8
        tail = b"\x00" + SHA256_PREFIX + digest
        padded = b"\x00\x01" + b"\xff" * (size - 2 - len(tail)) + tail
        issuer = b"\x09\x10" + bytes.fromhex(self.fingerprint[-16:])
        value = pow(int.from_bytes(padded, "big"), self.private, self.modulus)
        return _packet(2, hashed + b"\x00\x0a" + issuer + digest[:2] + _mpi(value))
