"""Builders with cache folders of their own, as on machines of their own, and a definition whose packages are jars.

A Maven repository of one jar is the smallest real index there is: what it has can change between two builds.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment
from coopery.plugins import Plugins

Machines = Callable[..., Builder]

_JARS = Path(__file__).parents[1] / "examples" / "materializer"


def publish(repository: Path, version: str, content: str) -> None:
    """Put the jar in that version into the Maven *repository*, in place of what was there."""
    path = repository / "org" / "example" / "a" / version / f"a-{version}.jar"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("content"), content)


def define(folder: Path, repository: Path) -> Environment:
    """One file and the jar, on nothing."""
    (folder / "hello.txt").write_text("hello\n")
    spark = {"packages": ["org.example:a:1.0"], "repositories": [repository.as_uri()]}
    document = {"base": "scratch", "steps": [{"copy": "hello.txt", "to": "/"}], "spark": spark}
    return Environment.from_dict(document, folder)


@contextmanager
def machines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Makes builders by name of the machine, with options of `Builder`; all are closed at the end."""
    monkeypatch.syspath_prepend(_JARS)
    made: list[Builder] = []

    def make(name: str, **options: Any) -> Builder:
        plugins = Plugins([("jars", import_module("coopery_jars.plugin"))])
        made.append(Builder(**{"home": folder / name, "backend": "oci", "plugins": plugins, **options}))
        return made[-1]

    yield make
    for builder in made:
        builder.close()
    for name in [name for name in sys.modules if name.startswith("coopery_jars")]:
        del sys.modules[name]
