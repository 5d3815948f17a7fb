"""Podman: containers-storage of our own, and a Dockerfile with cache mounts, built by buildah with layers kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest import Ours, call, changed, seconds, tidy
from contest_docker import dockerfile
from prepared import Case


class Rival:
    """``buildah build``: podman's own builder, started directly, with an isolation that works on every machine."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._env, self._folder = env, folder
        self._last = ""

    def clear(self) -> None:
        forget(self._env)

    def build(self, case: Case) -> float:
        folder = self._folder / f"context-{case.name}"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile(case, copied=True))
        (folder / "lock").write_bytes(case.lock.read_bytes())
        network = ["--isolation=chroot", "--network=host", "--tls-verify=false"]
        options = ["--layers", *network, "--quiet", "--tag=localhost/rival"]
        took = seconds(["buildah", "build", *options, str(folder)], self._env)
        argv = ["buildah", "inspect", "--type=image", "--format", "{{.FromImageID}}", "localhost/rival"]
        self._last = changed(self._last, call(*argv, env={**os.environ, **self._env}))
        return took

    def published(self, case: Case, to: str, built: float) -> float:  # noqa: ARG002 - it was built last
        argv = ["buildah", "push", "--quiet", "--tls-verify=false", "localhost/rival", f"docker://{to}"]
        return built + seconds(argv, self._env)


def forget(env: dict[str, str]) -> None:
    """Every image but the installer, and what cache mounts keep."""
    found = call("buildah", "images", "--format", "{{.Name}}:{{.Tag}}", env={**os.environ, **env}).split()
    names = [name for name in found if "bench-installer" not in name and "<none>" not in name]
    if names:
        tidy("buildah", "rmi", "--force", *names, env=env)
    tidy("buildah", "rmi", "--prune", "--force", env=env)
    for cache in Path(env["TMPDIR"]).glob("buildah-cache*"):
        cache.rename(cache.with_name(f"old-{os.urandom(4).hex()}"))


@contextmanager
def sides(folder: Path, installer: Path) -> Iterator[tuple[Rival, Ours]]:
    """Both sides on a storage that is made for them."""
    config = folder / "storage.conf"
    config.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n')
    (folder / "tmp").mkdir()
    env = {"CONTAINERS_STORAGE_CONF": str(config), "TMPDIR": str(folder / "tmp")}
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    options = ["--isolation=chroot", "--quiet", "--tag=localhost/bench-installer", f"--file={folder / 'Dockerfile'}"]
    try:
        call("buildah", "build", *options, installer, env={**os.environ, **env})
        yield Rival(env, folder), Ours("podman", folder, env, lambda: forget(env))
    finally:
        tidy("buildah", "rmi", "--all", "--force", env=env)
        tidy("umount", "--lazy", folder / "root" / "overlay")
