"""What two packages say of one path, settled as dpkg would: Replaces decides, and without it nothing is overwritten.

Layers lie on each other in an order of their own, so a loser is cut without the path rather than hidden, and every
layer repeats a shared directory with one mode and owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from attrs import field, frozen

from coopery.errors import BaseError
from coopery.layer import Entry
from coopery_debian.index import Package

Owned = tuple[int, int, int]
"""Mode, uid and gid of a directory."""


@frozen
class Contents:
    """What paths one package has.

    Attributes:
        directories: path → mode and owner.
        others: path → target of a symlink; empty for files.
    """

    directories: Mapping[str, Owned] = field(factory=dict, hash=False)
    others: Mapping[str, str] = field(factory=dict, hash=False)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Self:
        """What *entries* hold."""
        return cls(
            {entry.path: (entry.mode, entry.uid, entry.gid) for entry in entries if entry.kind == "directory"},
            {
                entry.path: entry.target if entry.kind == "symlink" else ""
                for entry in entries
                if entry.kind != "directory"
            },
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data, for memos."""
        return {
            "directories": {path: list(owned) for path, owned in self.directories.items()},
            "others": dict(self.others),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls({path: (o[0], o[1], o[2]) for path, o in data["directories"].items()}, data["others"])


@frozen
class Variant:
    """How a package differs from itself in this company: paths that it loses, directories that look otherwise."""

    omit: tuple[str, ...] = ()
    directories: tuple[tuple[str, Owned], ...] = ()


def settle(packages: Sequence[Package], contents: Mapping[str, Contents], layout: Contents) -> dict[str, Variant]:
    """How each package must be cut; those that stay as they are have no entry.

    Directories look as *layout* has them, else as ``base-files`` has them, else as the package that sorts first has.

    Raises:
        BaseError: two packages have one file and neither replaces the other, or a file of one is a directory of
            another; every such pair.
    """
    ordered = sorted(packages, key=lambda package: (package.name != "base-files", package.name))
    directories = dict(layout.directories)
    owners: dict[str, Package] = {}
    omit: dict[str, list[str]] = {}
    problems: dict[str, None] = {}
    for package in ordered:
        for path, owned in contents[package.name].directories.items():
            directories.setdefault(path, owned)
    for package in ordered:
        for path in contents[package.name].others:
            if path in directories:
                other = next((one.name for one in ordered if path in contents[one.name].directories), "the base layout")
                problems[f"/{path}: a file of {package}, a directory of {other}"] = None
            owner = owners.setdefault(path, package)
            if owner is not package:
                winner = _winner(owner, package, contents, path)
                if winner is None:
                    problems[f"/{path}: a file of {owner} and of {package}, and neither replaces the other"] = None
                    continue
                loser = package if winner is owner else owner
                owners[path] = winner
                omit.setdefault(loser.name, []).append(path)
    if problems:
        lines = list(problems)
        more = [f"… and {len(lines) - 10} more"] if len(lines) > 10 else []
        raise BaseError("\n".join(lines[:10] + more), remedy="these packages cannot be in one base: leave one out")
    return _variants(ordered, contents, directories, omit)


def _variants(
    packages: Sequence[Package],
    contents: Mapping[str, Contents],
    directories: Mapping[str, Owned],
    omit: Mapping[str, list[str]],
) -> dict[str, Variant]:
    variants: dict[str, Variant] = {}
    for package in packages:
        own = contents[package.name].directories
        changed = tuple((path, directories[path]) for path in sorted(own) if directories[path] != own[path])
        if changed or package.name in omit:
            variants[package.name] = Variant(tuple(sorted(omit.get(package.name, ()))), changed)
    return variants


def _winner(one: Package, other: Package, contents: Mapping[str, Contents], path: str) -> Package | None:
    over_other = any(other.meets(relation) for relation in one.replaces)
    over_one = any(one.meets(relation) for relation in other.replaces)
    if over_other != over_one:
        return one if over_other else other
    target = contents[one.name].others[path]
    same_link = target != "" and target == contents[other.name].others[path]
    return min(one, other) if over_other or same_link else None
