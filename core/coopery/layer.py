"""Layers and what they are cut from.

A ``Tree`` is one artifact laid out alone: which paths it has and how to read them. A ``Layer`` is the tar that was
cut from it. Core cuts; materializers only describe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

from attrs import field, frozen

from coopery.digest import Digest

TAR: Final = "application/vnd.oci.image.layer.v1.tar"
TAR_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
TAR_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"


@frozen
class Entry:
    """One path of a tree.

    Attributes:
        path: relative to ``/``, no leading slash: ``opt/env/bin/python``.
        kind: ``file``, ``symlink``, ``hardlink`` or ``directory``. Parents need not be listed: cutting adds them.
        mode: permission bits, 0 to 0o7777.
        target: of a symlink, as it stands; of a hardlink, an earlier path of the same tree.
        source: content of a file: bytes, or the path of a file on the host whose whole content it is.
        size: bytes of the content; must agree with *source*.
        uid, gid: owner. Packages always have 0 and 0; copied files may have others.
    """

    path: str
    kind: Literal["file", "symlink", "hardlink", "directory"] = "file"
    mode: int = 0o644
    target: str = ""
    source: bytes | Path = b""
    size: int = 0
    uid: int = 0
    gid: int = 0


@frozen
class Tree:
    """One artifact, laid out alone for one prefix.

    Attributes:
        name: what people call it: ``numpy 1.26.4 py311_0``.
        package: the package's name, ``numpy``: what buckets hash and ties are broken by.
        identity: everything that the bytes depend on, as sorted pairs of strings: artifact sha256, prefix, Python
            version where it matters, bytecode. Core adds its own recipe tag and hashes it.
        paths: every path that `entries` will yield, found cheaply (no content is read). Clashes are found from these.
            Directories may be left out, or end with a slash. A path that is named here and not yielded, as the
            ``.pyc`` of a module that does not compile, is in no layer if this tree wins it.
        entries: yields the entries; called only when no layer with this identity is kept, perhaps twice, and from any
            thread: two trees of one materializer may be walked at once.
        rank: who wins a path that two trees have: the higher; ties by name. From the order of dependencies.
        floor: 0 for conda, 1 for pip, …: a layer of a lower floor is always below one of a higher.
        last: the one small tree that depends on the whole environment; always the top layer.
    """

    name: str
    package: str
    identity: tuple[tuple[str, str], ...]
    paths: Callable[[], Iterable[str]] = field(eq=False, repr=False)
    entries: Callable[[], Iterable[Entry]] = field(eq=False, repr=False)
    rank: int = 0
    floor: int = 0
    last: bool = False


@frozen
class Layer:
    """One change set, stored as a blob.

    Attributes:
        diff_id: digest of the uncompressed tar. OCI image spec v1.1, config.md, "Layer DiffID".
        digest: digest of the stored bytes; equals ``diff_id`` where they are not compressed.
        size: stored bytes.
        media_type: of the stored bytes.
        created_by: one line for the image's history.
        packages: names of the packages inside; more than one where layers share a bucket.
        made: True when it was cut in this build rather than found in the layer store. No part of equality.
    """

    diff_id: Digest
    digest: Digest
    size: int
    media_type: str = TAR
    created_by: str = ""
    packages: tuple[str, ...] = ()
    made: bool = field(default=False, eq=False)
