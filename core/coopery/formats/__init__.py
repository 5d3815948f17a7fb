"""Lock files of other tools, read and written: pixi.lock, conda-lock.yml, explicit lists, pylock.toml, requirements.

Reading gives `coopery.exchange.Listed` packages and touches no network; writing takes `coopery.exchange.Located` ones
and gives the same bytes for the same lock everywhere. `coopery.locks.interchange` ties both to definitions and locks.
"""

from __future__ import annotations

from coopery.formats.imported import Imported, Wanted
from coopery.formats.reading import FORMATS, read
from coopery.formats.writing import FORMS, Outline, write

__all__ = ["FORMATS", "FORMS", "Imported", "Outline", "Wanted", "read", "write"]
