"""A process of its own that runs a program in an image: for signals, terminals and other users.

``python runner.py HOME ARGUMENTS``: arguments are JSON: config, layers, the request, and which ways may be tried.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from coopery.backend import Workshop
from coopery.home import Home
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.place import RunRequest
from coopery.settings import Settings
from coopery_oci import run


def main(folder: str, arguments: str) -> int:
    given = json.loads(arguments)
    home = Home(Path(folder))
    workshop = Workshop(home.root, home.staging, home.blobs, Settings(home=home.root), None, say)  # type: ignore[arg-type]
    image = Assembled(given["config"].encode(), tuple(Layer(*layer) for layer in given["layers"]))
    mounts = [(Path(source), target) for source, target in given["mounts"]]
    allowed, ways = given["ways"], run.ways
    run.ways = lambda: tuple(way for way in ways() if not allowed or [way.name, way.isolated] in allowed)
    request = RunRequest(argv=given["argv"], env=given["env"], mounts=mounts, user=given["user"])
    return run.run_image(workshop, image, request)


def say(event: object) -> None:
    sys.stderr.write(f"{getattr(event, 'line', '') or getattr(event, 'message', '')}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
