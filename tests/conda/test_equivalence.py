"""The union of our trees is what py-rattler's own install of the same packages makes, file by file."""

from __future__ import annotations

import random

import pytest
from attrs import evolve

from conda.desk import Desk
from conda.maker import PLACEHOLDER, Channel, File, add_python, link, text
from conda.plain import compare
from coopery.target import Resolved

pytestmark = pytest.mark.processes


def everything(channel: Channel) -> None:
    """One package of each kind that conda has."""
    add_python(channel)
    channel.add(
        "tool",
        {
            "site-packages/tool/__init__.py": text("def main(): return '@PREFIX@'\n"),
            "site-packages/tool/__pycache__/__init__.cpython-311.pyc": File(b"stale"),
            "site-packages/tool-1.0.dist-info/METADATA": text("Name: tool\nVersion: 1.0\n"),
            "python-scripts/helper": text("#!@PREFIX@/bin/python -u\nprint('@PREFIX@')\n", 0o755),
            "etc/tool.conf": text("home = @PREFIX@/share\n"),
        },
        noarch="python",
        entry_points=["tool = tool:main", "tool-sub = tool.sub:App.run"],
        depends=["python >=3.8", "lib"],
    )
    channel.add(
        "lib",
        {
            "lib/libx.so.1": File(
                b"\0" + PLACEHOLDER.encode() + b"/x:" + PLACEHOLDER.encode() + b"\0\0tail", 0o755, "binary"
            ),
            "lib/libx.so": link("libx.so.1"),
            "lib/x.pc": text("prefix=@PREFIX@\nlibs=-L@PREFIX@/lib\n"),
            "lib/not\N{LATIN SMALL LETTER E WITH ACUTE}.txt": File(b"\xff\xfe"),
            "bin/group": File(b"#!/bin/sh\n", 0o775),
            "bin/set-user-id": File(b"#!/bin/sh\n", 0o4755),
            "share/private": File(b"private", 0o600),
            "bin/perl-script": text("#!@PREFIX@/bin/perl -w\n", 0o755),
            "bin/no-newline": text("#!@PREFIX@/bin/python3", 0o755),
            "bin/spaced": text("#!  @PREFIX@/bin/python3.11 -E\n", 0o755),
            "bin/enclosed": File(b"#!" + PLACEHOLDER.encode() + b"/bin/\xff\n" + PLACEHOLDER.encode(), 0o755, "text"),
        },
        depends=["base"],
    )
    channel.add("base", {"share/base": File(b"base", 0o644), "share/empty": File()}, old=True)
    channel.add("older", {"share/o": text("@PREFIX@ here"), "share/l": link("o")}, old=True, depends=["base"])
    channel.add("any", {"share/any": File(b"any")}, noarch="generic")
    channel.add(
        "gdal",
        {
            "etc/conda/activate.d/gdal.sh": text("export GDAL_DATA=@PREFIX@/share\n"),
            "etc/conda/deactivate.d/gdal.sh": text("unset GDAL_DATA\n"),
            "etc/conda/env_vars.d/gdal.json": text('{"PROJ_DATA": "@PREFIX@/share/proj"}'),
            "bin/.gdal-post-link.sh": File(b"#!/bin/sh\necho never > $PREFIX/ran\n", 0o755),
        },
    )


ALL = ("tool", "older", "any", "gdal")


@pytest.mark.parametrize("prefix", ["/opt/env", "/opt/" + "e" * 118, "/opt/a space"])
def test_every_kind_of_package(channel: Channel, desk: Desk, target: Resolved, prefix: str) -> None:
    everything(channel)
    found = compare(desk, evolve(target, prefix=prefix), *ALL)
    assert f"{prefix[1:]}/bin/tool-sub" in found
    assert f"{prefix[1:]}/lib/python3.11/site-packages/tool/__init__.py" in found
    assert f"{prefix[1:]}/ran" not in found
    assert not any(PLACEHOLDER.encode() in one.data for one in found.values())


def test_another_platform(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("native", {"lib/native": text("@PREFIX@")}, subdir="linux-aarch64")
    channel.add("native", {"lib/wrong": text("@PREFIX@")}, subdir="linux-64")
    found = compare(desk, evolve(target, platform="linux/arm64", archspec="aarch64"), "native")
    assert list(found) == ["opt/env/lib/native"]


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 12))])
def test_the_winner_of_a_shared_path(channel: Channel, desk: Desk, target: Resolved, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"p{letter}" for letter in chance.sample("abcdefghijkz_-9", chance.randint(3, 9))]
    for place, name in enumerate(names):
        shared = {
            f"share/f{n}": File(name.encode(), chance.choice((0o644, 0o755))) for n in range(6) if chance.random() < 0.5
        }
        needs = [f"{other} >=1" for other in chance.sample(names[:place], min(place, chance.randint(0, 2)))]
        noarch = "generic" if chance.random() < 0.3 else ""
        channel.add(name, {f"share/{name}": File(b"own"), **shared}, depends=needs, noarch=noarch)
    compare(desk, target, *names)


def test_a_link_where_another_has_a_folder(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("has-link", {"lib/z": File(b"1"), "lib64": link("lib")})
    channel.add("has-folder", {"lib64/f": File(b"2")}, depends=["has-link"])
    found = compare(desk, target, "has-link", "has-folder", one_by_one=True)
    assert sorted(found) == ["opt/env/lib/z", "opt/env/lib64/f"]
