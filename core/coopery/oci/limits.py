"""How much of what others made is read before it counts as an attack."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Limits:
    """Bounds for one layer or archive. Above them reading stops with an IntegrityError that names the bound.

    The defaults leave the largest public images alone: CUDA with PyTorch is 20 GiB in 200,000 files, and compresses
    3 to 1.

    Attributes:
        size: bytes after decompression.
        ratio: decompressed over stored bytes; looked at above *floor* bytes only, since a small file of zeros
            compresses 1,000 to 1 in all innocence.
        floor: bytes below which *ratio* is not looked at.
        entries: entries in one tar.
        window: bytes that a zstd frame may ask to keep in memory (RFC 8878, section 3.1.1.1.2, asks for 8 MiB at
            least; ``zstd --long`` writes 128 MiB).
    """

    size: int = 128 << 30
    ratio: int = 250
    floor: int = 128 << 20
    entries: int = 400_000
    window: int = 128 << 20


DEFAULT: Final = Limits()
