"""What every contest has: two sides, a home of ours, seconds of whole processes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from prepared import COOPERY, Case, call

NOTHING: Mapping[str, str] = {}


def seconds(argv: list[str], env: Mapping[str, str] = NOTHING, cwd: Path | None = None) -> float:
    """Of one whole process. Ends the benchmark where it fails."""
    os.sync()  # what went before is not this one's to write
    return at_once(argv, env, cwd)


def at_once(argv: list[str], env: Mapping[str, str] = NOTHING, cwd: Path | None = None) -> float:
    """As `seconds`, for what writes next to nothing."""
    whole = {**os.environ, **env}
    started = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=whole, cwd=cwd, errors="replace")
    took = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}\nfailed: {(done.stderr + done.stdout)[-3000:]}")
    return took


def changed(before: str, now: str) -> str:
    """*now*; ends the benchmark where a build that should give something new gave what was there."""
    if now == before:
        raise SystemExit(f"the rival built nothing new: {now}")
    return now


class Side(Protocol):
    """Coopery, or its rival, on one engine."""

    def clear(self) -> None:
        """Forget everything that a build made or fetched: images, caches, the base."""

    def build(self, case: Case) -> float:
        """Seconds of building it, in a process of its own."""

    def published(self, case: Case, to: str, built: float) -> float | None:
        """Seconds from nothing to the image in a registry, as *to*; None: not measured.

        Args:
            case: was built last, in *built* seconds, from nothing.
            to: a repository that nobody has used yet.
            built: see above.
        """


class Ours:
    """``coopery build`` with a home of its own; *forget* empties the engine."""

    def __init__(
        self,
        backend: str,
        folder: Path,
        env: Mapping[str, str],
        forget: Callable[[], None],
        start: Callable[[list[str]], list[str]] = lambda argv: argv,
    ) -> None:
        self.backend, self.folder, self.env, self._forget, self._start = backend, folder, env, forget, start
        self._round = 0

    @property
    def home(self) -> Path:
        return self.folder / f"home-{self._round}"

    def clear(self) -> None:
        """A new home; the old one stays aside, since soon after mass deletes ext4 makes files many times slower."""
        self._round += 1
        self._forget()

    def command(self, *words: object) -> list[str]:
        options = ["--home", str(self.home), "--backend", self.backend, "--quiet"]
        return self._start([str(COOPERY), *map(str, words), *options])

    def build(self, case: Case) -> float:
        return seconds(self.command("build", case.definition), self.env)

    def again(self, case: Case) -> float:
        """Seconds of asking for what is there."""
        return at_once(self.command("build", case.definition), self.env)

    def published(self, case: Case, to: str, built: float) -> float | None:  # noqa: ARG002 - no engine is needed
        """One command, with another home that is empty: what goes to a registry passes through no engine."""
        options = ["--home", str(self.folder / f"pushing-{self._round}"), "--backend", "oci", "--quiet"]
        return seconds(self._start([str(COOPERY), "push", str(case.definition), to, *options]), self.env)


def tidy(*argv: object, env: Mapping[str, str] = NOTHING) -> None:
    """Run a command that takes things away; that there was nothing is no matter."""
    words = [str(word) for word in argv]
    subprocess.run(words, capture_output=True, check=False, env={**os.environ, **env})


__all__ = ["NOTHING", "Case", "Ours", "Side", "at_once", "call", "changed", "seconds", "tidy"]
