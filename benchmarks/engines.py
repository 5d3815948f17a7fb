"""What Coopery costs on each engine, against a hand-written Dockerfile (Apptainer: definition file).

The rival installs the same lock from the same channel with py-rattler, inside the engine, with the engine's best cache
use. Everything runs in one network namespace with nothing in it but loopback: a registry, the channel, and engines of
its own. Cold means, for both sides: no image, no base, no package, no build cache, no home. All seconds are those of
whole processes. ``--rounds`` of each, in turns; the figures are medians, ratios those of each round.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import contest_docker
import contest_podman
import contest_singularity
from prepared import REPOSITORY, Fetched, Stage, channel, fetch, installer, served

from real_registry import real_registry

AIMS = {
    "cold": 1.0,
    "small": 1 / 10,
    "largest": 1 / 2,
    "base": 1 / 3,
    "step": 1 / 3,
    "built and pushed": 1 / 3,
    "hit, in process": 1 / 15,
    "hit, by command": 0.6,
}
WORDS = {
    "cold": "cold: nothing kept",
    "small": "one small package changed",
    "largest": "the largest package changed",
    "base": "the base changed",
    "step": "a step changed, same packages",
    "built and pushed": "from nothing into a registry",
    "hit, in process": "hit in process, against docker-py",
    "hit, by command": "hit by command, against the rival's",
    "its import alone": "docker load alone, cold / rival's build",
    "the same as one layer": "  the same files as one layer",
}
KINDS = ("docker 20", "docker 28", "docker containerd", "podman", "singularity")
Figures = dict[str, dict[str, list[tuple[float, float]]]]


def why_not(kind: str) -> str:
    """Why *kind* is not measured here; empty where it is."""
    if os.geteuid() != 0:
        return "needs root, for a network namespace and engines of its own"
    programs = {"podman": ["podman", "buildah"], "singularity": ["mksquashfs"], "docker 20": ["dockerd"]}.get(kind, [])
    missing = [name for name in (*programs, "docker-registry", "unshare") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} is not installed; make engines installs it"
    if kind in ("docker 28", "docker containerd") and not contest_docker.DOCKER_28.is_dir():
        return "Docker 28 is not in build/docker-28; make engines puts it there"
    return contest_singularity.why_not() if kind == "singularity" else ""


@contextmanager
def opened(kind: str, folder: Path, tree: Path) -> Iterator[tuple[Any, Any]]:
    """Both sides of the contest *kind*."""
    folder.mkdir()
    for package in ("core", "plugins"):  # as pip does for what is installed
        compileall.compile_dir(REPOSITORY / package, quiet=1)
    if kind.startswith("docker"):
        with contest_docker.sides(kind, folder, tree) as both:
            yield both
    else:
        module: Any = contest_podman if kind == "podman" else contest_singularity
        with module.sides(folder, tree) as both:
            yield both


def contest(kind: str, stage: Stage, folder: Path, tree: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Pairs of seconds, ours and the rival's, by row."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    cases = stage.cases
    with opened(kind, folder, tree) as (rival, ours):
        for number in range(rounds):
            took: dict[str, dict[str, float]] = defaultdict(dict)
            for name, side in (("ours", ours), ("rival", rival)) if number % 2 else (("rival", rival), ("ours", ours)):
                one_side(name, side, cases, f"{stage.registry}/bench/{kind.replace(' ', '-')}-{name}-{number}:v1", took)
            for row, pair in took.items():
                rows[row].append((pair["ours"], pair["rival"]))
        if kind.startswith("docker"):
            for row, both in contest_docker.hits(rival, ours, cases["cold"]).items():
                rows[row].append(both)
            built = statistics.median(rival for _, rival in rows["cold"])
            for row, import_alone in contest_docker.imports(rival, ours, cases["cold"]).items():
                rows[row].append((import_alone, built))
    return dict(rows)


def one_side(name: str, side: Any, cases: dict[str, Any], to: str, took: dict[str, dict[str, float]]) -> None:
    """One round of one side: cold, pushed, then what changes, each upon the first."""
    side.clear()
    took["cold"][name] = side.build(cases["cold"])
    if (published := side.published(cases["cold"], to, took["cold"][name])) is not None:
        took["built and pushed"][name] = published
    for row in ("small", "largest", "base", "step"):
        took[row][name] = side.build(cases[row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--engine", action="append", choices=KINDS, help="only these")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # the second half, where there is only loopback
    arguments = parser.parse_args()
    if arguments.folder:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it comes as SIGTERM, once
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to stop"))
        measure(arguments.folder, arguments.engine, arguments.rounds)
        return
    kinds = arguments.engine or [kind for kind in KINDS if kind != "docker containerd"]
    for kind in kinds:
        if reason := why_not(kind):
            print(f"not measured: {kind}: {reason}")
    kinds = [kind for kind in kinds if not why_not(kind)]
    figures = apart(kinds, arguments.rounds) if kinds else {}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    report(figures)


def apart(kinds: list[str], rounds: int) -> Figures:
    """Fetch what needs a network; then measure in a namespace that has none."""
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "build", prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        fetch(folder)
        options = [word for kind in kinds for word in ("--engine", kind)]
        argv = [sys.executable, __file__, "--folder", name, "--rounds", str(rounds), *options]
        script = 'ip link set lo up && exec "$@"'
        to_its_end(["unshare", "--net", "sh", "-c", script, "sh", *argv])
        figures: Figures = json.loads((folder / "figures.json").read_text())
    return figures


def to_its_end(argv: list[str]) -> None:
    """Run *argv* and leave nothing of it: who asks us to stop, by Ctrl-C or SIGTERM, asks it, and we wait."""
    with subprocess.Popen(argv) as process:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.terminate())
        status = process.wait()
    if status:
        raise SystemExit(f"stopped, or failed: status {status}")


def measure(folder: Path, kinds: list[str], rounds: int) -> None:
    """All contests, one after another; figures into a file."""
    fetched = Fetched(folder / "first.tar", folder / "second.tar")
    figures: Figures = {}
    with real_registry(folder / "registry") as registry, served(channel(folder)) as url:
        stage, tree = Stage(folder, registry.host, url, fetched), installer(folder)
        for kind in kinds:
            often = max(1, rounds // 2) if kind == "singularity" else rounds  # its rival takes longest
            figures[kind] = contest(kind, stage, folder / kind.replace(" ", "-"), tree, often)
            (folder / "figures.json").write_text(json.dumps(figures))


def report(figures: Figures) -> None:
    """A table of ratios."""
    for kind, rows in figures.items():
        print(f"\n{kind:40}{'ours':>8}{'rival':>8}{'ratio':>8}{'least':>7}{'most':>7}{'aim':>7}")
        for row, pairs in rows.items():
            aim = 1 / 6 if (kind, row) == ("singularity", "cold") else AIMS.get(row)
            ratios = sorted(ours / rival for ours, rival in pairs)
            ours, rival = (statistics.median(values) for values in zip(*pairs, strict=True))
            ratio = statistics.median(ratios)
            spread = f"{ratios[0]:7.3f}{ratios[-1]:7.3f}"
            verdict = "" if aim is None else f"{aim:7.3f}  {'met' if ratio <= aim else 'MISSED'}"
            print(f"{WORDS[row]:40}{ours:8.3f}{rival:8.3f}{ratio:8.3f}{spread}{verdict}")


if __name__ == "__main__":
    main()
