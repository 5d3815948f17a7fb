"""What registries cost, against the tools that others use: ratios measured in one run on one machine.

A layer of 200 MB in 20,000 files onto a base that is in a registry already, by Coopery (cut, compressed, pushed; the
base's bytes never move) and by umoci and skopeo, crane where it is installed; every process counts from its start.
Then one pin of a real environment changed: bytes and seconds of push and pull. Medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(HERE)]

from run import CHANNEL, PINNED, SPECS, older_pin  # noqa: E402 - as before

from real_registry import RealRegistry, real_registry  # noqa: E402 - found by the line above

FILES, BYTES, FOLDERS = 20_000, 200_000_000, 200


def fill(folder: Path) -> Path:
    """A tree like a package's: most files small, some large, about as compressible as code and its libraries."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randint(3, 12)) for _ in range(4096)]
    pool = b"".join(chance.choice(words) for _ in range(2_000_000))
    weights = [chance.paretovariate(1.2) for _ in range(FILES)]
    scale = BYTES / sum(weights)
    for number, weight in enumerate(weights):
        path = folder / f"package{number % FOLDERS:03}" / f"module{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        size, start = int(weight * scale), chance.randrange(len(pool) // 2)
        with path.open("wb") as file:
            while size > 0:
                file.write(piece := pool[start : start + size])
                size, start = size - len(piece), chance.randrange(len(pool) // 2)
    return folder


OURS = """
import sys
from pathlib import Path
from coopery import Builder
from coopery.assemble import assemble
from coopery.backend import Snapshot
from coopery.image import Image
from coopery.layer import Entry, Tree
from coopery.layers.cut import cut_into
from coopery.oci.layout import Layout
home, folder, base, to, compression = sys.argv[1:]
def entries():
    root = Path(folder)
    for path in sorted(root.rglob("*")):
        inside = "opt/tree/" + path.relative_to(root).as_posix()
        if path.is_file():
            yield Entry(inside, "file", 0o644, source=path, size=path.stat().st_size)
with Builder(home=home) as builder:
    layout = Layout(builder.home.images, builder.home.staging)
    below = builder.image(f"oci:{layout.root}:{base}")
    _, image = layout.open(below.digest, below.platform)
    tree = Tree("tree", "tree", (), lambda: [entry.path for entry in entries()], entries)
    layer, _ = cut_into(builder.home.blobs, [tree])
    snapshot = Snapshot("oci", below.id, below.digest, image.config, image.layers)
    made = assemble(snapshot, (layer,), None, None)
    entry = layout.add(made, "made")
    builder.push(builder.image(f"oci:{layout.root}:made"), to, compression=compression)
"""


class Bench:
    """One registry and one tree for everything."""

    def __init__(self, folder: Path, registry: RealRegistry) -> None:
        self.folder = folder
        self.registry = registry
        self.tree = fill(folder / "tree")
        self.base = f"{registry.host}/bench/base:v1"
        self._round = 0

    def prepare(self) -> None:
        """The base into the registry, a home and a layout."""
        rootfs = self.folder / "rootfs"
        for number in range(50):
            path = rootfs / "usr" / "share" / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(1_000_000))
        call("tar", "-C", rootfs, "-cf", self.folder / "rootfs.tar", ".")
        coopery(
            self.folder / "first",
            {"base": {"rootfs": "rootfs.tar"}, "steps": [{"env": {"BASE": "1"}}]},
            self.folder,
            push=self.base,
        )
        call(
            "skopeo",
            "copy",
            "-q",
            "--src-tls-verify=false",
            f"docker://{self.base}",
            f"oci:{self.folder / 'layout'}:base",
        )
        command("pull", self.base, "--home", self.folder / "home")

    def ours(self, compression: str) -> float:
        """Cut, compress, push; nothing of the layer is kept from the round before."""
        home = self._fresh("home")
        to = self._target(f"ours-{compression}")
        return wall(sys.executable, "-c", OURS, home, self.tree, self.base, to, compression)

    def umoci_and_skopeo(self) -> float:
        layout = self._fresh("layout")
        to = self._target("umoci")
        started = time.perf_counter()
        call("umoci", "insert", "--rootless", "--image", f"{layout}:base", "--tag", "made", self.tree, "/opt/tree")
        call("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:made", f"docker://{to}")
        return time.perf_counter() - started

    def crane(self) -> float:
        """Crane takes a tar: making it is part of the work."""
        self._next()
        to, tar = self._target("crane"), self.folder / f"tree-{self._round}.tar"
        started = time.perf_counter()
        call("tar", "-C", self.tree.parent, "-cf", tar, self.tree.name)
        call("crane", "append", "--insecure", "-b", self.base, "-f", tar, "-t", to)
        return time.perf_counter() - started

    def _fresh(self, name: str) -> Path:
        """A copy of the folder *name* as `prepare` left it; blobs are shared by hard links."""
        self._next()
        copy = self.folder / f"{name}-{self._round}"
        shutil.copytree(self.folder / name, copy, copy_function=os.link, ignore=shutil.ignore_patterns("*.sqlite*"))
        for path in copy.rglob("index.json"):
            path.unlink()
            shutil.copy(self.folder / name / path.relative_to(copy), path)
        os.sync()
        return copy

    def _next(self) -> None:
        """A layer that no registry has seen: tools that remember what they sent would mount it."""
        self._round += 1
        (self.tree / "round").write_text(str(self._round))

    def _target(self, name: str) -> str:
        return f"{self.registry.host}/bench/{name}-{self._round}:v1"

    def stored(self) -> int:
        """Bytes of the registry's blobs."""
        return sum(path.stat().st_size for path in self.registry.storage.rglob("data"))


