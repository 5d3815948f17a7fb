"""The program itself, ``apptainer`` or ``singularity``: found, asked its version, and told what to run.

Building an argument vector is pure; `coopery_singularity.child` and `coopery.foreground` run one.
Environment variables travel in the program's own environment (``APPTAINERENV_NAME``), never in arguments, which every
user of the machine can read. Source: Apptainer user guide 1.4, "Environment and Metadata", "Bind Paths and Mounts".
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from attrs import frozen

from coopery.errors import BackendError, UsageError

NAME: Final = "singularity"
VARIABLE: Final = "COOPERY_APPTAINER"
"""Names the program, where it is not on PATH."""

_PREFIXES: Final = ("APPTAINER", "SINGULARITY")
_KEPT: Final = ("_CACHEDIR", "_TMPDIR", "_CONFIGDIR")
"""Settings of the machine. All others of the program's own variables would change what is run."""

_ANSWER_SECONDS: Final = 20
_ABSENT: Final = (
    "install apptainer (on clusters often: module load apptainer), "
    f"or set {VARIABLE} to its path; apptainer.org/docs says how"
)


@frozen
class Program:
    """One installed program.

    Attributes:
        path: absolute.
        flavor: by its name: which prefix its variables have.
    """

    path: str
    flavor: Literal["apptainer", "singularity"]

    @property
    def prefix(self) -> str:
        """What a variable's name must begin with to be set inside."""
        return f"{self.flavor.upper()}ENV_"


@frozen
class Mount:
    """One host path, seen at an absolute path inside."""

    source: Path
    target: str
    read_only: bool = False


@frozen
class Call:
    """One process on an image.

    Attributes:
        images: a SIF, or a squashfs; what follows it is mounted over it, the last on top. Needs *overlay* if there are
            several.
        argv: what to execute inside.
        cwd: absolute path inside; empty for the root folder.
        mounts: what of the host is seen.
        overlay: folder that takes what is written; None: the image cannot be written.
        workdir: folder that holds what is written to /tmp, /var/tmp and the user's home; None: those of *overlay*.
        fakeroot: be root inside, with all of this user's subordinate ids.
        network: False cuts it off.
        gpu: pass NVIDIA's devices and libraries in.
    """

    images: tuple[Path, ...]
    argv: tuple[str, ...]
    cwd: str = ""
    mounts: tuple[Mount, ...] = ()
    overlay: Path | None = None
    workdir: Path | None = None
    fakeroot: bool = False
    network: bool = True
    gpu: bool = False


def find(environ: Mapping[str, str] = os.environ) -> Program | None:
    """The program to use: that of COOPERY_APPTAINER, else ``apptainer``, else ``singularity`` on PATH. Starts nothing.

    Raises:
        BackendError: COOPERY_APPTAINER names no program.
    """
    for name in filter(None, (environ.get(VARIABLE), "apptainer", "singularity")):
        path = shutil.which(name, path=environ.get("PATH", os.defpath))
        if path is not None:
            flavor: Literal["apptainer", "singularity"] = (
                "singularity" if "singularity" in Path(path).name else "apptainer"
            )
            return Program(os.path.abspath(path), flavor)
        if name == environ.get(VARIABLE):
            raise BackendError(NAME, f"{VARIABLE}: {name!r} is no program", remedy=f"correct or unset {VARIABLE}")
    return None


def program(environ: Mapping[str, str] = os.environ) -> Program:
    """As `find`.

    Raises:
        BackendError: there is none.
    """
    found = find(environ)
    if found is None:
        raise BackendError(NAME, "neither apptainer nor singularity is on PATH", remedy=_ABSENT)
    return found


def version(found: Program) -> str:
    """As it states it, ``1.4.5``.

    Raises:
        BackendError: it cannot be started, or does not answer.
    """
    try:
        done = subprocess.run(
            [found.path, "version"], capture_output=True, timeout=_ANSWER_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise BackendError(NAME, f"{found.path} does not say its version: {exc}", remedy="install it again") from exc
    return done.stdout.decode("utf-8", "replace").strip()


def argv(found: Program, call: Call) -> list[str]:
    """The argument vector for *call*. Nothing of the host is inside but the mounts: no home, no /tmp, no environment.

    Raises:
        UsageError: a path that no mount can be told of.
    """
    words = [found.path, "--nocolor", "--silent", "exec", "--cleanenv", "--no-eval", "--no-umask", "--pid", "--contain"]
    if call.workdir is not None:
        words += ["--no-mount", "cwd,bind-paths,hostfs", "--workdir", str(call.workdir)]
    else:
        words += ["--no-mount", "home,tmp,cwd,bind-paths,hostfs"]
    words += ["--fakeroot"] if call.fakeroot else []
    words += [] if call.network else ["--net", "--network", "none"]
    words += ["--nv"] if call.gpu else []
    for image in call.images[1:]:
        words += ["--overlay", f"{image}:ro"]
    words += ["--overlay", str(call.overlay)] if call.overlay is not None else []
    for mount in call.mounts:
        words += ["--mount", _mount(mount)]
    return [*words, "--pwd", call.cwd or "/", str(call.images[0]), *call.argv]


def environment(found: Program, inside: Mapping[str, str], host: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for the program itself, so that *inside* is set in the image and nothing else of *host*."""
    kept = {
        name: value
        for name, value in host.items()
        if not name.startswith(_PREFIXES) or name.removeprefix("APPTAINER").removeprefix("SINGULARITY") in _KEPT
    }
    # HOME is the program's own to set; it says so aloud when it is told.
    return {**kept, **{found.prefix + name: value for name, value in inside.items() if name != "HOME"}}


def _mount(mount: Mount) -> str:
    fields = ["type=bind", f"source={mount.source}", f"destination={mount.target}"]
    if any(character in field for field in fields for character in "\n\r\0"):
        raise UsageError(f"cannot mount {str(mount.source)!r} at {mount.target!r}: a line break or NUL is in the path")
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([*fields, *(["ro"] if mount.read_only else [])])
    return text.getvalue()
