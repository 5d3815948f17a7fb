"""What Coopery costs, as ratios measured in one run on one machine.

The same packages, from the same channel, are laid out by the limit (`limit.py`: link, read, hash, write once) and by
Coopery: cold (nothing kept), with packages fetched before, one pin changed, a hit in process and by command. Medians
of ``--rounds``. ``--json FILE`` keeps the figures.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
CHANNEL = REPOSITORY / "build" / "channel"
SPECS = ["python=3.11", "scikit-learn", "pandas", "matplotlib", "requests", "setuptools", "pip", "wheel"]
PINNED = "threadpoolctl"
BARE = "import attrs, cattrs, ruamel.yaml, click, pluggy, sqlite3"


def definition(folder: Path, *, bytecode: bool, pin: str = "") -> Path:
    """A definition of the benchmark's packages on an empty base."""
    document = {
        "base": "scratch",
        "conda": {"channels": [CHANNEL.as_uri()], "dependencies": [*SPECS, *([pin] if pin else [])]},
        "target": {"glibc": "2.36"},
        "build": {"bytecode": bytecode},
    }
    path = folder / f"environment{'-pinned' if pin else ''}{'' if bytecode else '-plain'}.json"
    path.write_text(json.dumps(document))
    return path


def build(home: Path, path: Path) -> dict[str, float]:
    """One build in a process of its own; returns seconds and what was made."""
    code = (
        "import json, resource, sys, time; started = time.perf_counter()\n"
        "from coopery import Builder, Environment\n"
        "with Builder(home=sys.argv[1]) as builder: image = builder.build(Environment.load(sys.argv[2]))\n"
        "seconds = time.perf_counter() - started\n"
        "peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "made = image.made.layers_made\n"
        "print(json.dumps({'seconds': seconds, 'made': made, 'size': image.size, 'peak': peak / 1024}))"
    )
    os.sync()  # what earlier rounds left to write is not this one's
    done = subprocess.run([sys.executable, "-c", code, home, path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"a build failed:\n{done.stderr}")
    document: dict[str, float] = json.loads(done.stdout)
    return document


def limit(cache: Path, target: Path) -> dict[str, float]:
    target.mkdir()
    os.sync()
    argv = [sys.executable, HERE / "limit.py", CHANNEL.as_uri(), cache, target, *SPECS]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    put_aside(target)
    document: dict[str, float] = json.loads(done.stdout)
    return document


def put_aside(path: Path) -> None:
    """Out of the way, and deleted at the end only: soon after mass deletes ext4 makes files many times slower."""
    if path.exists():
        path.rename(path.with_name(f"{path.name}-{time.monotonic_ns()}"))


def medians(rounds: int, measure: Callable[[int], float]) -> float:
    return statistics.median(measure(index) for index in range(rounds))


def wall(argv: list[str], **environment: str) -> float:
    """Seconds of one whole process."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - started


def bytecode_choice(folder: Path, rounds: int, *, bytecode: bool) -> dict[str, float]:
    """Cold, packages fetched, and one pin changed, for one choice of ``build.bytecode``."""
    label = "bytecode" if bytecode else "plain"
    path = definition(folder, bytecode=bytecode)
    pinned = definition(folder, bytecode=bytecode, pin=older_pin())
    cold, fetched, one, peak = [], [], [], 0.0
    for index in range(rounds):
        home = folder / f"home-{label}-{index}"
        first = build(home, path)
        cold.append(first["seconds"])
        change = build(home, pinned)
        if change["made"] > 2:
            raise SystemExit(f"one pin changed made {change['made']} layers")
        one.append(change["seconds"])
        peak = max(peak, first["peak"])
        for name in ("images", "layers", "records.sqlite", "bytecode"):
            put_aside(home / name)
        fetched.append(build(home, path)["seconds"])
    return {
        "cold": statistics.median(cold),
        "fetched": statistics.median(fetched),
        "one pin": statistics.median(one),
        "peak": peak,
        "bytes": first["size"],
    }


def older_pin() -> str:
    """A spec for a version of the pinned package that is not the newest in the channel."""
    versions = sorted(
        name.split("-")[1]
        for subdir in ("noarch", "linux-64")
        for name in json.loads((CHANNEL / subdir / "repodata.json").read_text())["packages.conda"]
        if name.startswith(f"{PINNED}-")
    )
    return f"{PINNED}={versions[0]}"


def hits(folder: Path, rounds: int) -> dict[str, float]:
    """A hit in process, by command, and what a bare process costs."""
    path, home = definition(folder, bytecode=False), folder / "home-hit"
    build(home, path)
    code = (
        "import sys, time; from coopery import Builder, Environment\n"
        "with Builder(home=sys.argv[1]) as builder:\n"
        "    environment = Environment.load(sys.argv[2]); builder.build(environment)\n"
        "    seconds = []\n"
        "    for _ in range(200):\n"
        "        started = time.perf_counter()\n"
        "        builder.build(environment)\n"
        "        seconds.append(time.perf_counter() - started)\n"
        "print(sorted(seconds)[100])"
    )
    inside = subprocess.run([sys.executable, "-c", code, home, path], capture_output=True, text=True, check=True)
    command = [str(Path(sys.executable).parent / "coopery"), "build", str(path), "--quiet"]
    many = max(rounds, 11)
    return {
        "in process": float(inside.stdout),
        "command": medians(many, lambda _: wall(command, COOPERY_HOME=str(home))),
        "bare": medians(many, lambda _: wall([sys.executable, "-c", BARE])),
        "import coopery": medians(many, lambda _: wall([sys.executable, "-c", "import coopery"])),
        "import attrs, cattrs": medians(many, lambda _: wall([sys.executable, "-c", "import attrs, cattrs"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    (REPOSITORY / "build").mkdir(exist_ok=True)
    for package in ("core", "plugins"):  # as pip does for what is installed
        compileall.compile_dir(REPOSITORY / package, quiet=1)
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "build", prefix="bench-") as name:
        folder = Path(name)
        cache = folder / "cache"
        cold = medians(arguments.rounds, lambda index: limit(folder / f"cache-{index}", folder / "target")["total"])
        limit(cache, folder / "target")
        warm = [limit(cache, folder / "target") for _ in range(arguments.rounds)]
        figures = {
            "limit": {"cold": cold, "fetched": statistics.median(one["total"] for one in warm), **_shape(warm[0])},
            "plain": bytecode_choice(folder, arguments.rounds, bytecode=False),
            "bytecode": bytecode_choice(folder, max(1, arguments.rounds // 3), bytecode=True),
            "hit": hits(folder, arguments.rounds),
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    report(figures)


def _shape(one: dict[str, float]) -> dict[str, float]:
    return {"bytes": one["bytes"], "files": one["files"]}


def report(figures: dict[str, dict[str, float]]) -> None:
    limits, plain, byte, hit = (figures[name] for name in ("limit", "plain", "bytecode", "hit"))
    imports = hit["import attrs, cattrs"]
    rows = [
        ("cold: fetch, solve, cut, put", plain["cold"], plain["cold"] / limits["cold"], 1.6, "the limit, cold"),
        (
            "fetched before: verified, cut",
            plain["fetched"],
            plain["fetched"] / limits["fetched"],
            0,
            "the limit, fetched",
        ),
        ("one pin changed", plain["one pin"], plain["one pin"] / plain["cold"], 1 / 12, "cold"),
        ("cold, bytecode compiled too", byte["cold"], byte["cold"] / limits["cold"], 0, "the limit, cold"),
        ("one pin changed, bytecode", byte["one pin"], byte["one pin"] / byte["cold"], 1 / 12, "cold"),
        ("hit, in process", hit["in process"], hit["in process"] / 0.002, 1.0, "2 ms"),
        ("hit, by command", hit["command"], hit["command"] / hit["bare"], 1.8, "a bare process"),
        ("import coopery", hit["import coopery"], hit["import coopery"] / imports, 1.6, "attrs + cattrs"),
        ("peak memory, MiB", plain["peak"], plain["peak"] / 250, 1.0, "250 MiB"),
    ]
    size = limits["bytes"] / 1e6
    seconds = f"{limits['cold']:.2f} s cold, {limits['fetched']:.2f} s with packages fetched"
    print(f"{size:.0f} MB in {limits['files']:.0f} files; the limit: {seconds}")
    print(f"{'':32}{'measured':>10}{'ratio':>8}{'aim':>7}  against")
    for name, value, ratio, aim, against in rows:
        verdict = "" if not aim else ("  met" if ratio <= aim else "  MISSED")
        print(f"{name:32}{value:10.4g}{ratio:8.2f}{aim or float('nan'):7.2f}  {against}{verdict}")
    own = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"(largest process of the whole benchmark: {own:.0f} MiB)")


if __name__ == "__main__":
    main()
