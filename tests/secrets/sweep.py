"""Looks for a secret wherever one could have been left: files, archives in them, databases, names, texts, processes.

Not for our own backends alone: give it the folders and texts of any build.

    canary = Canary.make()
    with Watch(folders=[tmp]) as watch:
        … a build that was given canary.text …
    assert found(canary, folders=[home, tmp], texts={"stdout": out}, watched=watch) == []
"""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import os
import secrets
import sqlite3
import threading
import time
import traceback
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

import zstandard
from attrs import define, field, frozen

_PERIOD = 0.004
_SMALL = 1 << 20
_DEEPEST = 4


@frozen
class Canary:
    """One secret, made up: letters and digits first, then what encodings change. It has no blank, for netrc."""

    text: str

    @classmethod
    def make(cls) -> Canary:
        return cls(f"{secrets.token_hex(8)}/+@:%{secrets.token_hex(4)}")

    @property
    def quoted(self) -> str:
        """As a URL has it."""
        return quote(self.text, safe="")

    def forms(self) -> tuple[bytes, ...]:
        """The secret as it is, and as base64 (three alignments, two alphabets), percent, hex and JSON have it."""
        data = self.text.encode()
        found = {data, data.hex().encode(), data.hex().upper().encode(), json.dumps(self.text)[1:-1].encode()}
        for safe in ("", "/", "/:@", "/:@+"):
            found |= {quote(self.text, safe=safe).encode(), quote_plus(self.text, safe=safe).encode()}
        found |= {form.replace(b"%2F", b"%2f").replace(b"%2B", b"%2b").replace(b"%3A", b"%3a") for form in found}
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
            start, end = (0, 2, 3)[shift], len(coded) - (1 if (shift + len(data)) % 3 else 0)
            found |= {coded[start:end], coded[start:end].replace(b"+", b"-").replace(b"/", b"_")}
        # Its first part alone: enough to be a leak, and the same in every encoding of text.
        return tuple(sorted({*found, data[:16]}))

    def isin(self, data: bytes) -> bool:
        return any(form in data for form in self.forms())


@define
class Watch:
    """While it lasts: the command lines of all processes below this one, and small files that come and go.

    Args:
        folders: watched for files, such as the one for temporary files.
    """

    folders: Iterable[Path] = ()
    seen: set[tuple[str, bytes]] = field(factory=set)
    processes: set[int] = field(factory=set)
    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(_PERIOD):
            self._processes()
            if turn % 8 == 0:
                self._files()
            turn += 1

    def _processes(self) -> None:
        for pid in _below(os.getpid()):
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                self.processes.add(pid)
                self.seen.add(("command line", line))

    def _files(self) -> None:
        for folder in self.folders:
            for path in _walk(folder):
                with suppress(OSError):
                    if path.is_file() and path.stat().st_size < _SMALL:
                        self.seen.add((f"passing file {path}", path.read_bytes()))


def _walk(folder: Path) -> Iterator[Path]:
    """Files that are there now; what goes away meanwhile is passed over."""
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)


def _below(pid: int) -> Iterator[int]:
    """The processes that *pid* started, and those that these did."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                    yield int(child)
                    yield from _below(int(child))


def found(
    canary: Canary,
    *,
    folders: Iterable[Path] = (),
    texts: Mapping[str, str | bytes] | None = None,
    watched: Watch | None = None,
) -> list[str]:
    """Where *canary* is, one line each; empty: nowhere.

    Args:
        canary: the secret.
        folders: swept whole: names, links, content, archives and databases in them.
        texts: outputs, logs, representations, by name.
        watched: processes and passing files of the time of the build.
    """
    places = [str(path) for folder in folders for path in _hits(canary, folder)]
    for name, text in (texts or {}).items():
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        if canary.isin(data):
            places.append(name)
    if watched is not None:
        places += sorted({name for name, data in watched.seen if canary.isin(data)})
    return places


def words(error: BaseException) -> str:
    """All that an exception could show: its text, fields, representation, causes and traceback."""
    parts = []
    one: BaseException | None = error
    while one is not None:
        parts += [str(one), repr(one), repr(vars(one)), repr(one.args)]
        one = one.__cause__ or one.__context__
    return "\n".join((*parts, *traceback.format_exception(error)))


def _hits(canary: Canary, folder: Path) -> Iterator[Path]:
    for path in (folder, *folder.rglob("*")):
        if canary.isin(os.fsencode(path.name)) or (path.is_symlink() and canary.isin(os.fsencode(os.readlink(path)))):
            yield path
        elif path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):
                if any(canary.isin(data) for data in _contents(path)):
                    yield path


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if data.startswith(b"SQLite format 3\0"):
        yield _rows(path)
    yield from _opened(data)


def _opened(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """*data*, and what is in it where it is compressed or an archive. A tar holds its files as they are."""
    yield data
    if depth == _DEEPEST:
        return
    if data.startswith(b"PK\x03\x04"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _opened(archive.read(name), depth + 1)
        return
    with suppress(OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, ValueError):
        inner = _decompressed(data)
        if inner is not None:
            yield from _opened(inner, depth + 1)


def _decompressed(data: bytes) -> bytes | None:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(data)
    return bz2.decompress(data) if data.startswith(b"BZh") else None


def _rows(path: Path) -> bytes:
    """Every value in a database: rows span pages, where the bytes of the file would hide them."""
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as database:
        dumped = "\n".join(database.iterdump())
        values = [
            bytes(cell) if isinstance(cell, bytes) else str(cell).encode()
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for row in database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names come from the database itself
            for cell in row
        ]
    database.close()
    return b"\n".join((dumped.encode(), *values))


def wait_for(watch: Watch, text: str, lines: int, seconds: float = 10.0) -> None:
    """Until *watch* has seen *text* in that many different command lines, or files that come and go."""
    until = time.monotonic() + seconds
    while sum(text.encode() in line for _, line in set(watch.seen)) < lines and time.monotonic() < until:
        time.sleep(_PERIOD)
