"""What both sides of a contest start from: bases and a channel on loopback, definitions, locks, an installer.

`fetch` is all that needs a network; `Stage` is then set up where there is only loopback.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import rattler
from attrs import frozen
from rattler.package_streaming import extract

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(HERE)]

from channel import index  # noqa: E402 - found by the line above
from channel.package import Recipe, write  # noqa: E402 - as before

CHANNEL = REPOSITORY / "build" / "channel"
COOPERY = Path(sys.executable).parent / "coopery"
PREFIX = "/opt/env"
INSTALLER = "/opt/installer"
SPECS = ["python=3.11", "scikit-learn", "pandas", "matplotlib", "requests", "setuptools", "pip", "wheel"]
LARGEST, SMALL = "scipy", "threadpoolctl"
DEBIAN = "libc6 libgcc-s1 bash dash coreutils grep sed tar gzip findutils base-files base-passwd ca-certificates"


@frozen
class Case:
    """One thing to build, said to both sides.

    Attributes:
        name: of its files.
        base: reference in the registry.
        lock: pixi.lock, for the rival.
        step: a shell command before the packages; empty: none.
        definition: for Coopery, its lock file beside it.
    """

    name: str
    base: str
    lock: Path
    step: str
    definition: Path


@frozen
class Fetched:
    """Root file systems of two versions of a base, as tars."""

    first: Path
    second: Path


def call(*argv: object, **options: Any) -> str:
    """Run it; its stdout. Ends the benchmark where it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}\nfailed: {(done.stderr + done.stdout)[-3000:]}")
    return done.stdout


def fetch(folder: Path) -> Fetched:
    """A small Debian with a shell, and its next version, in which one file differs."""
    from coopery import Builder, Environment
    from coopery.definition import DebianBase
    from coopery.oci.flatten import flatten
    from coopery.oci.layout import Layout

    base = DebianBase("bookworm", tuple(DEBIAN.split()))
    first, second = folder / "first.tar", folder / "second.tar"
    with Builder(home=folder / "debian", backend="oci") as builder:
        image = builder.build(Environment(base=base))
        home = builder.home
        _, assembled = Layout(home.images, home.staging).open(image.digest, "linux/amd64")
        with first.open("wb") as file:
            flatten(assembled.layers, home.blobs, file)
    shutil.copy(first, second)
    with tarfile.open(second, "a") as tar:
        member = tarfile.TarInfo("etc/release-notes")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"2\n"))
    return Fetched(first, second)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """*folder* over HTTP on loopback, as long as the context lasts; gives its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def channel(folder: Path) -> Path:
    """The tests' channel, with a second build of the largest package, in which one file differs."""
    made = folder / "channel"
    shutil.copytree(CHANNEL, made, ignore=shutil.ignore_patterns("linux-aarch64"), copy_function=os.link)
    for document in made.rglob("repodata.json*"):  # not those of the tests
        shutil.copy(document, copy := document.with_name("copy"))
        copy.replace(document)
    records = [
        {**record, "fn": name}
        for subdir in ("linux-64", "noarch")
        for name, record in json.loads((made / subdir / "repodata.json").read_text())["packages.conda"].items()
    ]
    old = next(record for record in records if record["name"] == LARGEST)
    files = folder / "largest"
    extract(str(made / old["subdir"] / old["fn"]), str(files))
    shutil.rmtree(files / "info")
    changed = next(files.rglob(f"{LARGEST}/__init__.py"))
    changed.write_bytes(changed.read_bytes() + b"\n# the next build\n")
    recipe = Recipe(LARGEST, old["version"], "py311_1", old["subdir"], old["depends"], build_number=1)
    index.write(made, ["linux-64", "noarch"], [*records, write(recipe, files, made)])
    return made


