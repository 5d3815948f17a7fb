"""A small real image, made of this machine's own shell and tools, and the parts that a backend is lent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve, frozen

from coopery import platform
from coopery.backend import Snapshot, Workshop
from coopery.errors import PluginError
from coopery.events import Event
from coopery.home import Home
from coopery.image import Assembled, encode
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.place import RunRequest
from coopery.settings import Settings
from coopery_oci import run
from coopery_oci import ways as _ways

TOOLS = ("sh", "cat", "id", "env", "sleep", "ls", "mkdir", "rm", "pwd", "tty", "stat")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\nbroken line\n"
GROUP = b"root:x:0:\napps:x:1001:\nvideo:x:44:app\n"


def shop(home: Path, events: MutableSequence[Event], source: Callable[[str], Any] | None = None) -> Workshop:
    """A workshop below *home* that notes its events."""

    def no_source(name: str) -> Any:
        raise PluginError(f"no base source called {name!r} is installed")

    kept = Home(home)
    return Workshop(home, kept.staging, kept.blobs, Settings(home=home), source or no_source, events.append)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workshop(tmp_path: Path, events: list[Event]) -> Workshop:
    return shop(tmp_path / "home", events)


def layer_of(workshop: Workshop, entries: Iterable[Entry]) -> Layer:
    """One layer with *entries*."""
    kept = tuple(entries)
    tree = Tree("test", "test", (), lambda: [entry.path for entry in kept], lambda: kept)
    return cut_into(workshop.blobs, [tree])[0]


def image_of(
    layers: Sequence[Layer], settings: Mapping[str, Any] | None = None, on: str = platform.of_host()
) -> Assembled:
    """An image with *layers* and the ``config`` section *settings*."""
    system, _, architecture = on.partition("/")
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    history = [{"created_by": "test"} for _ in layers]
    document = {"architecture": architecture, "os": system, "config": dict(settings or {}), "rootfs": rootfs}
    return Assembled(encode({**document, "history": history}), tuple(layers))


def snapshot_of(image: Assembled) -> Snapshot:
    return Snapshot("oci", image.image_id, image.image_id, image.config, image.layers)


def text(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, mode=mode, source=content, size=len(content))


@cache
def tools() -> tuple[Entry, ...]:
    """A usr-merged root with this machine's shell, tools and the libraries that they name."""
    links = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
    entries = [Entry(name, "symlink", 0o777, target) for name, target in links.items()]
    entries += [text("etc/passwd", PASSWD), text("etc/group", GROUP)]
    entries += [Entry("tmp", "directory", 0o1777), Entry("root", "directory", 0o700)]
    entries += [Entry("home/app", "directory", 0o755, uid=1000, gid=1001)]
    files: dict[str, Path] = {}
    for tool in TOOLS:
        found = Path(shutil.which(tool) or f"/bin/{tool}")
        files[f"usr/bin/{tool}"] = found.resolve()
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            merged = re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)
            files[merged[1:]] = Path(library).resolve()
    entries += [Entry(path, mode=0o755, source=real, size=os.stat(real).st_size) for path, real in files.items()]
    return tuple(entries)


def small(workshop: Workshop) -> Assembled:
    """Runs a shell; PATH, a variable, a working directory that is missing, and a command of its own."""
    settings = {"Env": ["PATH=/usr/bin:/bin", "COLOR=green"], "WorkingDir": "/work", "Cmd": ["sh", "-c", "echo own"]}
    return image_of([layer_of(workshop, tools())], settings)


