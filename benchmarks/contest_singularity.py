"""Apptainer, as an ordinary user: ``apptainer build`` of a definition, with a cache of packages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest import Ours, seconds
from prepared import INSTALLER, PREFIX, Case

import ordinary
import parts


def why_not() -> str:
    """Why it is not measured; empty where it is."""
    return parts.why_not("apptainer") or ""


class Rival:
    """``apptainer build``. The package cache is a folder of the host, as cache mounts are elsewhere."""

    def __init__(self, folder: Path, installer: Path) -> None:
        self._folder, self._installer, self._round = folder, installer, 0

    @property
    def _own(self) -> Path:
        return self._folder / f"rival-{self._round}"

    def clear(self) -> None:
        self._round += 1
        for name in ("mounted/packages", "apptainer", "tmp"):
            (self._own / name).mkdir(parents=True)
        owned(self._own)

    def build(self, case: Case) -> float:
        definition = self._own / f"{case.name}.def"
        step = f"    {case.step}\n" if case.step else ""
        below = "$APPTAINER_ROOTFS"
        definition.write_text(
            f"Bootstrap: docker\nFrom: {case.base}\n\n%setup\n    mkdir -p {below}{INSTALLER} {below}/mnt\n\n"
            f"%post\n{step}    {INSTALLER}/bin/python {INSTALLER}/install.py /mnt/lock /mnt/packages {PREFIX}\n\n"
            f"%environment\n    export PATH={PREFIX}/bin:$PATH CONDA_PREFIX={PREFIX}\n"
        )
        shutil.copy(case.lock, self._own / "mounted" / "lock")
        binds = (f"{self._installer}{INSTALLER}:{INSTALLER}", f"{self._own / 'mounted'}:/mnt")
        options = [word for bind in binds for word in ("--bind", bind)]
        argv = ["apptainer", "--quiet", "build", "--fakeroot", "--force", *options]
        env = {
            "APPTAINER_CACHEDIR": str(self._own / "apptainer"),
            "APPTAINER_TMPDIR": str(self._own / "tmp"),
            "APPTAINER_NOHTTPS": "1",
        }
        return seconds(start([*argv, str(self._own / "rival.sif"), str(definition)], env), cwd=self._own)

    def published(self, case: Case, to: str, built: float) -> None:
        """Not measured: a SIF in a registry is no image there."""


def owned(folder: Path) -> None:
    """Give *folder* to the user who runs both sides."""
    found = ordinary.user()
    if os.geteuid() == 0 and found is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, found.pw_uid, found.pw_gid)


def start(argv: list[str], env: dict[str, str] | None = None) -> list[str]:
    """*argv* as an ordinary user with subordinate ids."""
    variables = [f"{name}={value}" for name, value in {**ordinary.environ(), **(env or {})}.items()]
    return ["env", *variables, *ordinary.argv(*argv)]


class OurSif(Ours):
    """Ours, by the Python that this user can start."""

    def command(self, *words: object) -> list[str]:
        self.home.mkdir(exist_ok=True)
        owned(self.home)
        options = ["--home", str(self.home), "--backend", self.backend, "--quiet"]
        return start([ordinary.python(), "-m", "coopery", *map(str, words), *options])

    def published(self, case: Case, to: str, built: float) -> None:
        """Not measured, as the rival's."""


@contextmanager
def sides(folder: Path, installer: Path) -> Iterator[tuple[Rival, OurSif]]:
    """Both sides, in folders of theirs."""
    folder.chmod(0o755)
    owned(folder)
    yield Rival(folder, installer), OurSif("singularity", folder, {}, lambda: None)
