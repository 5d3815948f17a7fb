"""Ed25519 signatures: who signs, and whom one trusts. The only file that imports `cryptography`, once a key is used.

Keys are PEM files, as ``openssl genpkey -algorithm ed25519`` writes them. Why: docs/decisions/0013-signed-records.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import CacheError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_END: Final = b"-----END PUBLIC KEY-----"
_MOST: Final = 1 << 20
_MAKE: Final = (
    "openssl genpkey -algorithm ed25519 -out FILE makes one, openssl pkey -in FILE -pubout shows whom to trust"
)


class Keys:
    """The keys of one user of a store, read on first use.

    Args:
        sign: file of the private key that this user signs with; None: one who only reads.
        trust: file of one or more public keys, whose records are believed; None: only what is signed with *sign*.

    Raises:
        CacheError: from every method: a file cannot be read, is no key, or the private one is open to others; or the
            library is not installed.
    """

    def __init__(self, sign: Path | None = None, trust: Path | None = None) -> None:
        self._sign_file, self._trust_file = sign, trust

    @property
    def can_sign(self) -> bool:
        """Whether there is a private key, as far as is known without reading it."""
        return self._sign_file is not None

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """The name of our key, and our signature of *data*."""
        private = self._private
        if private is None:
            raise CacheError("no key to sign with is named", remedy="write ?sign=FILE behind the store; " + _MAKE)
        return key_name(private.public_key()), private.sign(data)

    def is_signed(self, name: str, signature: bytes, data: bytes) -> bool:
        """Whether *signature* of *data* is by that one of the trusted keys that has this *name*."""
        from cryptography.exceptions import InvalidSignature

        key = self.trusted.get(name)
        if key is None:
            return False
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    @cached_property
    def trusted(self) -> Mapping[str, Ed25519PublicKey]:
        """Name → key of all whose records are believed, ourselves included."""
        found = _public(self._trust_file) if self._trust_file is not None else []
        if self._private is not None:
            found.append(self._private.public_key())
        return {key_name(key): key for key in found}

    @cached_property
    def _private(self) -> Ed25519PrivateKey | None:
        if self._sign_file is None:
            return None
        data = _read(self._sign_file, private=True)
        return _loaded(self._sign_file, data, private=True)  # type: ignore[no-any-return]  # of that kind, or refused


def key_name(key: Ed25519PublicKey) -> str:
    """The first 32 hexadecimal digits of the sha256 of the key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def _public(path: Path) -> list[Ed25519PublicKey]:
    blocks = _read(path).split(_END)
    found = [_loaded(path, block.strip() + b"\n" + _END + b"\n", private=False) for block in blocks[:-1]]
    if not found or blocks[-1].strip():
        raise CacheError(f"{path}: expected public keys in PEM, and nothing else", remedy=_MAKE)
    return found


def _loaded(path: Path, data: bytes, *, private: bool) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as exc:
        raise CacheError(
            "signed records need the library cryptography", remedy="pip install coopery-core[signed]"
        ) from exc
    try:
        key: Any
        if private:
            key, kind = serialization.load_pem_private_key(data, None), ed25519.Ed25519PrivateKey
        else:
            key, kind = serialization.load_pem_public_key(data), ed25519.Ed25519PublicKey  # type: ignore[assignment]  # one of two kinds
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key, kind = None, object  # type: ignore[assignment]  # as above
    if key is None or not isinstance(key, kind):
        what = "a private" if private else "public"
        # Not `from exc`: nothing of a private key's file belongs into a message.
        raise CacheError(f"{path}: expected {what} Ed25519 key in PEM, without a passphrase", remedy=_MAKE) from None
    return key


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if private and (status.st_mode & 0o077 or status.st_uid != os.geteuid()) and stat.S_ISREG(status.st_mode):
                raise CacheError(
                    f"{path}: others may read this key, or it is somebody else's", remedy=f"chmod 600 {path}"
                )
            return file.read(_MOST)
    except OSError as exc:
        raise CacheError(f"{path}: cannot be read: {exc.strerror}") from exc
