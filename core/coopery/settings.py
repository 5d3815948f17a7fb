"""The outside world in one place: where things are fetched from and kept. None of it enters a key, layer or log.

Read from ``/etc/coopery/settings.toml``, the user's ``~/.config/coopery/settings.toml``, the nearest
``.coopery.toml`` above the working directory, and environment variables, in that order; later ones win.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery.errors import Problem, UsageError

_VARIABLES: Final = {
    "home": "COOPERY_HOME",
    "cache": "COOPERY_CACHE",
    "backend": "COOPERY_BACKEND",
    "debian_mirror": "COOPERY_DEBIAN_MIRROR",
    "ca_bundle": "SSL_CERT_FILE",
    "channel_alias": "COOPERY_CHANNEL_ALIAS",
}
_TABLES: Final = ("channels",)


@frozen
class Settings:
    """What the outside world looks like from here.

    Attributes:
        home: cache folder; ``$XDG_CACHE_HOME/coopery`` unless set.
        cache: the cache store, as ``Builder(cache=…)`` takes it.
        backend: name of the backend to build with; empty: the default.
        channels: bare channel name → URL or folder that has the same content, ``{"conda-forge": "file:///srv/cf"}``.
        channel_alias: URL that bare channel names are below.
        debian_mirror: URL of a Debian mirror; empty: the machine's own apt configuration.
        ca_bundle: file of certificates to trust; empty: the system's.
        origins: setting → where its value came from.
    """

    home: Path
    cache: str = "sqlite:"
    backend: str = ""
    channels: Mapping[str, str] = field(factory=dict, hash=False)
    channel_alias: str = "https://conda.anaconda.org"
    debian_mirror: str = ""
    ca_bundle: str = ""
    origins: Mapping[str, str] = field(factory=dict, hash=False, eq=False)

    def channel_url(self, channel: str) -> str:
        """Where the content of *channel*, as a definition names it, is fetched from.

        A bare name has one meaning everywhere (a folder below ``channel_alias``), unless ``channels`` says where the
        same content is kept. A URL is itself.
        """
        if channel in self.channels:
            return self.channels[channel]
        if "://" in channel:
            return channel
        return f"{self.channel_alias.rstrip('/')}/{channel}"


def load(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Settings:
    """Settings of this machine, user, project and environment.

    Raises:
        UsageError: a settings file is not TOML, or has an unknown setting or one of the wrong type.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path in _files(environ, cwd or Path.cwd()):
        for name, value in _read(path).items():
            values[name] = {**values.get(name, {}), **value} if name in _TABLES else value
            origins[name] = str(path)
    for name, variable in _VARIABLES.items():
        if value := environ.get(variable):
            values[name], origins[name] = value, f"${variable}"
    home = Path(values.pop("home", None) or _default_home(environ)).expanduser().absolute()
    return Settings(home=home, **values, origins=origins)


def _default_home(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "coopery"


def _files(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    config = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config"
    candidates = [Path("/etc/coopery/settings.toml"), Path(config) / "coopery" / "settings.toml"]
    above = [folder / ".coopery.toml" for folder in (cwd, *cwd.parents)]
    project = [path for path in above if os.path.isfile(path)][:1]
    # os.path: a folder that we may not enter holds no settings of ours; Path.is_file would raise
    return [path for path in (*candidates, *project) if os.path.isfile(path)]


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise UsageError(f"{path}: cannot be read as TOML: {exc}") from exc
    known = {*_VARIABLES, *_TABLES}
    problems = []
    for name, value in document.items():
        table = name in _TABLES
        texts = value.values() if isinstance(value, dict) else (value,)
        if name not in known:
            problems.append(Problem(name, f"unknown setting; known are {', '.join(sorted(known))}", file=str(path)))
        elif table != isinstance(value, dict) or not all(isinstance(text, str) for text in texts):
            expected = "a table of strings" if table else "a string"
            problems.append(Problem(name, f"expected {expected}, got {value!r}", file=str(path)))
    if problems:
        raise UsageError("\n".join(str(problem) for problem in problems))
    return document
