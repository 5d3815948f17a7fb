"""Definitions with a few tiny conda packages on nothing at all: they build in tenths of a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conda.maker import Channel, File, add_python, link, text

PREFIX_LINE = "root=@PREFIX@\n"


def fill(channel: Channel) -> Channel:
    """A handful of packages of every kind that linking treats differently, and a Python that never runs."""
    add_python(channel, depends=["zlib"])
    channel.add("zlib", {"lib/libz.so.1": File(b"\x7fELF z", 0o755), "lib/libz.so": link("libz.so.1")})
    channel.add("tool", {"bin/tool": text("#!@PREFIX@/bin/python\nprint(1)\n", 0o755), "etc/t.conf": text(PREFIX_LINE)})
    pure = {"site-packages/pure/__init__.py": File(b"def main():\n    return 0\n")}
    channel.add("pure", pure, noarch="python", depends=["python"], entry_points=["pure = pure:main"])
    channel.add("old", {"share/old.txt": File(b"old")}, old=True)
    return channel


def document(*dependencies: str, **changes: Any) -> dict[str, Any]:
    """A definition on nothing, of packages in ``channel`` beside it. A key that is None is left out."""
    whole = {
        "base": "scratch",
        "target": {"glibc": "2.36"},
        "conda": {"channels": ["./channel"], "dependencies": list(dependencies)},
        "build": {"bytecode": False},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def write(folder: Path, *dependencies: str, name: str = "environment.json", **changes: Any) -> Path:
    """The same as a file in *folder*."""
    path = folder / name
    path.write_text(json.dumps(document(*dependencies, **changes)))
    return path


def index(root: Path) -> dict[str, dict[str, Any]]:
    """What the channel in *root* lists already, for a `Channel` that adds to it."""
    return {path.parent.name: json.loads(path.read_text()) for path in root.glob("*/repodata.json")}
