"""A folder of SIF files as a place: ``<image id>.sif``, and beside each a small note that makes asking quick.

The note says what the SIF was when it was whole: digest, size, time. A SIF of that size and time is believed; one of
that size and another time (a copy, a restored backup) is read again; anything else is no image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve, frozen

from coopery import digest as _digest
from coopery import use
from coopery.digest import Digest
from coopery.errors import NotFound, UnsupportedError
from coopery.home import Home
from coopery.image import encode
from coopery.place import Presence, RunRequest
from coopery.whole import write_whole

FOLDER: Final = "sif"
Run = Callable[[Path, "Note", RunRequest], int]


@frozen
class Note:
    """What was true of a SIF when it was put here.

    Attributes:
        image: OCI config digest.
        digest: of the whole file.
        size: bytes.
        mtime: nanoseconds since 1970.
        manifest: under which the layout lists the image's layers.
        shell, sourced, cwd, command: as in `coopery_singularity.metadata.Entry`.
    """

    image: Digest
    digest: Digest
    size: int
    mtime: int
    manifest: Digest
    shell: str
    sourced: tuple[str, ...]
    cwd: str
    command: tuple[str, ...]


class SifPlace:
    """The SIF files of one cache folder.

    Args:
        home: the cache folder.
        run: how to run a process in one; a backend brings it.
    """

    def __init__(self, home: Path, run: Run | None = None) -> None:
        self._home = Home(home)
        self._run = run
        self.folder = home / FOLDER
        self.name = f"sif:{self.folder}"

    def path(self, image: Digest) -> Path:
        """Where the SIF of *image* is, or would be."""
        return self.folder / f"{_digest.hex_of(_digest.parse(image))}.sif"

    def exists(self, image: Digest, digest: Digest) -> Presence:
        """Whether the SIF of *image* is here, unchanged, as *digest*. Two system calls and a small file."""
        try:
            note = self.note(image)
            return Presence.YES if note is not None and note.digest == digest else Presence.NO
        except OSError:  # the disk could not be asked; that is neither yes nor no
            return Presence.UNKNOWN

    def note(self, image: Digest) -> Note | None:
        """What is known of the SIF of *image*; None where there is none, or another than the note speaks of.

        Raises:
            OSError: the disk could not be asked.
        """
        path = self.path(image)
        found = self._read(path.with_suffix(".json"))
        if found is None or found.image != image:
            return None
        try:
            now = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if now.st_size != found.size:
            return None
        if now.st_mtime_ns == found.mtime:
            return found
        with path.open("rb") as file:
            if _digest.of_file(file) != found.digest:
                return None
        renewed = evolve(found, mtime=now.st_mtime_ns)
        self.write(renewed)
        return renewed

    def write(self, note: Note) -> None:
        """Put *note* beside its SIF.

        Raises:
            CacheError: the disk refused.
        """
        body = asdict(note)
        record = encode({"body": body, "checksum": _digest.of_bytes(encode(body))})
        write_whole(self.path(note.image).with_suffix(".json"), record, self._home.staging)

    def mark(self, digest: Digest) -> bool:
        """Note that the image whose SIF is *digest* is used now; False when it is not here."""
        note = self.find(digest)
        if note is None:
            return False
        layout = self._home.images / "blobs" / "sha256" / _digest.hex_of(note.manifest)
        use.mark(layout, self._home.staging)
        return use.mark(self.path(note.image).with_suffix(".json"), self._home.staging)

    def find(self, digest: Digest) -> Note | None:
        """The note of the SIF that is *digest*."""
        try:
            names = sorted(path for path in self.folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return None
        return next((note for note in map(self._read, names) if note is not None and note.digest == digest), None)

    def remove(self, image: Digest, digest: Digest) -> bool:
        """Delete the SIF of *image*; False when it was not here, or is another than *digest*."""
        note = self._read(self.path(image).with_suffix(".json"))
        if note is None or note.digest != digest:
            return False
        self.path(image).with_suffix(".json").unlink(missing_ok=True)  # first: without its note a SIF is no image
        there = self.path(image).exists()
        self.path(image).unlink(missing_ok=True)
        return there

    def run(self, digest: Digest, request: RunRequest) -> int:
        """Run a process in the SIF.

        Raises:
            UnsupportedError: this place was made without a backend.
            NotFound: it is not here, or no longer what it was.
        """
        if self._run is None:
            raise UnsupportedError("singularity", "run images", "run")
        known = self.find(digest)
        note = self.note(known.image) if known is not None else None
        if note is None:
            raise NotFound(
                f"{self.name}: no image {digest}, or its file has changed", remedy="build its definition again"
            )
        return self._run(self.path(note.image), note, request)

    def _read(self, path: Path) -> Note | None:
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
            body = document["body"]
            if document["checksum"] != _digest.of_bytes(encode(body)):
                return None
            shell = {True: "/bin/sh", False: ""}.get(body["shell"], body["shell"])  # older notes say whether
            told = {"shell": shell, "sourced": tuple(body["sourced"]), "command": tuple(body["command"])}
            return Note(**{**body, **told})
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, RecursionError):  # damaged: as good as none
            return None
