"""What a person may call an environment: a definition's file, a key, or the first digits of one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.errors import DefinitionError, NotFound, Problem, UsageError

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment

_DIGITS = frozenset("0123456789abcdef")


def load(text: str) -> Environment:
    """The definition in the file *text*."""
    from coopery.definition import Environment

    return Environment.load(text)


def for_platform(environment: Environment, platform: str | None) -> Environment:
    """*environment* for another platform than the one that it names; None: that one.

    Raises:
        UsageError: no platform.
    """
    from attrs import evolve

    if platform is None:
        return environment
    check_platform(platform)
    return evolve(environment, target=evolve(environment.target, platform=platform))


def check_platform(platform: str) -> None:
    """Refuse what is no platform that images are made for.

    Raises:
        UsageError: naming those that are.
    """
    from coopery.platform import KNOWN

    if platform not in KNOWN:
        raise UsageError(f"--platform {platform}: no platform; known are {', '.join(KNOWN)}")


def load_all(files: Iterable[str]) -> list[Environment]:
    """Every definition, or the mistakes of all of them at once.

    Raises:
        DefinitionError: the mistakes, file by file.
    """
    environments: list[Environment] = []
    problems: list[Problem] = []
    for file in files:
        try:
            environments.append(load(file))
        except DefinitionError as exc:
            problems += exc.problems
    if problems:
        raise DefinitionError(problems)
    return environments


def read(text: str) -> Environment | str:
    """A definition where *text* names a file, otherwise *text* as the beginning of a key.

    Raises:
        UsageError: it is neither.
    """
    if text.startswith("oci:"):  # as `coopery pull` prints it
        return text
    if is_file(text):
        return load(text)
    digits = text.lower()
    if not digits or len(digits) > 64 or not _DIGITS.issuperset(digits):
        raise UsageError(f"{text!r} is neither a file nor a key", remedy="give a definition's file, or digits of a key")
    return digits


def is_file(text: str) -> bool:
    """Whether *text* names a definition's file, whether there is one or not."""
    return os.path.exists(text) or os.sep in text or text.endswith((".yaml", ".yml", ".json"))


def known(builder: Builder, text: str) -> Environment | str:
    """As `read`, with a key made whole.

    Raises:
        NotFound: no recorded key begins so; names the nearest.
    """
    ref = read(text)
    if not isinstance(ref, str) or ref.startswith("oci:"):
        return ref
    try:
        return builder.find(ref)
    except NotFound as exc:
        nearest = near(ref, [details.key for details in builder.list()])
        remedy = f"the nearest is {nearest[:16]}; coopery list shows all" if nearest else exc.remedy
        raise NotFound(exc.message, remedy=remedy) from exc


def near(ref: str, keys: list[str]) -> str | None:
    """The key that begins most like *ref*; None where there is none at all."""
    from difflib import SequenceMatcher

    def likeness(key: str) -> tuple[int, float, str]:
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ref, key, strict=False)))
        return alike, SequenceMatcher(None, ref, key[: len(ref)]).ratio(), key

    return max(keys, key=likeness, default=None)


def lock_file(text: str) -> Path | None:
    """The path of a lock file, where *text* names one by its ending; None where it names something else.

    Raises:
        UsageError: it is not there.
    """
    if not text.endswith(".lock"):
        return None
    if not os.path.isfile(text):
        raise UsageError(f"{text}: no such lock file", remedy="coopery lock makes one")
    return Path(text)