def installer(folder: Path) -> Path:
    """A tree that holds a Python and py-rattler at `INSTALLER`, with all that they need but the C library."""
    tree = folder / "installer"
    prefix = tree / INSTALLER.strip("/")
    code = (
        "import asyncio, os, rattler, sys\n"
        "async def run():\n"
        "    glibc = rattler.GenericVirtualPackage("
        "rattler.PackageName('__glibc'), rattler.Version('2.36'), rattler.BuildString('0'))\n"
        "    found = await rattler.solve([sys.argv[1]], ['python=3.11'], platforms=['linux-64', 'noarch'],\n"
        "        virtual_packages=[glibc], gateway=rattler.Gateway())\n"
        "    await rattler.install(found, sys.argv[2], cache_dir=sys.argv[3], show_progress=False,\n"
        "        alternative_target_prefix=sys.argv[4])\n"
        "asyncio.run(run()); os._exit(0)\n"
    )
    call(sys.executable, "-c", code, CHANNEL.as_uri(), prefix, folder / "installer-cache", INSTALLER)
    package = Path(str(rattler.__file__)).parent
    shutil.copytree(package, prefix / "lib" / "python3.11" / "site-packages" / "rattler")
    shutil.copy(HERE / "install.py", prefix / "install.py")
    shutil.copy(certifi.where(), prefix / "ca.pem")
    return tree


class Stage:
    """Bases in a registry, a channel at a URL; makes the cases of one engine."""

    def __init__(self, folder: Path, registry: str, channel: str, fetched: Fetched) -> None:
        self.folder, self.registry, self.channel = folder, registry, channel
        self.bases = (self._push(fetched.first, "v1"), self._push(fetched.second, "v2"))
        older = next(name for name in sorted(_files(CHANNEL)) if name.startswith(f"{SMALL}-"))
        self.older = f"{SMALL}={older.split('-')[1]}"
        self.cases = self._cases()

    def _cases(self) -> dict[str, Case]:
        """By what is different from the first, ``cold``."""
        first, second = self.bases
        old, new = f"{LARGEST}=*=py311_0", f"{LARGEST}=*=py311_1"
        cold = self._case("cold", first, [old])
        return {
            "cold": cold,
            "small": self._case("small", first, [old, self.older]),
            "largest": self._case("largest", first, [new]),
            "base": self._case("base", second, [old], like=cold),
            "step": self._case("step", first, [old], "echo one > /etc/step", like=cold),
        }

    def _case(self, name: str, base: str, pins: list[str], step: str = "", like: Case | None = None) -> Case:
        """With a lock file, its own or that of *like*, which has the same packages."""
        document: dict[str, Any] = {
            "base": {"image": base},
            "conda": {"channels": [self.channel], "dependencies": [*SPECS, *pins]},
            "prefix": PREFIX,
            "build": {"bytecode": False},
        }
        definition = self.folder / f"{name}.json"
        definition.write_text(json.dumps(document))
        lock = like.lock if like else self.folder / f"{name}.pixi.lock"
        options = ("--home", self.folder / "locking", "--quiet", "--backend", "oci")
        if base != self.bases[0] or not like:
            call(COOPERY, "lock", definition, *options)
        if like is None:
            call(COOPERY, "lock", definition, "--as", "pixi", "-o", lock, *options)
        if step:
            definition.write_text(json.dumps({**document, "steps": [{"run": step}]}))
        return Case(name, base, lock, step, definition)

    def _push(self, rootfs: Path, tag: str) -> str:
        reference = f"{self.registry}/bench/base:{tag}"
        definition = rootfs.with_suffix(".json")
        definition.write_text(json.dumps({"base": {"rootfs": rootfs.name}}))
        call(COOPERY, "push", definition, reference, "--home", self.folder / "pushing", "--quiet", "--backend", "oci")
        return reference


def _files(folder: Path) -> Iterator[str]:
    for subdir in ("noarch", "linux-64"):
        yield from json.loads((folder / subdir / "repodata.json").read_text())["packages.conda"]
