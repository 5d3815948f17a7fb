"""Whether ``InRelease`` was signed by a key that this machine trusts. Asked of gpgv, never skipped.

The rule is apt's: one good signature by a trusted key, and none that is bad. A release carries signatures of old and
new keys at once, so unknown keys beside a good one are no fault.

Source: gpgv(1); GnuPG doc/DETAILS, "Format of the --status-fd output"; RFC 9580, section 6.2 for armor.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from attrs import field, frozen

from coopery import digest as _digest
from coopery.errors import BaseError
from coopery.image import encode
from coopery_debian.mirror import KEYRING

_ARMOR: Final = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(?:[A-Za-z]+:[^\n]*\n)*\s*\n(?P<body>.*?)(?:\n=[A-Za-z0-9+/]{4})?"
    r"\s*-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{40,64}!?")
_TIMEOUT: Final = 60
_REFUSED: Final = {
    "BADSIG": "a signature is bad",
    "NODATA": "it has no signature",
    "UNEXPECTED": "it is no signed text",
}


@frozen
class Keys:
    """Whom to trust: keyrings in binary form, and the fingerprints to insist on, none for any key in them."""

    keyrings: tuple[bytes, ...] = field(repr=False)
    fingerprints: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Changes whenever trust does."""
        return _digest.of_bytes(
            encode({"keyrings": [*map(_digest.of_bytes, self.keyrings)], "fingerprints": sorted(self.fingerprints)})
        )


def trusted(signed_by: str, keyring: Path = KEYRING) -> Keys:
    """The keys that apt's ``Signed-By`` speaks of: paths of keyrings, fingerprints, or one armored key.

    Args:
        signed_by: as written; empty for *keyring*.
        keyring: Debian's own keys.

    Raises:
        BaseError: a keyring is not here, or holds no key.
    """
    if "BEGIN PGP" in signed_by:
        armored = re.sub(r"(?m)^\.$", "", signed_by)  # how deb822 writes an empty line inside a field
        return Keys((_dearmored(armored, "Signed-By"),))
    words = signed_by.split()
    fingerprints = frozenset(word.rstrip("!").upper() for word in words if _FINGERPRINT.fullmatch(word))
    paths = [Path(word) for word in words if word.startswith("/")] or [keyring]
    return Keys(tuple(_read(path) for path in paths), fingerprints)


def verify(inrelease: bytes, keys: Keys, url: str) -> bytes:
    """The signed text inside *inrelease*; whatever stands outside of the signature is left behind.

    Args:
        inrelease: the file as it came.
        keys: whom to trust.
        url: where it came from, for messages.

    Raises:
        BaseError: gpgv is not here, no trusted key signed it, or a signature is bad.
    """
    program = shutil.which("gpgv")
    if program is None:
        raise BaseError(
            "gpgv is not installed, so no Debian mirror can be verified", remedy="install it: apt-get install gpgv"
        )
    with tempfile.TemporaryDirectory(prefix="coopery-gpgv-") as scratch:
        message, text = Path(scratch, "InRelease"), Path(scratch, "Release")
        message.write_bytes(inrelease)
        argv = [program, "--quiet", "--homedir", scratch, "--status-fd", "1", "--output", str(text)]
        for number, keyring in enumerate(keys.keyrings):
            path = Path(scratch, f"keyring-{number}.gpg")
            path.write_bytes(keyring)
            argv += ["--keyring", str(path)]
        try:
            ended = subprocess.run([*argv, str(message)], capture_output=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise BaseError(f"{url}: gpgv could not check the signature: {exc}") from exc
        reason = _refusal(ended.stdout.decode("utf-8", "replace"), keys.fingerprints)
        if reason or not text.is_file():
            detail = ended.stderr.decode("utf-8", "replace").strip()
            raise BaseError(
                f"{url}: not signed by a trusted key: {reason or 'no signed text'}\n{detail}",
                remedy="install Debian's current keys (apt-get install debian-archive-keyring), or name the mirror's "
                "own key by Signed-By in apt's configuration",
            )
        return text.read_bytes()


def _refusal(status: str, fingerprints: frozenset[str]) -> str:
    """Why gpgv's status lines are no yes; empty when they are."""
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    for word, reason in _REFUSED.items():
        if word in words:
            return reason
    # A signature by an expired or revoked key has a VALIDSIG too, but EXPKEYSIG or REVKEYSIG in place of GOODSIG.
    # VALIDSIG's first argument is the fingerprint of the signing key, its last that of the primary key.
    good = {line[1][-16:].upper() for line in lines if line[:1] == ["GOODSIG"] and len(line) > 1}
    valid = [(line[1].upper(), line[-1].upper()) for line in lines if line[:1] == ["VALIDSIG"] and len(line) > 1]
    signers = {name for names in valid if names[0][-16:] in good for name in names}
    if not signers:
        return "no key that signed it is in the keyring and still good"
    return "" if not fingerprints or signers & fingerprints else "signed by another key than Signed-By names"


def _read(path: Path) -> bytes:
    """The keys in *path*, without armor, which gpgv cannot read."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise BaseError(
            f"the keyring {path} cannot be read: {exc.strerror}; no Debian mirror can be verified without it",
            remedy="install it: apt-get install debian-archive-keyring",
        ) from exc
    return _dearmored(data.decode("ascii", "replace"), str(path)) if data.lstrip().startswith(b"-----BEGIN") else data


def _dearmored(text: str, place: str) -> bytes:
    """The keys of an armored text; its checksum is optional and not looked at."""
    blocks = [found["body"] for found in _ARMOR.finditer(text.replace("\r\n", "\n"))]
    try:
        keys = b"".join(base64.b64decode("".join(body.split()), validate=True) for body in blocks)
    except binascii.Error as exc:
        raise BaseError(f"{place}: not an armored key: {exc}") from exc
    if not keys:
        raise BaseError(f"{place}: expected an armored public key, found none")
    return keys
