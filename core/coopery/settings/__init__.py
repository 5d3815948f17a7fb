"""The outside world in one place: where things are fetched from and kept. None of it enters a key, layer or log.

Read from ``/etc/coopery/settings.toml``, the user's ``~/.config/coopery/settings.toml``, the nearest
``.coopery.toml`` above the working directory, and environment variables, in that order; later ones win.
"""

from __future__ import annotations

from coopery.settings.reading import load
from coopery.settings.values import Settings

__all__ = ["Settings", "load"]
