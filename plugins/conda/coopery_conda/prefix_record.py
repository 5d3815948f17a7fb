"""``conda-meta/<name>-<version>-<build>.json`` in one form: a function of the package and the prefix.

What conda's clients add of the machine that installs is left out: ``extracted_package_dir``, ``link``,
``requested_specs``, local URLs; paths are sorted. Source of the field names: conda's ``PrefixRecord``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from coopery.lock import Artifact
from coopery_conda.channels import canonical_url, public

_KEPT: Final = (
    "arch",
    "build_number",
    "constrains",
    "depends",
    "features",
    "license",
    "license_family",
    "noarch",
    "platform",
    "python_site_packages_path",
    "timestamp",
    "track_features",
)
"""Fields of ``info/index.json`` that stand in the record as they are, where they are set."""


@frozen
class Recorded:
    """One path in the prefix, as a record has it.

    Attributes:
        path: relative to the prefix.
        path_type: ``hardlink``, ``softlink``, ``directory``, ``unix_python_entry_point`` or ``pyc_file``.
        sha256: of the file in the package; empty where there is none.
        sha256_in_prefix: of the file in the prefix, where it differs.
        size: bytes in the prefix, or -1.
        placeholder, file_mode: what was replaced; empty where nothing was.
    """

    path: str
    path_type: str
    sha256: str = ""
    sha256_in_prefix: str = ""
    size: int = -1
    placeholder: str = ""
    file_mode: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry of ``paths_data``."""
        optional = {
            "sha256": self.sha256,
            "sha256_in_prefix": self.sha256_in_prefix,
            "prefix_placeholder": self.placeholder,
            "file_mode": self.file_mode,
        }
        size = {"size_in_bytes": self.size} if self.size >= 0 else {}
        return {"_path": self.path, "path_type": self.path_type, **size, **{k: v for k, v in optional.items() if v}}


def path_of(artifact: Artifact) -> str:
    """Where the record is, relative to the prefix."""
    return f"conda-meta/{artifact.name}-{artifact.version}-{artifact.build}.json"


def encode(artifact: Artifact, index: dict[str, Any], recorded: Iterable[Recorded]) -> bytes:
    """The record of one package that has *recorded* in the prefix."""
    paths = sorted(recorded, key=lambda one: one.path)
    document = {
        **{name: index[name] for name in _KEPT if index.get(name) is not None},
        "name": artifact.name,
        "version": artifact.version,
        "build": artifact.build,
        "build_number": index.get("build_number", 0),
        "depends": index.get("depends") or [],
        "subdir": artifact.subdir,
        "fn": artifact.file_name,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "channel": public(artifact.source) if not _is_local(artifact) else canonical_url(artifact.source),
        "url": f"{canonical_url(artifact.source)}/{artifact.subdir}/{artifact.file_name}",
        "files": [one.path for one in paths if one.path_type != "directory"],
        "paths_data": {"paths_version": 1, "paths": [one.to_json() for one in paths]},
    }
    return (json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def _is_local(artifact: Artifact) -> bool:
    return canonical_url(artifact.source).startswith("file:")
