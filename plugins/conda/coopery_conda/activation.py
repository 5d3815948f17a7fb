"""What packages want of the process that runs: variables, shell files, scripts. Read, and never run.

Source: conda's activation, ``etc/conda/env_vars.d/*.json`` in order of their names, later ones winning, and
``etc/conda/activate.d/*.sh``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from coopery.bytecode import Python
from coopery.materializer import Configuration
from coopery_conda.link import Linked

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTERPRETER_ONLY: Final = ("PYTHONHOME", "PYTHONPATH")


def configuration(
    linked: Sequence[Linked], prefix: str, python: Python | None, ranks: Mapping[str, int]
) -> Configuration:
    """What *linked* packages bring into an image's config.

    Raises:
        PackageError: a file of variables is not a JSON object of strings.
    """
    env = {"CONDA_PREFIX": prefix, **({"PYTHONNOUSERSITE": "1"} if python else {})}
    env.update(_variables(linked, ranks))
    return Configuration(
        path=(f"{prefix}/bin",),
        env=tuple(sorted(env.items())),
        unset=_INTERPRETER_ONLY if python else (),
        notes=tuple(note for one in linked for note in _notes(one)),
        activate=_activate(linked, prefix),
    )


def _variables(linked: Sequence[Linked], ranks: Mapping[str, int]) -> dict[str, str]:
    """Of a file that two packages have, only the winner's counts: it alone is in the image."""
    owners: dict[str, Linked] = {}
    for one in sorted(linked, key=lambda one: ranks[one.artifact.name]):
        owners.update(dict.fromkeys(one.summary.variables, one))
    found: dict[str, str] = {}
    for path, one in sorted(owners.items()):
        found.update(_read(one, path))
    return found


def _read(linked: Linked, path: str) -> dict[str, str]:
    content = linked.content(path)
    try:
        document = json.loads(content or b"null")
    except (ValueError, RecursionError) as exc:
        raise linked.package.error(f"{path}: expected a JSON object of strings: {exc}") from exc
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise linked.package.error(f"{path}: expected a JSON object of strings")
    for name, text in document.items():
        if not _NAME.fullmatch(name) or "\0" in text:
            raise linked.package.error(f"{path}: {name!a} cannot be the name of a variable, or its value has a NUL")
    return document


def _activate(linked: Sequence[Linked], prefix: str) -> tuple[str, ...]:
    files = {path for one in linked for path in one.summary.activate if "/activate.d/" in path}
    return tuple(f"{prefix}/{path}" for path in sorted(files))


def _notes(linked: Linked) -> list[str]:
    name = linked.artifact.name
    notes = [f"{name}: {path} was not run; packages' link scripts never are" for path in linked.summary.scripts]
    files = [path for path in linked.summary.activate if "/activate.d/" in path]
    return notes + [f"{name}: {path} is sourced by 'coopery run' where the image has a shell" for path in files]
