"""Real daemons, a small real image made of this machine's own shell, and a socket that answers as it is told."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import frozen

from coopery import platform
from coopery.backend import Snapshot, Workshop
from coopery.definition import RunStep
from coopery.errors import PluginError
from coopery.events import Event
from coopery.home import Home
from coopery.image import Assembled, encode
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.sealed import SealedStep
from coopery.settings import Settings
from coopery_docker import owner, stage
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon
from coopery_docker.endpoint import Endpoint, endpoint
from real_dockerd import Dockerd

TOOLS = ("sh", "cat", "id", "env", "sleep", "ls", "mkdir", "rm", "head", "ln", "tty")


def shop(home: Path, events: list[Event]) -> Workshop:
    """A workshop below *home* that notes its events."""

    def no_source(name: str) -> Any:
        raise PluginError(f"no base source called {name!r} is installed")

    kept = Home(home)
    kept.make()
    return Workshop(home, kept.staging, kept.blobs, Settings(home=home), no_source, events.append)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests of a process, so that the image is cut once."""
    return tmp_path_factory.mktemp("docker") / "home"


@pytest.fixture
def workshop(session_home: Path, events: list[Event]) -> Workshop:
    return shop(session_home, events)


def text(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, mode=mode, source=content, size=len(content))


def layer_of(workshop: Workshop, *entries: Entry) -> Layer:
    tree = Tree("test", "test", (), lambda: [entry.path for entry in entries], lambda: entries)
    return cut_into(workshop.blobs, [tree])[0]


def image_of(layers: Sequence[Layer], settings: Mapping[str, Any] | None = None) -> Assembled:
    system, _, architecture = platform.of_host().partition("/")
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    document = {"architecture": architecture, "os": system, "config": dict(settings or {}), "rootfs": rootfs}
    return Assembled(encode({**document, "history": [{"created_by": "test"} for _ in layers]}), tuple(layers))


def snapshot_of(image: Assembled) -> Snapshot:
    return Snapshot("docker", image.image_id, image.image_id, image.config, image.layers)


@cache
def tools() -> tuple[Entry, ...]:
    """A usr-merged root with this machine's shell, tools and the libraries that they name."""
    links = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
    entries = [Entry(name, "symlink", 0o777, target) for name, target in links.items()]
    entries += [text("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n")]
    entries += [text("etc/group", b"root:x:0:\napps:x:1001:\n"), Entry("tmp", "directory", 0o1777)]
    entries += [text("old/one", b"1"), text("old/two", b"2"), text("gone", b"soon")]
    files: dict[str, Path] = {}
    for tool in TOOLS:
        found = Path(shutil.which(tool) or f"/bin/{tool}")
        files[f"usr/bin/{tool}"] = found.resolve()
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)[1:]] = Path(library).resolve()
    entries += [Entry(path, mode=0o755, source=real, size=os.stat(real).st_size) for path, real in files.items()]
    return tuple(entries)


_OWN = f"{os.getpid()}-{os.urandom(4).hex()}"


@pytest.fixture
def small(workshop: Workshop) -> Assembled:
    """Runs a shell. Its VOLUME and HEALTHCHECK are traps for steps.

    Another image in every process: tests of two at once take theirs away, and a classic build holds what it is FROM.
    """
    settings = {
        "Labels": {"coopery.test": _OWN},
        "Env": ["PATH=/usr/bin:/bin", "COLOR=green"],
        "WorkingDir": "/tmp",
        "Cmd": ["sh", "-c", "echo own"],
        "Volumes": {"/data": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", "exit 1"], "Interval": 1000000000},
    }
    return image_of([layer_of(workshop, *tools())], settings)


@pytest.fixture
def base(small: Assembled) -> Snapshot:
    return snapshot_of(small)


def run_step(run: str | tuple[str, ...], **options: Any) -> SealedStep:
    return SealedStep(RunStep(run, **options), field_path="$.steps[0]")


# --- daemons --------------------------------------------------------------------------------------


@frozen
class Leaks:
    """What this process has left in a daemon: containers, and intermediate images beyond the one that is held."""

    daemon: Daemon

    @property
    def containers(self) -> list[str]:
        return [
            str(entry["Id"])
            for entry in self.daemon.containers(owner.LABEL)
            if (entry.get("Labels") or {}).get(owner.LABEL) == owner.own()
        ]

    @property
    def images(self) -> list[str]:
        found = [str(name) for entry in self.daemon.images("coopery-step:*") for name in entry.get("RepoTags") or ()]
        return [name for name in found if owner.own() in name]


@pytest.fixture
def backend(workshop: Workshop) -> Iterator[DockerBackend]:
    made = DockerBackend(workshop)
    yield made
    made._stage.release()
    gc.collect()  # stages of backends that a test made besides
    stage.sweep_images(made._daemon)
    leaks = Leaks(made._daemon)
    made_leaks = (leaks.containers, leaks.images)
    made.close()
    assert made_leaks == ([], [])


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    made = Daemon(endpoint())
    yield made
    made.close()


@pytest.fixture(scope="session")
def dockerd_class() -> type[Dockerd]:
    return Dockerd


@pytest.fixture
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Dockerd]]:
    """Starts daemons; all are stopped at the end."""
    started: list[Dockerd] = []

    def start(*options: str, size: str = "") -> Dockerd:
        made = Dockerd(tmp_path_factory.mktemp("dockerd"), *options, size=size)
        started.append(made)
        return made.start()

    yield start
    for made in started:
        made.stop()


@pytest.fixture
def made() -> SimpleNamespace:
    """The makers above, since test modules cannot import each other."""
    makers = (text, layer_of, image_of, snapshot_of, run_step, shop, Leaks)
    return SimpleNamespace(Dockerd=Dockerd, **{maker.__name__: maker for maker in makers})


# --- a socket that answers as it is told ------------------------------------------------------------


class Scripted(socketserver.ThreadingUnixStreamServer):
    """Answers each request by the first of *answers* whose pattern matches ``METHOD path``; notes all requests."""

    daemon_threads = True

    def __init__(self, path: Path, answers: Mapping[str, tuple[int, bytes]]) -> None:
        self.answers = {r"GET /version": (200, json.dumps({"ApiVersion": "1.41"}).encode()), **answers}
        self.seen: list[str] = []
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        self._read_body()
        request = f"{self.command} {re.sub(r'^/v[0-9.]+', '', self.path)}"
        self.server.seen.append(request)
        status, body = next((a for p, a in self.server.answers.items() if re.match(p, request)), (404, b"{}"))
        self.send_response(status)
        if request.startswith("POST /images/load"):  # as the daemon does: in chunks
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Content-Type", "application/json")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _read_body(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that the base class looks for

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_told: Any) -> None:
        pass


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[Mapping[str, tuple[int, bytes]]], tuple[Scripted, Endpoint]]]:
    """Starts a `Scripted` with the given answers; returns it and its endpoint."""
    servers: list[Scripted] = []

    def start(answers: Mapping[str, tuple[int, bytes]]) -> tuple[Scripted, Endpoint]:
        path = tmp_path / f"s{len(servers)}"
        servers.append(Scripted(path, answers))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1], Endpoint(f"unix://{path}", origin="a test")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
