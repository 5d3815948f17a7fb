"""The index that pip itself would use on this machine: what a definition means where it names none.

Source: pip's documentation, "Configuration". Only ``index-url`` is read. What else pip's configuration adds here
(``extra-index-url``, ``find-links``) would make one definition mean two things on two machines, and is left alone.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from coopery.errors import PluginError

_STATED: Final = re.compile(r"--default-index\b.*?by default:\s*<?(https://[^>\s)]+)", re.DOTALL)


def index_url(environ: Mapping[str, str] = os.environ) -> str:
    """``PIP_INDEX_URL``, else the last ``index-url`` of pip's configuration files, else what uv says it takes."""
    if url := environ.get("PIP_INDEX_URL", "").strip():
        return url
    found = [url for path in _files(environ) if (url := _read(path))]
    return found[-1] if found else builtin()


@cache
def builtin() -> str:
    """The public index, which every installer asks where nothing is configured: as uv's own help states it.

    Raises:
        PluginError: uv is not installed, or does not say.
    """
    from coopery_pip.uv import find

    done = subprocess.run([find(), "pip", "compile", "--help"], capture_output=True, text=True, timeout=60, check=False)
    stated = _STATED.search(done.stdout)
    if stated is None:
        remedy = "set index_url in the settings, or COOPERY_INDEX_URL"
        raise PluginError("no package index is configured, and this uv does not say which it would take", remedy=remedy)
    return stated[1]


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Later ones win. ``PIP_CONFIG_FILE`` set to the null device turns all of them off."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    yield from (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip" / "pip.conf")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if chosen:
        yield Path(chosen)


def _read(path: Path) -> str:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return ""  # pip's to complain about: a machine without a usable file has none
    names = [(section, name) for section in ("install", "global") for name in ("index-url", "index_url")]
    return next((parser.get(*name).strip() for name in names if parser.has_option(*name)), "")
