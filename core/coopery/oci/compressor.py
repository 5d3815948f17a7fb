"""Compression for the wire: gzip by isal where it is installed and by zlib elsewhere, zstd by ``zstandard``.

Equal input gives equal output whatever the number of processors, the hour and the user: no name and no time in gzip's
header, blocks of a fixed size, and zstd's multi-threaded form even on one thread (its frames differ from the
single-threaded form's, and not among numbers of threads). Another version of a library may give other bytes: a
compressed layer's digest is no part of an image id.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from coopery.oci.media import Compression

GZIP_LEVEL: Final = 1
"""isal at level 1 deflates at 5 times the speed of zlib's own level 1, at about the same size."""

ZSTD_LEVEL: Final = 3
_BLOCK: Final = 1 << 20
_SMALL: Final = 4 << 20
"""Below this many bytes a second thread costs more than it gives."""

_MOST_THREADS: Final = 8


class Sink(Protocol):
    """What can be written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of *data*."""
        ...


@contextmanager
def deflating(sink: Sink, compression: Compression, size: int) -> Iterator[Sink]:
    """What is written to the given sink goes to *sink* compressed; it is complete when the context ends well.

    Args:
        sink: takes the compressed bytes, perhaps from another thread.
        compression: ``gzip`` or ``zstd``.
        size: bytes that will be written; says how many threads are worth it, and stands in a zstd frame's header.
    """
    threads = 1 if size < _SMALL else min(_processors(), _MOST_THREADS)
    with _gzip(sink, threads) if compression == "gzip" else _zstd(sink, size, threads) as opened:
        yield opened


@contextmanager
def _gzip(sink: Sink, threads: int) -> Iterator[Sink]:
    try:
        from isal import igzip_threaded
    except ImportError:  # a processor that isal has no code for
        deflater = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        yield _Deflater(deflater, sink)
        sink.write(deflater.flush())
        return
    opened = igzip_threaded.open(  # type: ignore[no-untyped-call]  # isal has no types here
        _Flushable(sink), "wb", GZIP_LEVEL, threads=threads, block_size=_BLOCK
    )
    with opened:
        yield opened


@contextmanager
def _zstd(sink: Sink, size: int, threads: int) -> Iterator[Sink]:
    import zstandard

    deflater = zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=threads).compressobj(size=size)
    yield _Deflater(deflater, sink)
    sink.write(deflater.flush())


class _Engine(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...


class _Deflater:
    def __init__(self, engine: _Engine, sink: Sink) -> None:
        self._engine = engine
        self._sink = sink

    def write(self, data: bytes, /) -> None:
        if out := self._engine.compress(data):
            self._sink.write(out)


class _Flushable:
    """isal's writer flushes what it writes to; a blob is synced by the blob store."""

    def __init__(self, sink: Sink) -> None:
        self.write = sink.write

    def flush(self) -> None:
        pass


def _processors() -> int:
    """Processors that this process may use, which in a container are fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
