"""From files and variables to `Settings`. On most machines there is no file, and then TOML is not even imported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from coopery.errors import Problem, SettingsError
from coopery.settings.known import TABLES, VARIABLES
from coopery.settings.values import Settings

SYSTEM: Final = Path("/etc/coopery/settings.toml")
PROJECT_FILE: Final = ".coopery.toml"

_PATHS: Final = frozenset({"home", "ca_bundle"})
"""Variables that need no check, and so cost a hit nothing. A folder may be called anything."""


def load(environ: Mapping[str, str] = os.environ, cwd: Path | None = None, *, system: Path = SYSTEM) -> Settings:
    """Settings of this machine, user, project and environment.

    Args:
        environ: the environment.
        cwd: folder at and above which the project's file is looked for; the working directory unless given.
        system: the machine's own file.

    Raises:
        SettingsError: a file is not TOML; a setting is unknown, of the wrong type, or one that a project may not set.
            Carries every mistake in all files and variables.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for path in candidates(environ, cwd or Path.cwd(), system=system):
        if os.path.isfile(path):  # os.path: a folder that we may not enter holds nothing of ours; Path would raise
            _add_file(path, environ, values, origins, problems)
    for name, variable in VARIABLES.items():
        if value := environ.get(variable):
            values[name], origins[name] = _variable(name, variable, value, problems), f"${variable}"
    if problems:
        raise SettingsError(problems)
    home = Path(values.pop("home", None) or _default_home(environ)).absolute()
    return Settings(home=home, **values, origins=origins)


def candidates(environ: Mapping[str, str], cwd: Path, *, system: Path = SYSTEM) -> tuple[Path, ...]:
    """The files that settings are read from where they exist: machine, user and, last, the nearest of a project."""
    config = environ.get("XDG_CONFIG_HOME") or _own_folder(environ) / ".config"
    above = (folder / PROJECT_FILE for folder in (cwd, *cwd.parents))
    project = next((path for path in above if os.path.isfile(path)), cwd / PROJECT_FILE)
    return (system, Path(config) / "coopery" / "settings.toml", project)


def _add_file(
    path: Path, environ: Mapping[str, str], values: dict[str, Any], origins: dict[str, str], problems: list[Problem]
) -> None:
    from coopery.settings.file import read

    found = read(path, _own_folder(environ), _trusted(values) if path.name == PROJECT_FILE else None)
    problems += found.problems
    for name, value in found.values.items():
        values[name] = {**values.get(name, {}), **value} if name in TABLES else value
    origins |= found.origins


def _trusted(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(values.get("trusted_projects", ()))


def _variable(name: str, variable: str, value: str, problems: list[Problem]) -> Any:
    if name in _PATHS and (name == "home" or value.isprintable()):
        return os.path.abspath(os.path.expanduser(value))
    from coopery.settings.checks import Wrong, check

    try:
        return check(name, value, Path.cwd(), Path.home)
    except Wrong as exc:
        problems.append(Problem(f"${variable}", exc.message, remedy=exc.remedy))
        return value


def _default_home(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or _own_folder(environ) / ".cache"
    return Path(base) / "coopery"


def _own_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())
