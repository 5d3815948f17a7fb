"""What builds of packages gave before, by all that they depend on: so that nobody builds one twice on one machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from attrs import frozen

from coopery.whole import write_whole


@frozen
class Made:
    """What one build gave: a wheel (file name, sha256, size), or requirements that it asks for before."""

    wheel: tuple[str, str, int] | None = None
    needs: tuple[str, ...] = ()


@frozen
class Memo:
    """Files in *root*, one for each build. A damaged one is none."""

    root: Path
    staging: Path

    def key(self, *parts: str) -> str:
        """Names a build by *parts*."""
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def get(self, key: str) -> Made | None:
        """What the build called *key* gave, or None."""
        try:
            found = json.loads((self.root / f"{key}.json").read_bytes())
            if found["needs"]:
                return Made(needs=tuple(map(str, found["needs"])))
            name, sha256, size = found["wheel"]
            return Made((str(name), str(sha256), int(size)))
        except (OSError, ValueError, TypeError, KeyError):  # none, or damaged: it is built
            return None

    def put(self, key: str, made: Made) -> None:
        """Keep what the build called *key* gave.

        Raises:
            StoreFull, CacheError: the disk refused.
        """
        data = json.dumps({"wheel": made.wheel, "needs": made.needs}).encode()
        write_whole(self.root / f"{key}.json", data, self.staging)
