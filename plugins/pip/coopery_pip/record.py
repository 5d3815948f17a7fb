"""``RECORD``: what a wheel says that it has, and what is said of it once it is installed.

Source: "recording installed projects" and "binary distribution format" of the Python Packaging User Guide: every file
must be listed with a hash of sha256 or better, but for RECORD and its signatures.
"""

from __future__ import annotations

import csv
import io
import posixpath
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Final

from attrs import frozen
from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file
from installer.utils import Scheme, construct_record_file

NAME: Final = "RECORD"
SIGNATURES: Final = ("RECORD.jws", "RECORD.p7s")
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_ROOT: Final = Scheme("purelib")  # paths are relative to it already


@frozen
class Stated:
    """What RECORD states of one file: algorithm, digest in urlsafe base64 without padding; size -1 where left out."""

    algorithm: str
    digest: str
    size: int = -1


def parse(text: str) -> dict[str, Stated]:
    """The files with a hash, by their paths in the wheel. Those without are left out.

    Raises:
        ValueError: it is no RECORD, or states two things of one file, or uses a hash that proves nothing.
    """
    found: dict[str, Stated] = {}
    try:
        lines = (line for line in io.StringIO(text, newline="") if line.strip())
        entries = [RecordEntry.from_elements(*row) for row in parse_record_file(lines)]
    except (InvalidRecordEntry, csv.Error) as exc:
        raise ValueError(f"{NAME} cannot be read: {exc}") from exc
    for entry in entries:
        if entry.hash_ is None:
            continue
        stated = Stated(entry.hash_.name, entry.hash_.value.rstrip("="), -1 if entry.size is None else entry.size)
        if stated.algorithm not in _ALGORITHMS:
            raise ValueError(f"{NAME} has a {stated.algorithm} of {entry.path!r}; expected {', '.join(_ALGORITHMS)}")
        if found.setdefault(entry.path, stated) != stated:
            raise ValueError(f"{NAME} states two hashes of {entry.path!r}")
    return found


def encoded(digest: bytes) -> str:
    """*digest* as RECORD writes it."""
    return urlsafe_b64encode(digest).decode("ascii").rstrip("=")


@frozen
class Line:
    """One installed file: its path in the prefix, sha256 in hexadecimal and size; both left out for ``.pyc`` files."""

    path: str
    sha256: str = ""
    size: int = 0


def encode(lines: Iterable[Line], site_packages: str, own: str) -> bytes:
    """The RECORD at *own*, sorted, paths relative to *site_packages*; all are relative to the prefix."""
    entries = [RecordEntry(posixpath.relpath(own, site_packages), None, None)]
    for line in lines:
        path = posixpath.relpath(line.path, site_packages)
        known = Hash("sha256", encoded(bytes.fromhex(line.sha256))) if line.sha256 else None
        entries.append(RecordEntry(path, known, line.size if known else None))
    with construct_record_file((_ROOT, entry) for entry in entries) as stream:
        return stream.read()
