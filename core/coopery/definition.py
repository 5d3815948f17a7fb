"""The definition: what a user asks for, as frozen values. No file is read here; `coopery.read` makes these from YAML.

Every field says whether it is part of the key. What is not lives in the entry beside the image, never in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

if TYPE_CHECKING:
    import os

from coopery import platform as _platform

DEFAULT_PREFIX: Final = "/opt/env"


def _frozen_map(value: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Mappings are kept as sorted pairs, so that values stay hashable and the order written never counts."""
    items = value.items() if isinstance(value, Mapping) else value
    return tuple(sorted((str(name), str(text)) for name, text in items))


def _nowhere(_value: str) -> str:
    """Definitions that were made in Python stand in no file."""
    return ""


# --- base: exactly one of these ------------------------------------------------------------------


@frozen
class ImageBase:
    """``{image: nvidia/cuda:12.4.1-runtime-ubuntu22.04}``: an image by reference."""

    image: str


@frozen
class ScratchBase:
    """``{scratch: true}``: nothing at all."""


@frozen
class LayoutBase:
    """``{layout: ./folder, tag: v1}``: an OCI image layout; keyed by its manifest's digest, never by its path."""

    layout: str
    tag: str = ""


@frozen
class ArchiveBase:
    """``{archive: image.tar, tag: v1}``: an OCI or Docker archive; keyed by its content."""

    archive: str
    tag: str = ""


@frozen
class RootfsBase:
    """``{rootfs: rootfs.tar}``: a root file system's tar, plain or compressed; keyed by its content."""

    rootfs: str


@frozen
class SifBase:
    """``{sif: image.sif}``: the file system of an Apptainer or Singularity image; keyed by the file's content."""

    sif: str


@frozen
class DebianBase:
    """``{debian: {suite: bookworm, packages: [libc6, …]}}``: Debian packages unpacked, no script run, one layer each.

    ``packages`` are names or ``name=version``. Depends and Pre-Depends are followed, first alternative first;
    Recommends are not.
    """

    suite: str
    packages: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)


@frozen
class DockerfileBase:
    """``{dockerfile: ./Dockerfile}``: a Dockerfile without a context; keyed by its text."""

    dockerfile: str


@frozen
class ContextBase:
    """``{context: ./folder, dockerfile: Dockerfile}``: a build context; keyed by names and contents."""

    context: str
    dockerfile: str = "Dockerfile"


Base = (
    ImageBase
    | ScratchBase
    | LayoutBase
    | ArchiveBase
    | RootfsBase
    | SifBase
    | DebianBase
    | DockerfileBase
    | ContextBase
)


# --- steps: in order, on top of the base ---------------------------------------------------------


@frozen
class RunStep:
    """``{run: script}`` through ``/bin/sh -e -c``, or ``{run: [argv, …]}`` as it stands."""

    run: str | tuple[str, ...]
    secrets: tuple[str, ...] = ()
    network: bool = True


@frozen
class CopyStep:
    """``{copy: SOURCE, to: /absolute}``; *source* is relative to the definition's folder, a file or a folder."""

    copy: str
    to: str
    mode: int | None = None
    owner: str = "0:0"


@frozen
class EnvStep:
    """``{env: {NAME: value}}``: set in the image, as a Dockerfile's ENV."""

    env: tuple[tuple[str, str], ...] = field(converter=_frozen_map)


@frozen
class WorkdirStep:
    """``{workdir: /path}``: made if absent, as a Dockerfile's WORKDIR."""

    workdir: str


@frozen
class UserStep:
    """``{user: name}`` or ``uid[:gid]``: whom later steps and the image run as."""

    user: str


Step = RunStep | CopyStep | EnvStep | WorkdirStep | UserStep


# --- packages ------------------------------------------------------------------------------------


@frozen
class Conda:
    """Channels in order of priority, and match specs; both as written but trimmed."""

    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()


@frozen
class Pip:
    """Requirements and the options that change what they resolve to. ``-r`` and ``-c`` files are already inlined."""

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    pre: bool = False
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()


@frozen
class Spark:
    """Maven coordinates ``group:artifact:version`` and the repositories to look in. Keyed now, materialized later."""

    packages: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()


@frozen
class Target:
    """The machine that will *run* the image. None: take it from the base."""

    platform: str = _platform.DEFAULT
    cuda: str | None = None
    glibc: str | None = None
    archspec: str | None = None


@frozen
class BuildOptions:
    """What changes bytes and is no package: Dockerfile arguments, ids of secrets, whether ``.pyc`` files are made."""

    arguments: tuple[tuple[str, str], ...] = field(default=(), converter=_frozen_map)
    secrets: tuple[str, ...] = ()
    bytecode: bool = True


@frozen
class Runtime:
    """Run-time settings: kept in the entry, never in the key, never in the image."""

    env: tuple[tuple[str, str], ...] = field(default=(), converter=_frozen_map)
    shm_size: str = ""
    workdir: str = ""


@frozen
class Environment:
    """One declared environment.

    In the key: ``base steps conda pip spark target prefix build interpreter``. Not in the key: the rest.

    Attributes:
        interpreter: a path in the image when the user manages Python: stage 2 is then skipped. None otherwise.
        runtime: settings of the process that runs in the image.
        root: folder that relative paths start from; no part of equality.
        file: absolute path of the file that it was loaded from; its lock file stands beside. No part of equality.
        places: value as written → ``file:line:column: $.field.path``, to name in later errors; no part of equality.
    """

    base: Base
    steps: tuple[Step, ...] = ()
    conda: Conda | None = None
    pip: Pip | None = None
    spark: Spark | None = None
    target: Target = Target()
    prefix: str = DEFAULT_PREFIX
    build: BuildOptions = BuildOptions()
    interpreter: str | None = None
    name: str = ""
    version: str = ""
    description: str = ""
    tags: tuple[tuple[str, str], ...] = field(default=(), converter=_frozen_map)
    runtime: Runtime = Runtime()
    root: Path = field(factory=Path, eq=False, repr=False)
    file: Path | None = field(default=None, eq=False, repr=False)
    places: Callable[[str], str] = field(default=_nowhere, eq=False, repr=False)

    @property
    def user_managed(self) -> bool:
        """True when the user answers for Python and its packages, and stage 2 is skipped."""
        return self.interpreter is not None

    @property
    def on_bases_python(self) -> bool:
        """True when packages stand on the base's own Python: pip's, with no conda beside them."""
        return self.pip is not None and self.conda is None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Environment:
        """Read a definition from a YAML or JSON file.

        Raises:
            DefinitionError: every mistake in it, each with file, line, column and field path.
        """
        from coopery.read import load

        return load(path)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], root: str | os.PathLike[str] = ".") -> Environment:
        """Check a definition given as plain data, in the same form as the YAML file.

        Raises:
            DefinitionError: every mistake in it, each with its field path.
        """
        from coopery.read import from_dict

        return from_dict(document, root)
