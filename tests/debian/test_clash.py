from __future__ import annotations

from collections.abc import Mapping

import pytest

from coopery.errors import BaseError
from coopery_debian.clash import Contents, Variant, settle
from coopery_debian.control import relations
from coopery_debian.index import Package

LAYOUT = Contents({"tmp": (0o1777, 0, 0)}, {"bin": "usr/bin"})


def package(name: str, replaces: str = "") -> Package:
    flat = tuple(relation for group in relations(replaces) for relation in group)
    return Package(name, "1.0", f"{name}.deb", "0" * 64, 1, replaces=flat)


def settled(packages: Mapping[Package, Contents]) -> dict[str, Variant]:
    return settle(list(packages), {one.name: contents for one, contents in packages.items()}, LAYOUT)


def test_nothing_shared() -> None:
    one, other = Contents({"usr": (0o755, 0, 0)}, {"usr/a": ""}), Contents({"usr": (0o755, 0, 0)}, {"usr/b": ""})
    assert settled({package("aa"): one, package("bb"): other}) == {}


def test_replaces_decides() -> None:
    shared = Contents({}, {"usr/x": ""})
    assert settled({package("aa"): shared, package("bb", "aa (<< 2)"): shared}) == {"aa": Variant(("usr/x",))}
    assert settled({package("aa", "bb"): shared, package("bb"): shared}) == {"bb": Variant(("usr/x",))}


def test_without_replaces_nothing_is_overwritten() -> None:
    shared = Contents({}, {"usr/x": ""})
    with pytest.raises(BaseError, match=r"/usr/x: a file of aa 1\.0 and of bb 1\.0"):
        settled({package("aa"): shared, package("bb", "aa (>> 2)"): shared})


def test_equal_links_are_no_clash() -> None:
    link = Contents({}, {"usr/x": "y"})
    assert settled({package("aa"): link, package("bb"): link}) == {"bb": Variant(("usr/x",))}


def test_a_file_and_a_directory() -> None:
    with pytest.raises(BaseError, match=r"/usr/x: a file of aa 1\.0, a directory of bb"):
        settled({package("aa"): Contents({}, {"usr/x": "y"}), package("bb"): Contents({"usr/x": (0o755, 0, 0)}, {})})


def test_shared_directories_look_alike() -> None:
    open_, closed, sticky = (0o755, 0, 0), (0o700, 0, 0), (0o1777, 0, 0)
    variants = settled(
        {
            package("aa"): Contents({"srv": open_, "tmp": open_}, {}),
            package("base-files"): Contents({"srv": closed, "tmp": sticky}, {}),
        }
    )
    assert variants == {"aa": Variant((), (("srv", closed), ("tmp", sticky)))}
