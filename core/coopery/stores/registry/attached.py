"""What goes with a record: its lock, its log. Kept as referrers of its manifest, so that other tools find them.

Source: OCI distribution spec v1.1, "Listing Referrers"; for registries without that, "Referrers Tag Schema", which
`coopery.registry.referrers` keeps. Two writers at once may lose an entry there, in a list that only people look at.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Final

from coopery.cache import Kind
from coopery.errors import CacheError, IntegrityError
from coopery.oci.descriptor import Descriptor
from coopery.stores.registry import tags as _tags
from coopery.stores.registry.artifact import checked, layer, of_blob, unzipped
from coopery.stores.registry.repository import Repository

TYPE: Final = "application/vnd.coopery.{}.v1"
_BLOB: Final = "application/gzip"


def attach(repository: Repository, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
    """Attach *files*, each under what it is, to the newest record of *name*.

    Raises:
        CacheError: there is no such record, or the registry failed.
    """
    subject = _subject(repository, kind, name)
    if subject is None:
        raise CacheError(f"{kind} {name[:80]!r}: nothing is recorded that something could be attached to")
    for what, data in sorted(files.items()):
        said = {"org.opencontainers.image.title": f"{what}"}
        blob = gzip.compress(data, 6, mtime=0)
        repository.put(of_blob(blob, TYPE.format(what), _BLOB, said, subject, embed=False), "")


def attached(repository: Repository, kind: Kind, name: str, what: str) -> bytes | None:
    """What is attached to the newest record of *name* as *what*; None where nothing is, or it is damaged."""
    try:
        subject = _subject(repository, kind, name)
        found = repository.referrers(subject.digest, TYPE.format(what)) if subject is not None else ()
        for one in sorted(found, key=lambda descriptor: descriptor.digest):
            there = repository.manifest(one.digest)
            if there is not None:
                where = f"{repository.name}@{one.digest}"
                wanted, data = layer(there[1], TYPE.format(what), where)
                return unzipped(data or checked(repository.blob(wanted), wanted, where), where)
    except IntegrityError:
        return None
    return None


def _subject(repository: Repository, kind: Kind, name: str) -> Descriptor | None:
    there = repository.manifest(_tags.pointer(kind, name))
    return there[0] if there is not None else None
