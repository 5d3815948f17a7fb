"""Pins: what `gc` must keep, by a name that a person chose. A pin names an image, a lock, or both; never a key.

``pins/<name>.json`` in the cache folder, each whole and with a checksum: a damaged pin stops every collection, since
nobody knows then what it kept.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from attrs import frozen

from coopery import digest as _digest
from coopery.blobs import disk_error
from coopery.digest import Digest
from coopery.errors import IntegrityError, NotFound, UsageError
from coopery.home import Home
from coopery.image import encode
from coopery.lock import Lock
from coopery.whole import write_whole

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FORM: Final = "coopery.pin.v1"


@frozen
class Pin:
    """What is kept under one name.

    Attributes:
        name: letters, digits and ``. _ -``.
        image: config digest of the image; None where a lock alone is pinned.
        locks: the locks whose packages are kept; one for each platform.
        what: where it came from, for people: ``key 3f2a9c…, generation 2``.
    """

    name: str
    image: Digest | None = None
    locks: tuple[Lock, ...] = ()
    what: str = ""


def check_name(name: str) -> str:
    """*name*, when a pin may have it.

    Raises:
        UsageError: another form.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r}: no name of a pin", remedy="write letters and digits, joined by . _ or -")
    return name


def add(home: Home, pin: Pin) -> Pin:
    """Keep *pin*. The same pin again changes nothing.

    Raises:
        UsageError: the name is taken by something else.
        CacheError: the disk refused.
    """
    path = home.pins / f"{check_name(pin.name)}.json"
    known = next((other for other in pins(home) if other.name == pin.name), None)
    if known is not None and (known.image, known.locks) != (pin.image, pin.locks):
        raise UsageError(
            f"the name {pin.name!r} is taken: {known.what or known.image}",
            remedy=f"coopery unpin {pin.name}, or give another name with --name",
        )
    body = {
        "form": _FORM,
        "name": pin.name,
        "image": pin.image,
        "locks": [lock.to_json() for lock in pin.locks],
        "what": pin.what,
    }
    write_whole(path, encode({"body": body, "checksum": _digest.of_bytes(encode(body))}) + b"\n", home.staging)
    return pin


def remove(home: Home, name: str) -> Pin:
    """Forget the pin called *name*, and return it.

    Raises:
        NotFound: there is none.
        CacheError: the disk refused.
    """
    found = {pin.name: pin for pin in pins(home)}
    if name not in found:
        there = ", ".join(found) or "none"
        raise NotFound(f"no pin is called {name!r}", remedy=f"there are: {there}")
    try:
        (home.pins / f"{name}.json").unlink(missing_ok=True)
    except OSError as exc:
        raise disk_error(exc) from exc
    return found[name]


def pins(home: Home) -> tuple[Pin, ...]:
    """All pins, by name.

    Raises:
        IntegrityError: one is damaged.
        CacheError: the disk refused.
    """
    try:
        files = sorted(home.pins.glob("*.json"))
        return tuple(_parse(path.read_bytes(), str(path)) for path in files)
    except OSError as exc:
        raise disk_error(exc) from exc


def _parse(data: bytes, where: str) -> Pin:
    try:
        document: dict[str, Any] = json.loads(data)
        body = document["body"]
        if document["checksum"] != _digest.of_bytes(encode(body)) or body["form"] != _FORM:
            raise ValueError("its checksum is wrong")
        image = None if body["image"] is None else _digest.parse(body["image"])
        return Pin(body["name"], image, tuple(Lock.from_json(lock) for lock in body["locks"]), body["what"])
    except (ValueError, LookupError, TypeError, RecursionError) as exc:
        raise IntegrityError(
            f"{where}: this pin is damaged: {exc}",
            remedy="remove the file, and pin again; until then nothing is collected",
        ) from exc
