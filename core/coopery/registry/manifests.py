"""Manifests: asked for, looked for, put, deleted. Spec: "Pulling manifests", "Pushing Manifests", "Deleting tags"."""

from __future__ import annotations

from typing import Final

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError, NetworkError
from coopery.oci import media
from coopery.oci.descriptor import Descriptor
from coopery.oci.document import MAX_BYTES
from coopery.registry.check import KNOWN, check
from coopery.registry.endpoint import Endpoint
from coopery.wire.answer import Answer

ACCEPT: Final = {"Accept": ", ".join((media.MANIFEST, media.INDEX, media.DOCKER_MANIFEST, media.DOCKER_INDEX))}
"""A registry that is not told converts, or (distribution 2.8) answers 404."""

_MISSING: Final = 404
_DIGEST_HEADER: Final = "Docker-Content-Digest"


def get(endpoint: Endpoint, version: str, limit: int = MAX_BYTES) -> tuple[Descriptor, bytes]:
    """The manifest or index that *version*, a tag or digest, names; checked by `coopery.registry.check`.

    Tried again where it breaks off.

    Raises:
        NetworkError: it cannot be had; status 404 where it is not there.
        IntegrityError: it is not what it should be, or has more than *limit* bytes.
    """
    tries = endpoint.http.tries()
    while True:
        try:
            with endpoint.open("GET", f"manifests/{version}", headers=ACCEPT, retry=False) as answer:
                return _read(endpoint, version, answer, limit)
        except NetworkError as exc:
            tries.failed(exc)


def _read(endpoint: Endpoint, version: str, answer: Answer, limit: int) -> tuple[Descriptor, bytes]:
    where = f"{endpoint.name}: manifest {version}"
    if (answer.length or 0) > limit:
        raise IntegrityError(f"{where}: stated as {answer.length} bytes; at most {limit} are read")
    data = b""
    while piece := answer.read(limit + 1 - len(data)):
        data += piece
        if len(data) > limit:
            raise IntegrityError(f"{where}: more than {limit} bytes")
    headers = answer.headers
    wanted = _digest.parse(version) if version.startswith("sha256:") else None
    found = check(data, headers.get("Content-Type", ""), headers.get(_DIGEST_HEADER, ""), wanted, where)
    return found, data


def head(endpoint: Endpoint, version: str) -> Descriptor | None:
    """What *version* names, without fetching it; None where it is not there.

    A registry that leaves out what a descriptor needs is asked for the manifest itself.

    Raises:
        NetworkError: the registry could not be asked.
        IntegrityError: it names another digest than was asked for.
    """
    with endpoint.open("HEAD", f"manifests/{version}", headers=ACCEPT, accept=(200, _MISSING)) as answer:
        if answer.status == _MISSING:
            return None
        found = _described(answer)
    if found is None:
        found, _ = get(endpoint, version)
    if version.startswith("sha256:") and found.digest != version:
        raise IntegrityError(f"{endpoint.name}: asked for {version}, the registry speaks of {found.digest}")
    return found


def _described(answer: Answer) -> Descriptor | None:
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    try:
        digest = _digest.parse(answer.headers.get(_DIGEST_HEADER, ""))
    except ValueError:
        return None
    if answer.length is None or media_type not in KNOWN:
        return None
    return Descriptor(media_type, digest, answer.length)


def put(endpoint: Endpoint, data: bytes, media_type: str, tag: str) -> tuple[Digest, bool]:
    """Push a manifest whose blobs are all there, by its digest or by *tag*.

    Returns:
        Its digest, and whether the registry saw to the manifest's ``subject`` itself (header ``OCI-Subject``).

    Raises:
        NetworkError: the registry did not take it.
        IntegrityError: it took it for something else.
    """
    digest = _digest.of_bytes(data)
    headers = {"Content-Type": media_type}
    opened = endpoint.open(
        "PUT", f"manifests/{tag or digest}", action="push", headers=headers, body=data, accept=(200, 201, 202)
    )
    with opened as answer:
        stated = answer.headers.get(_DIGEST_HEADER, "")
        if stated.startswith("sha256:") and stated != digest:
            raise IntegrityError(f"{endpoint.name}: we pushed {digest}, the registry speaks of {stated}")
        return digest, bool(answer.headers.get("OCI-Subject"))


def delete(endpoint: Endpoint, digest: Digest) -> bool:
    """Delete the manifest and every tag that names it; False where it was not there.

    Raises:
        NetworkError: the registry did not, or (405) never does.
    """
    opened = endpoint.open("DELETE", f"manifests/{digest}", action="delete", accept=(200, 202, _MISSING))
    with opened as answer:
        return answer.status != _MISSING
