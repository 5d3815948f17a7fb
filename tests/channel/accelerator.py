"""A tiny package that comes for CUDA and for the CPU, as large ones do: the target decides which is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from channel.contents import PYTHON, SITE_PACKAGES
from channel.package import Recipe

VERSION = "1.0"


def variants(subdir: str, work: Path) -> Iterator[tuple[Recipe, Path]]:
    """Both builds. The one for the CPU carries a feature, which makes solvers take the other wherever it fits."""
    for kind, build, depends in (("cuda", "cuda124_0", ["__cuda >=12.4"]), ("cpu", "cpu_0", [])):
        files = work / subdir / f"accelerator-{kind}"
        module = files / SITE_PACKAGES / "accelerator.py"
        module.parent.mkdir(parents=True)
        module.write_text(f'"""Says what it was built for."""\n\nKIND = "{kind}"\n', encoding="utf-8")
        needs = [f"python {PYTHON}.*", *depends]
        yield (
            Recipe("accelerator", VERSION, build, subdir, needs, track_features="" if depends else "accelerator-cpu"),
            files,
        )
