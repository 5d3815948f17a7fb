"""A wheel from a source: in the image that is being made, with exact tools, and never on this machine.

The tools (`build-system.requires`) are resolved and fetched here as wheels, and laid out in a folder that the build
alone sees; the project's own backend then makes the wheel as a program in the image (`coopery.inside`), with no
network. What it asks for once it is asked itself (PEP 517, ``get_requires_for_build_wheel``) is fetched and the build
begun anew. The wheel is checked like any stranger's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from coopery import use
from coopery.errors import PackageError
from coopery.events import Progress
from coopery.folders import scratch
from coopery.inside import HERE, Errand
from coopery.layer import Entry
from coopery.lock import Artifact, Built
from coopery.target import Provided, Resolved
from coopery_pip import project, tree
from coopery_pip.choose import KIND, rank
from coopery_pip.code import Code
from coopery_pip.made import Made, Memo
from coopery_pip.unpacked import UnpackedWheels

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.inside import Inside
    from coopery_pip.machine import Machine
    from coopery_pip.wheels import Wheels

RECIPE: Final = "coopery.pip.build.v1"
"""Raised when the same source and tools are built in another way."""

_ROUNDS: Final = 4
"""How often a build may ask for more tools."""

_TOOLS: Final = f"{HERE}/tools"
_MAX_NEEDS: Final = 1 << 20
_CHILDREN: Final = {"build_child.py": "build_child.py", "site/sitecustomize.py": "sitecustomize_child.py"}
"""Path below `HERE` → the file beside this one whose text it has."""

Tools = Callable[[Sequence[str], Sequence[Artifact]], tuple[Artifact, ...]]
"""Exact wheels for requirements, staying with those of an older lock where they fit."""


@frozen
class Job:
    """One wheel to be made.

    Attributes:
        code: its source.
        source: what `coopery.lock.Artifact.source` is to be.
        subject: for messages: where it is asked for, and what it is.
        name: normalized name that it must have; empty: whatever it has.
        before: tools of an older lock, to stay with.
    """

    code: Code
    source: str
    subject: str
    name: str = ""
    before: tuple[Artifact, ...] = ()


@frozen
class Building:
    """Makes wheels for one environment.

    Attributes:
        workshop: lends folders.
        inside: the image.
        target: what wheels are for.
        interpreter: path in the image of the Python that builds.
        machine: the same for file names.
        wheels: where tools are and wheels go.
        tools: resolves what builds ask for.
        fetch: brings wheels of tools here.
        memo: what builds gave before.
    """

    workshop: Workshop = field(repr=False)
    inside: Inside = field(repr=False)
    target: Resolved = field(repr=False)
    interpreter: str
    machine: Machine
    wheels: Wheels = field(repr=False)
    tools: Tools = field(repr=False)
    fetch: Callable[[Sequence[Artifact]], None] = field(repr=False)
    memo: Memo = field(repr=False)

    def make(self, job: Job) -> Artifact:
        """The wheel of *job*, with the tools that there are today; one that was made so before is taken again.

        Raises:
            UnsupportedError: the backend runs nothing.
            ResolveError: its tools cannot be had as wheels.
            StepFailed: it does not build.
            PackageError: what it made is no wheel, or none that runs on the target.
        """
        self.inside.check(job.subject)
        found = project.read(job.code)
        asked = list(found.requires)
        for _ in range(_ROUNDS):
            tools = self.tools(asked, job.before)
            made = self._remembered(job, found, tools, asked)
            if made.wheel is not None:
                return self._artifact(job, tools, *made.wheel)
            asked += made.needs
        raise PackageError(job.code.file_name, f"asks for other build requirements each time: {', '.join(asked)}")

    def remake(self, job: Job, tools: Sequence[Artifact]) -> Artifact:
        """The wheel of *job*, built with exactly *tools*. Raises as `make`."""
        self.inside.check(job.subject)
        made = self._run(job, project.read(job.code), tools, None)
        if made.wheel is None:
            raise AssertionError("a build that may ask for nothing asked for something")
        return self._artifact(job, tools, *made.wheel)

    def has(self, sha256: str) -> bool:
        """Whether the wheel with *sha256* is here; it is about to be used then, and marked so."""
        return use.mark(self.wheels.path(sha256), self.workshop.staging)

    def _remembered(self, job: Job, found: project.Project, tools: Sequence[Artifact], asked: Sequence[str]) -> Made:
        memo = self.memo
        key = memo.key(
            RECIPE,
            job.code.source,
            job.code.sha256,
            self.inside.digest(),
            self.interpreter,
            *sorted(tool.sha256 for tool in tools),
            *sorted(asked),
        )
        made = memo.get(key)
        if made is None or (made.wheel is not None and not self.has(made.wheel[1])):
            made = self._run(job, found, tools, asked)
            memo.put(key, made)
        return made

    def _run(self, job: Job, found: project.Project, tools: Sequence[Artifact], known: Sequence[str] | None) -> Made:
        self.workshop.emit(Progress(stage="lock", item=f"building {job.code.source}"))
        self.fetch(tools)
        source = f"source.{'zip' if job.code.is_zip else 'tar'}"
        told = {
            "source": source,
            "subdirectory": job.code.subdirectory,
            "backend": found.backend,
            "backend_path": found.backend_path,
            "known": known,
        }
        entries = [
            Entry(f"{HERE[1:]}/{source}", source=job.code.path, size=job.code.path.stat().st_size),
            *(_text(path, _beside(name)) for path, name in _CHILDREN.items()),
            _text("job.json", json.dumps(told).encode()),
            *(Entry(f"{HERE[1:]}/{name}", "directory", 0o755) for name in ("tmp", "home")),
            *self._laid_out(tools),
        ]
        errand = Errand(
            job.subject, (self.interpreter, f"{HERE}/build_child.py"), tuple(entries), self._env(job.code.time)
        )
        with scratch(self.workshop.staging, "pip-built") as folder:
            return self._taken(job, self.inside.run(errand, folder))

    def _env(self, time: int) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{HERE}/site:{self._site_packages}",
            "COOPERY_TOOLS": self._site_packages,
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "SOURCE_DATE_EPOCH": str(time),
            "TMPDIR": f"{HERE}/tmp",  # noqa: S108 - of the container
            "HOME": f"{HERE}/home",
            "LC_ALL": "C.UTF-8",
            "PIP_NO_INDEX": "1",
        }

    @property
    def _site_packages(self) -> str:
        major, minor = self.machine.minor
        return f"{_TOOLS}/lib/python{major}.{minor}/site-packages"

    def _laid_out(self, tools: Sequence[Artifact]) -> Iterator[Entry]:
        """The tools as files of a prefix of their own; of a path that two have, the first by name has it."""
        target = evolve(self.target, prefix=_TOOLS, bytecode=False)
        provided = Provided(self.machine.full_python, self.interpreter, self._site_packages)
        files = [(tool, self.wheels.path(tool.sha256)) for tool in tools]
        seen: set[str] = set()
        for one in tree.trees(self.workshop, files, target, provided) if files else ():
            for entry in one.entries():
                if entry.path not in seen:
                    seen.add(entry.path)
                    yield entry

    def _taken(self, job: Job, left: Sequence[Path]) -> Made:
        by_name = {path.name: path for path in left}
        if "needs.json" in by_name:
            return Made(needs=_needs(by_name["needs.json"], job.code.file_name))
        found = [path for path in left if path.name.endswith(".whl")]
        if len(found) != 1:
            names = ", ".join(by_name) or "nothing"
            raise PackageError(job.code.file_name, f"expected its build to leave one wheel, found {names}")
        sha256, size = self.wheels.fetch(found[0].as_uri(), found[0].name, None, lambda *_: None)
        return Made(wheel=(found[0].name, sha256, size))

    def _artifact(self, job: Job, tools: Sequence[Artifact], file_name: str, sha256: str, size: int) -> Artifact:
        """What was made, once it is known to be the wheel that it should be."""
        try:
            name, version, _, _ = parse_wheel_filename(file_name)
        except InvalidWheelFilename as exc:
            raise PackageError(job.code.file_name, f"its build left {file_name!r}: {exc}") from exc
        if job.name and canonicalize_name(name) != job.name:
            raise PackageError(job.code.file_name, f"is asked for as {job.name}, and its build made {file_name}")
        if rank(self.machine, file_name) is None:
            words = self.machine.words
            raise PackageError(job.code.file_name, f"its build made {file_name}, which does not run on {words}")
        built = Built(job.code.source, job.code.sha256, tools)
        made = Artifact(KIND, canonicalize_name(name), str(version), "", "", file_name, job.source, sha256, size, built)
        UnpackedWheels(self.workshop.home / "wheels", self.workshop.staging).listed(made, self.wheels.path(sha256))
        return made


def _beside(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _text(path: str, content: bytes) -> Entry:
    return Entry(f"{HERE[1:]}/{path}", source=content, size=len(content))


def _needs(path: Path, name: str) -> tuple[str, ...]:
    """What the build asks for. The file was written by the project's own code."""
    try:
        with path.open("rb") as stream:
            found: Any = json.loads(stream.read(_MAX_NEEDS))
        texts = tuple(str(Requirement(text)) and text for text in found)
    except (ValueError, TypeError, RecursionError, InvalidRequirement) as exc:
        raise PackageError(name, f"its build asks for what are no requirements: {exc}") from exc
    if not texts or any(Requirement(text).url for text in texts):
        raise PackageError(name, f"its build asks for files by URL, which no index has: {', '.join(texts)}")
    return texts
