"""The file ``oci-layout``, which makes a folder an image layout. Source: OCI image spec v1.1, image-layout.md."""

from __future__ import annotations

from typing import Final

from coopery.image import encode
from coopery.oci import document
from coopery.oci.document import Reader

_VERSION: Final = "1.0.0"

MARKER: Final = encode({"imageLayoutVersion": _VERSION})
"""What we write into it."""


def check_marker(data: bytes, where: str) -> None:
    """Check the file's bytes. *where* is the layout, for messages.

    Raises:
        IntegrityError: malformed, or a version that we do not know.
    """
    reader = Reader(document.parse(data, f"{where}/oci-layout"), f"{where}/oci-layout: $")
    if reader.text("imageLayoutVersion") != _VERSION:
        reader.fail("imageLayoutVersion", repr(_VERSION))
