"""Builds or finds each definition named on the command line and reads all of it at once, as whoever asked for it would.

    python builds_and_reads.py HOME DEFINITION…

Prints a line for whatever was missing or failed; nothing is said of what went well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from coopery import Builder, Environment
from coopery.oci.layout import Layout


def main(home: str, *files: str) -> None:
    with Builder(home=home) as builder:
        for file in files:
            try:
                image = builder.build(Environment.load(file))
                _, found = Layout(Path(home, "images"), Path(home, "staging")).open(image.digest, image.platform)
                for layer in found.layers:
                    builder.home.blobs.read(layer.digest)
            except BaseException as exc:
                print(f"{file}: {type(exc).__name__}: {exc}")


if __name__ == "__main__":
    main(*sys.argv[1:])
