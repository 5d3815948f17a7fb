"""Builds samples with one backend and runs their ``verify``; what came of it goes to a file, as JSON.

A program, so that a backend that works only for an ordinary user gets one.
"""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from coopery import Builder, Environment, Image
from coopery.definition import ContextBase, RunStep
from coopery.events import Event, StageStarted
from coopery.place import RunRequest
from coopery.settings import Settings

TOKEN = "twelve-words-of-nonsense"  # noqa: S105 - a value for a test
LISTING = Path(__file__).parent / "inside" / "listing.py"


def main(given: dict[str, Any]) -> None:
    """*given*: backend, home, samples, channels, index, names, out, keep; records are in *out*."""
    out = Path(given["out"])
    out.mkdir(mode=0o755, exist_ok=True)
    settings = Settings(
        home=Path(given["home"]),
        cache=f"sqlite:{out}/records.sqlite",
        channels=given["channels"],
        index_url=given["index"],
    )
    found: dict[str, Any] = {}
    stages: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, StageStarted):
            stages.append(event.stage)

    backend, secrets = given["backend"], {"token": TOKEN}
    with Builder(settings=settings, backend=backend, secrets=secrets, on_event=note) as builder:
        for name in given["names"]:
            stages.clear()
            try:
                found[name] = sample(builder, Path(given["samples"]) / name, out / name, stages)
            except Exception as exc:  # one sample's failure is no other's
                found[name] = {"error": f"{exc}\n{traceback.format_exc(limit=-6)}"}
        for made in found.values() if not given["keep"] else ():
            if "id" in made:  # nothing stays in an engine that others use too
                builder.place.remove(made["id"], made["digest"])
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


def sample(builder: Builder, folder: Path, work: Path, stages: list[str]) -> dict[str, Any]:
    """All that is compared of one sample."""
    environment = Environment.load(folder / "environment.yaml")
    image = builder.build(environment)
    taken = list(stages)
    work.mkdir()
    work.chmod(0o777)
    shutil.copy(folder / "verify", work / "verify")
    shutil.copy(LISTING, work / "listing.py")
    status, said = run(builder, image, work, "sh -e /check/verify > /check/said 2>&1", "said")
    return {
        "key": builder.key(environment),
        "lock": None if isinstance(environment.base, ContextBase) else image.lock,  # such a base is another each time
        "packages": packages(builder, image),
        "id": image.id,
        "digest": image.digest,
        "stages": taken,
        "runs": any(isinstance(step, RunStep) for step in environment.steps)
        or isinstance(environment.base, ContextBase),
        "status": status,
        "said": said,
        "files": files(builder, image, work),
        "again": builder.build(environment).hit,
    }


def packages(builder: Builder, image: Image) -> list[str]:
    """What was locked, with hashes."""
    lock = builder.details(image.key).lock
    return [f"{artifact} {artifact.sha256}" for artifact in lock.artifacts] if lock else []


def files(builder: Builder, image: Image, work: Path) -> str:
    """What is below the prefix, seen from inside; empty where the image has no Python of ours."""
    if not image.prefix or not image.interpreter:
        return ""
    command = f"{image.interpreter} -B /check/listing.py {image.prefix} /check/files"
    return run(builder, image, work, command, "files")[1]


def run(builder: Builder, image: Image, work: Path, command: str, name: str) -> tuple[int, str]:
    """The status of *command* in the image, and what it wrote to ``/check/NAME``."""
    request = RunRequest(argv=("sh", "-c", command), mounts=((work, "/check"),))
    status = builder.run(image.key, request)
    path = work / name
    return status, path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
