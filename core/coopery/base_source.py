"""The base source protocol: bases that need no engine, unpacked on the host into layers in the blob store."""

from __future__ import annotations

from typing import ClassVar, Protocol

from coopery.backend import Workshop
from coopery.image import Assembled
from coopery.sealed import SealedBase


class BaseSource(Protocol):
    """One way to make a base from something that is no image. Constructed by core as ``Class(workshop)``."""

    name: ClassVar[str]
    """The field of ``base`` that it answers for: ``debian``."""

    def __init__(self, workshop: Workshop) -> None: ...

    def fetch(self, base: SealedBase, platform: str) -> Assembled:
        """Fetch, verify and lay out *base* for *platform*; every layer's blob is in ``workshop.blobs`` on return.

        Equal content gives equal bytes on every machine.

        Raises:
            BaseError: it cannot be had, its signature or hash is wrong, or it is for another platform.
        """
        ...
