"""Two users with different settings build one definition: one key, one lock, one image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conda.maker import Channel, add_python
from pip_resolve.shelf import Shelf
from settings.servers import proxy, serve

pytestmark = pytest.mark.processes

DEFINITION = {
    "base": "scratch",
    "target": {"glibc": "2.36"},
    "conda": {"channels": ["ours"], "dependencies": ["python", "tool"]},
    "pip": {"requirements": ["wheel-a"]},
    "build": {"bytecode": False},
}


def user(root: Path, name: str, settings: str, umask: int) -> dict[str, Any]:
    """What *name*, with a home folder and *settings* of their own, gets for the definition."""
    own, work = root / name, root / name / "work"
    (own / ".config" / "coopery").mkdir(parents=True)
    work.mkdir()
    (own / ".config" / "coopery" / "settings.toml").write_text(settings)
    (work / "environment.json").write_text(json.dumps(DEFINITION))
    environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environ = {key: value for key, value in environ.items() if not key.startswith(("COOPERY_", "XDG_", "NETRC"))}
    done = subprocess.run(
        [sys.executable, "-m", "coopery", "build", "environment.json", "--output", "json", "-q"],
        env=environ | {"HOME": str(own)},
        cwd=work,
        capture_output=True,
        text=True,
        umask=umask,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert not image["hit"]
    return {what: image[what] for what in ("key", "id", "lock", "digest")}


def test_settings_are_no_part_of_anything(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "www" / "ours")
    channel.add("tool")
    add_python(channel)
    shutil.copytree(channel.root, tmp_path / "mirror")
    secret = "ada:s3cret"  # noqa: S105 - made up
    with Shelf() as open_index, Shelf(user=secret, form="html") as closed_index, serve(channel.root.parent) as site:
        for index in (open_index, closed_index):
            index.wheel("wheel-a", "1.0")
        ports = {"conda.test": site.port, "index.test": int(closed_index.host.rpartition(":")[2])}
        with proxy(ports, login=secret) as between:
            ada = user(
                tmp_path,
                "ada",
                f'home = "~/elsewhere"\nindex_url = "{open_index.url}"\n[channels]\nours = "{tmp_path}/mirror"\n',
                umask=0o077,
            )
            grace = user(
                tmp_path,
                "grace",
                f'proxy = "{between.url(secret)}"\nindex_url = "http://{secret}@index.test/simple"\n'
                'cache = "sqlite:records.sqlite"\ncompression = "zstd"\n'
                '[channels]\nours = "http://conda.test/ours"\n',
                umask=0o002,
            )
            assert between.asked
    assert ada == grace
    assert (tmp_path / "ada" / "elsewhere" / "images").is_dir()
    assert (tmp_path / "grace" / ".config" / "coopery" / "records.sqlite").is_file()
