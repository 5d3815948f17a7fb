"""Real environments: scientific Python from the real channel, on Debian. Tests that use them need both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import parts
from coopery import Builder, Environment, Image
from coopery.events import Event
from trunk.shared_home import shared_home

CHANNEL = parts.REPOSITORY / "build" / "channel"
PACKAGES = ("base-files", "bash", "coreutils", "libgcc-s1", "libstdc++6", "zlib1g")

SCORE = """
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
features, labels = load_digits(return_X_y=True)
print("score", LogisticRegression(max_iter=50, tol=0.1).fit(features[:1200], labels[:1200]).score(features, labels))
"""
"""Trains a classifier, so that compiled code of numpy, scipy and scikit-learn has to work."""


def define(*dependencies: str, packages: tuple[str, ...] = PACKAGES, **more: Any) -> Environment:
    """Packages of the real channel on Debian."""
    base = {"debian": {"suite": "bookworm", "packages": list(packages)}}
    conda = {"channels": [str(CHANNEL)], "dependencies": list(dependencies)}
    return Environment.from_dict({"base": base, "conda": conda, **more})


SCIENCE = ("python=3.11", "scikit-learn")


@contextmanager
def builder(events: list[Event] | None = None) -> Iterator[Builder]:
    """A builder on the folder of the session; what others built there is a hit."""
    with Builder(home=shared_home(), on_event=None if events is None else events.append) as made:
        yield made


@cache
def science(joblib: str = "1.4.2") -> Image:
    """The image that most tests look at, built once for the session, with one package pinned."""
    with builder() as made:
        return made.build(define(*SCIENCE, f"joblib={joblib}"))


@cache
def plain() -> Image:
    """A Python with one pure package, on the same base. Nothing is compiled, so it takes seconds."""
    with builder() as made:
        return made.build(define("python=3.11", "six", build={"bytecode": False}))


def is_score(text: str) -> bool:
    """Whether *text* is what `SCORE` prints, and the model has learned something."""
    word, _, value = text.strip().partition(" ")
    return word == "score" and float(value) > 0.9
