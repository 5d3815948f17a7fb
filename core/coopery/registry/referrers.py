"""What refers to an image: signatures, locks, logs. Spec: "Listing Referrers", "Referrers Tag Schema".

A registry that has no referrers API (distribution 2.8) is helped: clients keep an index under the tag ``sha256-<hex>``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError, NetworkError
from coopery.oci import document, media
from coopery.oci.descriptor import Descriptor, from_json
from coopery.oci.manifest import make_index
from coopery.registry import manifests
from coopery.registry.endpoint import Endpoint
from coopery.registry.pages import pages

_MISSING: Final = 404
_ROUNDS: Final = 5


def referrers(endpoint: Endpoint, digest: Digest, artifact_type: str) -> tuple[Descriptor, ...]:
    """Descriptors of the manifests whose ``subject`` is *digest*; of one *artifact_type*, unless that is empty.

    Raises:
        NetworkError: the registry could not be asked.
        IntegrityError: its answer is malformed.
    """
    where = f"{endpoint.name}: referrers of {digest}"
    entries = _by_api(endpoint, digest, where)
    if entries is None:
        entries = _by_tag(endpoint, digest, where)
    chosen = (entry for entry in entries if not artifact_type or entry.get("artifactType") == artifact_type)
    return tuple(from_json(entry, f"{where}: $.manifests") for entry in chosen)


def announce(endpoint: Endpoint, subject: Digest, manifest: bytes, descriptor: Descriptor) -> None:
    """Enter a pushed manifest into the index of its *subject*, for a registry that did not do so itself.

    The index cannot be changed in one step with others who change it: it is read again, and entered again where
    somebody else's index has taken the place of ours meanwhile.

    Raises:
        NetworkError: the registry could not be asked, or others were faster each time.
    """
    if _by_api(endpoint, subject, f"{endpoint.name}: referrers of {subject}") is not None:
        return
    entry = _entry(manifest, descriptor)
    for _ in range(_ROUNDS):
        there = _by_tag(endpoint, subject, f"{endpoint.name}: referrers of {subject}")
        if any(known.get("digest") == descriptor.digest for known in there):
            return
        manifests.put(endpoint, make_index([*there, entry]), media.INDEX, tag_of(subject))
    raise NetworkError(
        endpoint.url(f"manifests/{tag_of(subject)}"),
        "others change the index of referrers all the time",
        transient=True,
    )


def tag_of(digest: Digest) -> str:
    """The tag under which the referrers of *digest* are listed."""
    return f"sha256-{_digest.hex_of(digest)}"


def subject_of(manifest: bytes) -> Digest | None:
    """What *manifest* refers to, if anything.

    Raises:
        IntegrityError: it is no manifest.
    """
    subject = document.parse(manifest, "manifest").get("subject")
    return from_json(subject, "manifest: $.subject").digest if subject is not None else None


def _by_api(endpoint: Endpoint, digest: Digest, where: str) -> list[dict[str, Any]] | None:
    """All entries, unfiltered: filtering is optional for a registry, and what is filtered may be paged differently."""
    found: list[dict[str, Any]] = []
    for page in pages(endpoint, f"referrers/{digest}", accept=(200, 400, _MISSING)):
        if page.status != 200 or page.media_type != media.INDEX:
            return None
        found += _entries(page.data, where)
    return found


def _by_tag(endpoint: Endpoint, digest: Digest, where: str) -> list[dict[str, Any]]:
    try:
        _, data = manifests.get(endpoint, tag_of(digest))
    except NetworkError as exc:
        if exc.status == _MISSING:
            return []
        raise
    return _entries(data, where)


def _entries(data: bytes, where: str) -> list[dict[str, Any]]:
    entries = document.parse(data, where).get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise IntegrityError(f"{where}: expected a list of manifests")
    return entries


def _entry(manifest: bytes, descriptor: Descriptor) -> dict[str, Any]:
    """The descriptor with the manifest's own type and annotations, as the spec asks of the index."""
    read = json.loads(manifest)
    kind = read.get("artifactType") or read.get("config", {}).get("mediaType", "")
    entry = {**descriptor.to_json(), "artifactType": kind}
    return {**entry, "annotations": read["annotations"]} if read.get("annotations") else entry
