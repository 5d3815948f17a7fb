"""Files of other tools, given where a definition is expected: one clear answer instead of twenty unknown keys."""

from __future__ import annotations

import os
from typing import Final

from coopery.read.forms import node_of_key
from coopery.read.node import Node, quoted
from coopery.read.reading import Reading

_CONDA_KEYS: Final = ("dependencies", "channels")
_OURS: Final = ("base", "conda", "steps", "target", "python")


def noted(node: Node, reading: Reading) -> bool:
    """Whether the document is another tool's; if so, one problem says what to write."""
    fields = node.value if isinstance(node.value, dict) else {}
    if any(name in fields for name in _OURS):
        return False
    if "image" in fields and ("conda_file" in fields or "$schema" in fields):
        _azure(node, fields, reading)
        return True
    for name in _CONDA_KEYS:
        if name in fields:
            file = os.path.basename(node.file) or "environment.yml"
            reading.problem(
                node_of_key(node, name),
                "expected a Coopery definition, found a conda environment",
                f"write a file of two lines beside it: `base: ubuntu:24.04` and `conda: {file}`",
            )
            return True
    return False


def _azure(node: Node, fields: dict[str, Node], reading: Reading) -> None:
    image, conda = fields["image"].value, fields.get("conda_file")
    base = f"`base: {image if isinstance(image, str) and len(image) < 200 else 'IMAGE'}`"
    packages = conda.value if conda is not None else None
    if isinstance(packages, dict):
        lines = f"{base} in place of image:, and conda: in place of conda_file:"
    elif isinstance(packages, str):
        lines = f"{base} and `conda: {packages if packages.isprintable() else quoted(packages)}`"
    else:
        lines = base
    reading.problem(
        node_of_key(node, "image"), "expected a Coopery definition, found an Azure ML environment", f"write {lines}"
    )
