"""A small real image of this machine's own shell and tools, and what a backend is lent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent.parent))
import parts
from coopery import platform
from coopery.backend import Snapshot, Workshop
from coopery.definition import Environment, ScratchBase
from coopery.errors import PluginError
from coopery.events import Event
from coopery.home import Home
from coopery.image import Assembled, encode
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.seal import seal
from coopery.settings import Settings
from coopery_singularity.backend import SingularityBackend

TOOLS = (
    "sh",
    "cat",
    "id",
    "env",
    "sleep",
    "ls",
    "mkdir",
    "rm",
    "pwd",
    "stat",
    "touch",
    "chmod",
    "chown",
    "setpriv",
    "head",
    "mv",
    "ln",
    "printf",
)
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n"


if os.geteuid() == 0:  # `test_as_ordinary_user` runs them, in a child
    collect_ignore = ["test_singularity_build.py", "test_singularity_run.py", "test_singularity_steps.py"]


@pytest.fixture(scope="session", autouse=True)
def apptainer_on_path() -> Iterator[None]:
    """Apptainer as scripts/install-apptainer leaves it, where none is installed."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{before}:{parts.REPOSITORY / 'build' / 'apptainer' / 'usr' / 'bin'}"
    yield
    os.environ["PATH"] = before


@pytest.fixture
def events() -> list[Event]:
    return []


def shop(root: Path, emit: Callable[[Event], object]) -> Workshop:
    def no_source(name: str) -> Any:
        raise PluginError(f"no base source called {name!r} is installed")

    home = Home(root)
    home.make()
    return Workshop(root, home.staging, home.blobs, Settings(home=root), no_source, emit)


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all runs and steps, so that images are made once."""
    return tmp_path_factory.mktemp("singularity") / "home"


@pytest.fixture
def workshop(shared_home: Path, events: list[Event]) -> Workshop:
    return shop(shared_home, events.append)


@pytest.fixture
def backend(workshop: Workshop) -> SingularityBackend:
    return SingularityBackend(workshop)


def layer_of(workshop: Workshop, entries: Iterable[Entry]) -> Layer:
    kept = tuple(entries)
    tree = Tree("test", "test", (), lambda: [entry.path for entry in kept], lambda: kept)
    return cut_into(workshop.blobs, [tree])[0]


def image_of(layers: Sequence[Layer], settings: Mapping[str, Any] | None = None) -> Assembled:
    system, _, architecture = platform.of_host().partition("/")
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    history = [{"created_by": "test"} for _ in layers]
    document = {"architecture": architecture, "os": system, "config": dict(settings or {}), "rootfs": rootfs}
    return Assembled(encode({**document, "history": history}), tuple(layers))


def snapshot_of(image: Assembled) -> Snapshot:
    return Snapshot("singularity", image.image_id, image.image_id, image.config, image.layers)


def text(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, mode=mode, source=content, size=len(content))


@cache
def tools() -> tuple[Entry, ...]:
    """A usr-merged root with this machine's shell, tools and the libraries that they name."""
    links = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
    entries = [Entry(name, "symlink", 0o777, target) for name, target in links.items()]
    entries += [text("etc/passwd", PASSWD), text("etc/group", b"root:x:0:\napps:x:1001:\n")]
    entries += [text("etc/old", b"old\n"), text("srv/data/one", b"1\n"), text("srv/data/two", b"2\n")]
    entries += [Entry("tmp", "directory", 0o1777), Entry("root", "directory", 0o700)]
    entries += [Entry("home/app", "directory", 0o755, uid=1000, gid=1001)]
    files: dict[str, Path] = {}
    for tool in TOOLS:
        found = Path(shutil.which(tool) or f"/bin/{tool}")
        files[f"usr/bin/{tool}"] = found.resolve()
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)[1:]] = Path(library).resolve()
    entries += [Entry(path, mode=0o755, source=real, size=os.stat(real).st_size) for path, real in files.items()]
    return tuple(entries)


@pytest.fixture
def small(workshop: Workshop) -> Assembled:
    """Runs a shell; PATH, a variable, and a command of its own."""
    settings = {
        "Env": ["PATH=/usr/bin:/bin", 'COLOR=it\'s $green "x"'],
        "WorkingDir": "/srv",
        "Cmd": ["sh", "-c", "echo own"],
    }
    return image_of([layer_of(workshop, tools())], settings)


@pytest.fixture
def after(backend: SingularityBackend, small: Assembled, tmp_path: Path) -> Callable[..., Snapshot]:
    """Run steps on the small image; returns the last snapshot. ``secrets`` and ``step_seconds`` go to the workshop."""

    def run(*steps: Any, **lent: Any) -> Snapshot:
        worker = SingularityBackend(evolve(backend._workshop, **lent)) if lent else backend
        snapshot = snapshot_of(small)
        for number, step in enumerate(seal(Environment(ScratchBase(), steps, root=tmp_path)).steps):
            snapshot = worker.run_step(snapshot, step, f"{number:064x}")
        return snapshot

    return run


def _owner(process: Path) -> int | None:
    try:
        return os.stat(process).st_uid
    except FileNotFoundError:
        return None


@pytest.fixture
def leftovers(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What is left of Apptainer on this machine that is ours: processes; and what is left in staging.

    Ours have inherited a variable; others' may run at the same time. Whose cannot be told, counts as ours.
    """
    mark = os.urandom(8).hex()
    monkeypatch.setenv("COOPERY_TEST_LEFTOVERS", mark)

    def ours(process: Path) -> bool:
        try:
            return mark.encode() in (process / "environ").read_bytes()
        except OSError:
            return process.exists()

    def look() -> list[str]:
        found = [path.name for path in workshop.staging.iterdir()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(workshop.home) in line or (
                "apptainer" in line and _owner(process) == os.geteuid() and ours(process)
            ):
                found.append(line)
        return found

    return look


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(layer=layer_of, image=image_of, text=text, tools=tools, snapshot=snapshot_of, shop=shop)
