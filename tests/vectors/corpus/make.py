"""Makes ``definitions.jsonl``: 200 definitions as people write them, each with its key. Never run by a test.

The lines are frozen: a definition that was keyed once has that key for ever. To add more, raise ``COUNT``; lines that
are there are kept as they stand.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from coopery import Environment, key
from coopery.seal import seal

COUNT = 200
FILE = Path(__file__).parent / "definitions.jsonl"
IMAGES = (
    "ubuntu:24.04",
    "debian:12",
    "python:3.12-slim",
    "nvidia/cuda:12.4.1-runtime-ubuntu22.04",
    "ghcr.io/team/base:v7",
)
SCIENCE = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "pytorch",
    "xgboost",
    "lightgbm",
    "polars",
    "pyarrow",
    "matplotlib",
)
WHEELS = (
    "requests",
    "wandb",
    "mlflow",
    "transformers",
    "datasets[vision]",
    "jinja2",
    "pydantic",
    "rich",
    "boto3",
    "black",
)
PINS = ("", "=1.26", ">=1.2,<2", "==2.0.1", "!=1.5.0")
WHEEL_PINS = ("", "==2.31.0", ">=1.2,<2", "~=1.4", "!=1.5.0", " ; python_version < '3.12'")
STEPS: tuple[dict[str, Any], ...] = (
    {"run": "apt-get update && apt-get install -y libgl1"},
    {"run": ["/usr/bin/env", "true"], "network": False},
    {"run": "make -C /src install", "secrets": ["token", "netrc"]},
    {"env": {"OMP_NUM_THREADS": "4", "LANG": "C.UTF-8"}},
    {"workdir": "/workspace"},
    {"user": "1000:1000"},
)


def definition(luck: random.Random) -> dict[str, Any]:
    """One definition."""
    made: dict[str, Any] = {"base": base(luck)}
    if luck.random() < 0.5:
        made["name"], made["version"] = f"env-{luck.randrange(99)}", str(luck.randrange(9))
    if luck.random() < 0.4:
        made["steps"] = luck.sample(STEPS, luck.randint(1, 3))
    kind = luck.random()
    if kind < 0.75:
        made["conda"] = conda(luck)
    if kind > 0.55:
        made["pip"] = pip(luck)
    if luck.random() < 0.2:
        made["spark"] = {"packages": ["org.apache.hadoop:hadoop-aws:3.3.4"]}
    if luck.random() < 0.3:
        made["target"] = luck.choice(
            ({"cuda": "12.4"}, {"platform": "linux/arm64"}, {"glibc": "2.31", "archspec": "x86_64_v3"})
        )
    if luck.random() < 0.2:
        made["prefix"] = luck.choice(("/opt/conda", "/srv/env", "/opt/env"))
    if luck.random() < 0.2:
        made["build"] = luck.choice(({"bytecode": False}, {"arguments": {"A": "1"}}, {"secrets": ["b", "a"]}))
    if luck.random() < 0.2:
        made["runtime"] = {"env": {"X": str(luck.randrange(9))}}
    return made


def base(luck: random.Random) -> dict[str, Any]:
    """One base that needs no file."""
    if luck.random() < 0.7:
        return {"image": luck.choice(IMAGES)}
    return luck.choice(({"scratch": True}, {"debian": {"suite": "bookworm", "packages": ["libc6", "bash"]}}))


def conda(luck: random.Random) -> dict[str, Any]:
    """Conda packages, some with a pip list inside, as environment files have it."""
    names = luck.sample(SCIENCE, luck.randint(1, 6))
    dependencies: list[Any] = ["python=3.12", *(f"{name}{luck.choice(PINS)}" for name in names)]
    return {"channels": luck.choice((["conda-forge"], ["pytorch", "conda-forge"])), "dependencies": dependencies}


def pip(luck: random.Random) -> dict[str, Any]:
    """Pip requirements, some with options."""
    made: dict[str, Any] = {"requirements": [f"{name}{luck.choice(WHEEL_PINS)}" for name in luck.sample(WHEELS, 3)]}
    if luck.random() < 0.2:
        made["extra_index_urls"] = ["https://wheels.example.org/simple"]
    if luck.random() < 0.2:
        made["constraints"] = ["urllib3<3"]
    if luck.random() < 0.1:
        made["pre"] = True
    return made


def main() -> int:
    """Keep what is there; add what is missing."""
    luck = random.Random(2026)
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    for document in [definition(luck) for _ in range(COUNT)][len(lines) :]:
        line = {"key": key.compute(seal(Environment.from_dict(document))), "definition": document}
        lines.append(json.dumps(line, sort_keys=True, ensure_ascii=False))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
