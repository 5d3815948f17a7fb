"""Two cache folders, a definition that needs nothing, and one of real packages from a channel of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from conda.maker import Channel
from coopery import Builder, Environment
from trunk import small


@frozen
class Machine:
    """One cache folder, and what it takes to build in it."""

    home: Path
    folder: Path

    def builder(self, **options: object) -> Builder:
        """A new builder in it."""
        return Builder(home=self.home, **options)  # type: ignore[arg-type]  # options of Builder's own

    def build(self, environment: Environment, **options: object):
        """The image of *environment*, by a builder of its own."""
        with self.builder() as builder:
            return builder.build(environment, **options)  # type: ignore[arg-type]  # as above

    def copy(self, source: object, target: object, *refs: str, **options: object):
        """What the machine's builder copies."""
        with self.builder() as builder:
            return builder.copy(str(source), str(target), refs, **options)  # type: ignore[arg-type]  # as above

    def files(self) -> dict[str, int]:
        """Every file in it with its inode, but for locks and records."""
        found = (path for path in self.home.rglob("*") if path.is_file() and not path.name.startswith("records"))
        return {str(path.relative_to(self.home)): path.stat().st_ino for path in found}


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "here" / "home", tmp_path)


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "there" / "home", tmp_path)


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., Environment]:
    """Makes a definition of a file and a variable on nothing."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.txt").write_text("one\n")

    def make(name: str = "hello", value: str = "1") -> Environment:
        steps = [{"copy": "data", "to": "/data"}, {"env": {"VALUE": value}}]
        return Environment.from_dict({"name": name, "base": "scratch", "steps": steps}, tmp_path)

    return make


@pytest.fixture
def hello(define: Callable[..., Environment]) -> Environment:
    return define()


@pytest.fixture
def packaged(tmp_path: Path) -> Callable[..., Environment]:
    """Makes a definition of tiny conda packages."""
    small.fill(Channel(tmp_path / "channel"))

    def make(*dependencies: str) -> Environment:
        return Environment.load(small.write(tmp_path, *dependencies, name=f"{'-'.join(dependencies)}.json"))

    return make
