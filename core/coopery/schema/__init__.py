"""The JSON Schema of definitions, for editors. Generated from the forms that the reader itself is made of.

``python -m coopery.schema`` prints it; the file beside this one is what it printed. The schema is looser than the
reader: it knows no grammar of match specs or requirements, and nothing that holds between two sections.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

IDENTIFIER: Final = "https://json-schema.org/draft/2020-12/schema"
FILE: Final = Path(__file__).with_name("environment.schema.json")


def generate() -> dict[str, Any]:
    """The schema as plain data (JSON Schema 2020-12)."""
    from coopery.read.environment import ENVIRONMENT

    return {
        "$schema": IDENTIFIER,
        "title": "Coopery definition",
        "description": "A declared machine-learning environment, which becomes a container image.",
        **ENVIRONMENT.schema(),
    }


def text() -> str:
    """The schema as the shipped file has it."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"
