"""What a wheel is called: by its file name, by itself and by the lock, which must be one thing.

Looked at in every build, also where the wheel was unpacked and cut long ago: a lock that was merged or edited into
something untrue is refused on every machine, not only on those that have to fetch.
"""

from __future__ import annotations

from typing import Final

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from coopery.errors import PackageError
from coopery.lock import Artifact

_REMEDY: Final = "if the lock file was edited or merged by hand, `coopery lock FILE --update NAME` chooses it anew"


def check_file_name(artifact: Artifact) -> None:
    """See that the file name is a wheel's, of the name and the version in the lock.

    Raises:
        PackageError: it is not.
    """
    try:
        name, version, _, _ = parse_wheel_filename(artifact.file_name)
    except InvalidWheelFilename as exc:
        raise PackageError(artifact.file_name, f"is not the file name of a wheel: {exc}") from exc
    if (name, version) != _locked(artifact):
        raise PackageError(artifact.file_name, f"is locked as {artifact}", remedy=_REMEDY)


def check_dist_info(artifact: Artifact, folder: str) -> None:
    """See that *folder*, the wheel's own ``NAME-VERSION.dist-info``, is that of the lock.

    Raises:
        PackageError: it is not.
    """
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    if (canonicalize_name(name), _version(version)) != _locked(artifact):
        raise PackageError(artifact.file_name, f"holds {folder!r}, and is locked as {artifact}", remedy=_REMEDY)


def _locked(artifact: Artifact) -> tuple[str, Version | None]:
    return canonicalize_name(artifact.name), _version(artifact.version)


def _version(text: str) -> Version | None:
    try:
        return Version(text.replace("_", "+", 1))
    except InvalidVersion:
        return None
