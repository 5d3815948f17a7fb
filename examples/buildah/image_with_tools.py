"""An image with more in it than its base has, made by buildah from Python: no Dockerfile, no shell, no daemon.

python image_with_tools.py BASE IMAGE COMMAND…
"""

from __future__ import annotations

import subprocess
import sys

from coopery.errors import BackendError
from coopery_podman import buildah


def make(base: str, image: str, command: list[str]) -> str:
    """Run *command* in a container of *base*, and keep the result as *image*. Returns the image's id."""
    tool = buildah.Buildah()
    if tool.version() < (1, 28):
        raise BackendError(tool.backend, "a buildah from 1.28 on is needed")
    box = tool.call(buildah.from_(base))
    try:
        step = buildah.run(box, command, isolation=tool.isolation(), env={"LC_ALL": "C.UTF-8"}, network="host")
        subprocess.run(tool.argv(step), check=True)  # its output goes to this terminal
        tool.call(buildah.config(box, env={"MADE_BY": "buildah"}, cmd=["sh"]))
        return tool.call(buildah.commit(box, image, timestamp=0))
    finally:
        tool.call(buildah.rm(box))


if __name__ == "__main__":
    sys.stdout.write(f"{make(sys.argv[1], sys.argv[2], sys.argv[3:])}\n")