def call(*argv: object) -> None:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{argv[0]} failed: {done.stderr[-2000:]}")


def wall(*argv: object) -> float:
    started = time.perf_counter()
    call(*argv)
    return time.perf_counter() - started


def command(*argv: object) -> float:
    """Seconds of one ``coopery`` command, its start included."""
    return wall(Path(sys.executable).parent / "coopery", *argv, "--quiet")


def coopery(home: Path, document: dict[str, object], folder: Path, *, push: str) -> float:
    path = folder / "environment.json"
    path.write_text(json.dumps(document))
    return command("push", path, push, "--home", home)


def append(bench: Bench, rounds: int) -> dict[str, float]:
    """Seconds by tool; tools that are missing are left out."""
    tools: dict[str, Callable[[], float]] = {
        "coopery gzip": lambda: bench.ours("gzip"),
        "coopery zstd": lambda: bench.ours("zstd"),
    }
    if shutil.which("umoci") and shutil.which("skopeo"):
        tools["umoci + skopeo"] = bench.umoci_and_skopeo
    if shutil.which("crane"):
        tools["crane"] = bench.crane
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, measure in tools.items():
            seconds[name].append(measure())
    return {name: statistics.median(found) for name, found in seconds.items()}


def one_pin(bench: Bench) -> dict[str, float]:
    """Push and pull of a real environment, whole, and after one pin has changed."""
    home, other = bench.folder / "maker", bench.folder / "user"
    name = f"{bench.registry.host}/bench/science"
    figures: dict[str, float] = {}
    for version, pin in (("v1", []), ("v2", [older_pin()])):
        document = {
            "base": "scratch",
            "conda": {"channels": [CHANNEL.as_uri()], "dependencies": [*SPECS, *pin]},
            "target": {"glibc": "2.36"},
            "build": {"bytecode": False},
        }
        path = bench.folder / f"{version}.json"
        path.write_text(json.dumps(document))
        command("build", path, "--home", home)
        before = bench.stored()
        os.sync()
        figures[f"push {version}"] = command("push", path, f"{name}:{version}", "--home", home)
        figures[f"bytes {version}"] = bench.stored() - before
        os.sync()
        figures[f"pull {version}"] = command("pull", f"{name}:{version}", "--home", other)
    return figures | described(bench, "science")


def described(bench: Bench, repository: str) -> dict[str, float]:
    """Bytes of the layers that only v2 has, and of its manifest and config, which change with any package."""
    found = []
    for version in ("v1", "v2"):
        reference = f"docker://{bench.registry.host}/bench/{repository}:{version}"
        found.append(subprocess.check_output(["skopeo", "inspect", "--raw", "--tls-verify=false", reference]))
    first, second = (json.loads(document) for document in found)
    there = {layer["digest"] for layer in first["layers"]}
    changed = sum(layer["size"] for layer in second["layers"] if layer["digest"] not in there)
    return {"changed": float(changed), "documents": float(len(found[1]) + second["config"]["size"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if missing := [name for name in ("docker-registry", "skopeo") if not shutil.which(name)]:
        sys.exit(f"not measured: {', '.join(missing)} is not installed; make engines installs it")
    figures = measure(arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    report(figures)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "build", prefix="bench-") as name:
        folder = Path(name)
        with real_registry(folder / "registry") as registry:
            bench = Bench(folder, registry)
            bench.prepare()
            return {"append": append(bench, rounds), "one pin": one_pin(bench)}


def report(figures: dict[str, dict[str, float]]) -> None:
    seconds, pin = figures["append"], figures["one pin"]
    others = {name: value for name, value in seconds.items() if not name.startswith("coopery")}
    best = min(others, key=lambda name: others[name]) if others else ""
    print(f"a layer of {BYTES / 1e6:.0f} MB in {FILES} files onto a base in a registry")
    for name, value in seconds.items():
        ratio = f"{value / others[best]:6.2f}" if best else ""
        aim = (
            "  aim 1.30" + ("  met" if value <= 1.3 * others[best] else "  MISSED")
            if best and name not in others
            else ""
        )
        print(f"{name:32}{value:10.3f} s {ratio}{aim}")
    print(f"one pin changed ({PINNED}): the changed layers are {pin['changed'] / 1e3:.1f} kB compressed")
    sent = pin["bytes v2"] - pin["documents"]
    ratio = sent / pin["changed"]
    verdict = "met" if ratio <= 1.05 else "MISSED"
    print(f"{'pushed, but for the documents':32}{sent / 1e3:10.1f} kB{ratio:6.2f}  aim 1.05  {verdict}")
    print(f"{'manifest and config':32}{pin['documents'] / 1e3:10.1f} kB")
    for name in ("push", "pull"):
        print(f"{name + ', whole and one pin':32}{pin[f'{name} v1']:10.3f} s, {pin[f'{name} v2']:.3f} s")


if __name__ == "__main__":
    main()