@pytest.fixture(scope="session")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One home for all runs, so that the image is unpacked once. Its events are not noted."""
    return shop(tmp_path_factory.mktemp("running") / "home", deque(maxlen=0))


@pytest.fixture(scope="session")
def small_image(running_shop: Workshop) -> Assembled:
    return small(running_shop)


@frozen
class Done:
    status: int
    out: str
    err: str
    events: list[Event]


@pytest.fixture
def go(
    running_shop: Workshop, small_image: Assembled, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Run a program in this process; *ways* are those that may be tried, as pairs of name and ``isolated``."""

    def run_it(*argv: str, ways: Sequence[Sequence[Any]] = (), image: Assembled = small_image, **request: Any) -> Done:
        events: list[Event] = []
        every = _ways.ways()
        allowed = tuple(way for way in every if not ways or [way.name, way.isolated] in [list(pair) for pair in ways])
        monkeypatch.setattr(run, "ways", lambda: allowed)
        capfd.readouterr()
        status = run.run_image(evolve(running_shop, emit=events.append), image, RunRequest(argv=argv, **request))
        out, err = capfd.readouterr()
        assert list((running_shop.home / "running").iterdir()) == []
        return Done(status, out, err, events)

    return run_it


class Started(subprocess.Popen[bytes]):
    """As a context manager it never waits for what a failed test has left running."""

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


class Runner:
    """Starts `runner.py`, as this user or as ``nobody``."""

    def __init__(self, home: Path, image: Assembled, python: str, path: str, user: int | None) -> None:
        self._home = home
        self._image = image
        self._python = python
        self._environ = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm"}
        self._user = user

    def start(self, *argv: str, **options: Any) -> Started:
        given = {
            "config": self._image.config.decode(),
            "layers": [[layer.diff_id, layer.digest, layer.size] for layer in self._image.layers],
            "argv": argv,
            "env": options.pop("run_env", {}),
            "mounts": options.pop("mounts", []),
            "ways": options.pop("ways", []),
            "user": options.pop("user", ""),
        }
        environ = {**self._environ, "PATH": f"{options.pop('path', '')}:{os.environ['PATH']}".lstrip(":")}
        command = [self._python, str(Path(__file__).with_name("runner.py")), str(self._home), json.dumps(given)]
        users: dict[str, Any] = {} if self._user is None else {"user": self._user, "group": self._user}
        if users:
            users["extra_groups"] = []
        return Started(command, env=environ, cwd="/", **users, **options)

    def __call__(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run to the end; output as text."""
        options.setdefault("stdin", subprocess.DEVNULL)
        started = self.start(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        out, err = started.communicate(timeout=60)
        return subprocess.CompletedProcess(argv, started.returncode, out.decode(), err.decode())

    @property
    def leftovers(self) -> list[str]:
        """What is still in the folder for running programs."""
        return sorted(path.name for path in (self._home / "running").iterdir())


@pytest.fixture
def runner(running_shop: Workshop, small_image: Assembled) -> Runner:
    """As this user."""
    return Runner(running_shop.home, small_image, sys.executable, os.pathsep.join(sys.path), None)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, with Coopery's packages in it: the checkout may be closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="coopery-test-"))
    folder.chmod(0o755)
    for name in ("coopery", "coopery_oci", "attr", "attrs", "zstandard"):
        package = Path(str(import_module(name).__file__)).parent
        shutil.copytree(package, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("runner.py"), folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


NOBODY = 65534


@pytest.fixture
def ordinary(open_folder: Path, small_image: Assembled, running_shop: Workshop) -> Runner:
    """As an ordinary user: this one, or ``nobody`` where the tests are run by root."""
    user = NOBODY if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(dir=open_folder))
    shutil.copytree(running_shop.home / "images", home / "images")
    if user is not None:
        for path in (home, *home.rglob("*")):
            os.chown(path, user, user)
    python = next(python for python in (sys.executable, "/usr/bin/python3") if _reaches(user, python, open_folder))
    return Runner(home, small_image, python, str(open_folder), user)


def _reaches(user: int | None, python: str, folder: Path) -> bool:
    """Whether *user* can start *python*: it may live in root's own folder."""
    users: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-c", "import coopery_oci.run"]
    try:
        done = subprocess.run(
            command, env={"PYTHONPATH": str(folder)}, cwd="/", capture_output=True, check=False, **users
        )
    except PermissionError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests."""
    return SimpleNamespace(text=text, layer=layer_of, image=image_of, tools=tools, snapshot=snapshot_of, shop=shop)
