"""What is asked of a package in every build, kept in one small file beside it, so that warm builds read only that.

It can be made again from the package at any time; a damaged one is made again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from coopery.errors import PackageError
from coopery.lock import Artifact
from coopery.whole import write_whole
from coopery_conda.package import Package

_TAG: Final = "coopery.conda.summary.v2"
_REMEDY: Final = (
    "its channel's index, or a lock file that was edited or merged by hand, is wrong;"
    " `coopery lock FILE --update NAME` chooses it anew"
)
_LIBRARY: Final = re.compile(r"(lib/python\d+\.\d+t?)/.*\.py")
_SCRIPT: Final = re.compile(r"bin/\.[^/]+-(pre-link|post-link|pre-unlink)\.sh")
_ACTIVATE: Final = re.compile(r"etc/conda/(de)?activate\.d/[^/]+\.sh")
_VARIABLES: Final = re.compile(r"etc/conda/env_vars\.d/[^/]+\.json")


@frozen
class Summary:
    """A package in short.

    Attributes:
        name: what it calls itself, in lower case.
        version: and its version.
        build: and its build string.
        depends: names of what it depends on, sorted; virtual packages too.
        noarch: ``python``, ``generic`` or empty.
        site_packages: of a Python that says where its packages go, ``lib/python3.13t/site-packages``; else empty.
        libraries: folders below which it has ``.py`` files of its own, ``lib/python3.12``.
        scripts: link scripts, which no build runs.
        activate: shell files for activation and deactivation.
        variables: JSON files with environment variables.
    """

    name: str
    version: str
    build: str
    depends: tuple[str, ...] = ()
    noarch: str = ""
    site_packages: str = ""
    libraries: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    activate: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    def check(self, artifact: Artifact) -> None:
        """See that the package is what the lock says: in every build, so that no cache hides a lock that is untrue.

        Raises:
            PackageError: it is another.
        """
        said = (self.name, self.version, self.build)
        if said != (artifact.name, artifact.version, artifact.build):
            message = f"says of itself that it is {'-'.join(said)}, and is locked as {artifact}"
            raise PackageError(artifact.file_name, message, remedy=_REMEDY)


def summarize(package: Package) -> Summary:
    """Read the package itself.

    Raises:
        PackageError: damaged or hostile.
    """
    index = package.index()
    files = [row.path for row in package.rows()]
    return Summary(
        name=index["name"].lower(),
        version=index["version"],
        build=index["build"],
        depends=_names(package, index.get("depends") or []),
        noarch=_noarch(index),
        site_packages=index.get("python_site_packages_path") or "",
        libraries=tuple(sorted({match[1] for path in files if (match := _LIBRARY.fullmatch(path))})),
        scripts=_matching(_SCRIPT, files),
        activate=_matching(_ACTIVATE, files),
        variables=_matching(_VARIABLES, files),
    )


def load(path: Path) -> Summary | None:
    """The summary kept at *path*; None when there is none that can be used."""
    try:
        document = json.loads(path.read_bytes())
        if document.pop("tag") != _TAG:
            return None
        fields: dict[str, Any] = {str(k): tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return Summary(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def save(path: Path, summary: Summary, staging: Path) -> None:
    """Keep *summary* at *path*, whole or not at all."""
    document: dict[str, Any] = {"tag": _TAG, **asdict(summary)}
    write_whole(path, json.dumps(document, sort_keys=True).encode(), staging)


def _names(package: Package, depends: Any) -> tuple[str, ...]:
    if not isinstance(depends, list) or not all(isinstance(text, str) and text.strip() for text in depends):
        raise package.error(f"info/index.json: expected a list of match specs as 'depends', got {depends!r}")
    return tuple(sorted({re.split(r"[\s=<>!~\[;]", text.strip(), maxsplit=1)[0].lower() for text in depends}))


def _noarch(index: dict[str, Any]) -> str:
    """``noarch: true`` is how packages before ``noarch: python`` said ``generic``."""
    value = index.get("noarch")
    return value if value in ("python", "generic") else "generic" if value is True else ""


def _matching(pattern: re.Pattern[str], files: list[str]) -> tuple[str, ...]:
    return tuple(sorted(path for path in files if pattern.fullmatch(path)))
