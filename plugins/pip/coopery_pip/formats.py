"""What ``no_binary`` and ``only_binary`` say of a package. A name counts before ``:all:``, as with pip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from packaging.utils import canonicalize_name

from coopery.definition import Pip

_ALL: Final = ":all:"


def may_build(content: Pip, name: str) -> bool:
    """Whether *name* may be built from source, where an index has no wheel of it that fits."""
    return not _is_named(content.only_binary, name) or canonicalize_name(name) in _names(content.no_binary)


def must_build(content: Pip, name: str) -> bool:
    """Whether *name* must be built from source, whatever wheels there are."""
    return _is_named(content.no_binary, name) and canonicalize_name(name) not in _names(content.only_binary)


def _names(listed: Sequence[str]) -> set[str]:
    return {canonicalize_name(name) for name in listed if not name.startswith(":")}


def _is_named(listed: Sequence[str], name: str) -> bool:
    return _ALL in listed or canonicalize_name(name) in _names(listed)
