"""What py-rattler's own install makes of the same packages, and how to compare it with our trees."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conda.desk import Desk, Seen, union
from coopery.layer import Tree
from coopery.lock import Artifact
from coopery.target import Provided, Resolved
from coopery_conda.channels import url_of

INSTALL = Path(__file__).with_name("plain_install.py")

# What an install adds that belongs to no package, or to the machine; records are compared apart.
ASIDE = ("CACHEDIR.TAG", "__clobbers__/", "conda-meta/")
MACHINE = ("extracted_package_dir", "link", "requested_specs", "url", "channel", "md5", "auth")


def install(
    desk: Desk, artifacts: Sequence[Artifact], target: Resolved, one_by_one: bool = False
) -> tuple[Path, list[str]]:
    """A plain install; where it is, and the order that py-rattler sorts the packages in.

    It links several packages at a time; *one_by_one* is for those that are in each other's way, where it would be luck.
    """
    channels = sorted({url_of(a.source, desk.root, desk.workshop.settings) for a in artifacts})
    request = {
        "artifacts": [{"name": a.name, "sha256": a.sha256} for a in artifacts],
        "channels": channels,
        "subdir": {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}[target.platform],
        "prefix": str(desk.root / "plain"),
        "cache": str(desk.root / "plain-cache"),
        "final": target.prefix,
        "one_by_one": one_by_one,
    }
    done = subprocess.run(
        [sys.executable, "-P", INSTALL], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return desk.root / "plain", json.loads(done.stdout)


def on_disk(root: Path, prefix: str) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    for folder, folders, files in os.walk(root):
        for name in files + [name for name in folders if Path(folder, name).is_symlink()]:
            path = Path(folder, name)
            inside = path.relative_to(root).as_posix()
            if inside.startswith(ASIDE) or inside.endswith(".pyc"):
                continue
            key = f"{prefix.strip('/')}/{inside}"
            if path.is_symlink():
                found[key] = Seen("symlink", link=os.readlink(path))
            else:
                found[key] = Seen("file", stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return found


def ours(trees: Sequence[Tree], prefix: str) -> dict[str, Seen]:
    records = f"{prefix.strip('/')}/conda-meta/"
    return {
        path: one
        for path, one in union(trees).items()
        if not path.startswith(records) and not path.endswith(".pyc") and one.kind != "directory"
    }


def records(root: Path) -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in sorted((root / "conda-meta").glob("*.json"))}


def canonical(record: dict[str, Any]) -> dict[str, Any]:
    """What both forms of a record say. py-rattler renames what a package loses to another; we let it stand."""
    kept = {name: value for name, value in record.items() if name not in MACHINE}
    paths = [canonical_path(entry) for entry in kept.pop("paths_data")["paths"]]
    paths = [entry for entry in paths if not entry["_path"].endswith(".pyc")]
    assert len(kept.pop("files")) >= len(paths)
    return kept | {"paths": sorted(paths, key=lambda entry: str(entry["_path"]))}


def canonical_path(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in entry.items() if name != "no_link"}
    kept["_path"] = kept.pop("original_path", kept["_path"])
    if kept["path_type"] == "softlink":  # py-rattler hashes what the link leads to
        kept = {name: kept[name] for name in ("_path", "path_type")}
    return kept


def compare(desk: Desk, target: Resolved, *specs: str, one_by_one: bool = False, **more: Any) -> dict[str, Seen]:
    artifacts = desk.lock(*specs, target=target, **more)
    trees = desk.materializer.trees(desk.section(*specs, **more), artifacts, target, Provided())
    root, order = install(desk, artifacts, target, one_by_one)
    assert [tree.package for tree in sorted(trees, key=lambda tree: tree.rank)] == [*order, "conda-history"]
    mine, theirs = ours(trees, target.prefix), on_disk(root, target.prefix)
    assert sorted(mine) == sorted(theirs)
    assert {path for path in mine if mine[path] != theirs[path]} == set()
    for tree in trees:
        announced = {entry.path + ("/" if entry.kind == "directory" else "") for entry in tree.entries()}
        assert announced == set(tree.paths())
    compare_records(trees, root, target.prefix)
    return mine


def compare_records(trees: Sequence[Tree], root: Path, prefix: str) -> None:
    folder = f"{prefix.strip('/')}/conda-meta/"
    mine = {p.removeprefix(folder): json.loads(s.data) for p, s in union(trees).items() if p.endswith(".json")}
    mine = {name: record for name, record in mine.items() if "/" not in name}
    theirs = records(root)
    assert mine.keys() == theirs.keys()
    for name, record in mine.items():
        assert canonical(record) == canonical(theirs[name]), name
