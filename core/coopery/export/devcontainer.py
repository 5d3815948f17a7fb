"""A dev container: ``.devcontainer/`` with its JSON and the Dockerfile that it is built from.

Source: Development Containers specification, "devcontainer.json reference".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.export import dockerfile
from coopery.export import folder as _folder

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.export.recipe import Recipe

FOLDER: Final = ".devcontainer"


def write(builder: Builder, recipe: Recipe, path: Path) -> Path:
    """``.devcontainer/`` below *path*, which may be a project's folder; returns *path*.

    Raises:
        UsageError: there is a ``.devcontainer`` already, or a value cannot stand in a Dockerfile.
        IntegrityError: a layer is missing or damaged.
        CacheError: the disk refused.
    """
    with _folder.made(path / FOLDER) as made:
        dockerfile.fill(builder, recipe, made)
        text = json.dumps(document(recipe), indent=2, ensure_ascii=False) + "\n"
        (made / "devcontainer.json").write_text(text, encoding="utf-8")
    return path


def document(recipe: Recipe) -> dict[str, Any]:
    """``devcontainer.json``."""
    settings = {"python.defaultInterpreterPath": recipe.interpreter} if recipe.interpreter else {}
    vscode = {"extensions": ["ms-python.python"], "settings": settings} if settings else {}
    return {
        "name": recipe.name or "coopery",
        "build": {"dockerfile": "Dockerfile", "context": "."},
        "overrideCommand": True,
        **({"remoteUser": recipe.settings["User"].partition(":")[0]} if recipe.settings.get("User") else {}),
        **({"customizations": {"vscode": vscode}} if vscode else {}),
    }
