"""The ``steps`` of a definition: a list, each item one of run, copy, env, workdir and user."""

from __future__ import annotations

from typing import Final

from coopery.definition import CopyStep, EnvStep, RunStep, Step, UserStep, WorkdirStep
from coopery.read import grammar
from coopery.read.forms import Either, Flag, Form, Listing, Pairs, Text
from coopery.read.grammar import ABSOLUTE_PATH, SECRET_ID, VARIABLE_NAME
from coopery.read.reading import Mistake
from coopery.read.records import Field, Record, Variants


def _script(text: str) -> str:
    if not text.strip():
        raise Mistake("expected a script, found an empty string")
    return text


_RUN: Final[Either[str | tuple[str, ...]]] = Either(
    "a script, or a list of arguments",
    text=Text(_script, "a script", lines=True, free=True),
    listing=Listing(grammar.free(lines=True), "a list of arguments", 1),
)

_VARIANTS: Final[Variants[Step]] = Variants(
    {
        "run": Record(
            RunStep,
            (
                Field("run", _RUN, "A script for /bin/sh -e -c, or a list of arguments.", required=True),
                Field("secrets", Listing(SECRET_ID, "a list of ids"), "Ids of secrets that it may read."),
                Field("network", Flag(), "Whether it may use the network."),
            ),
        ),
        "copy": Record(
            CopyStep,
            (
                Field(
                    "copy",
                    Text(grammar.inner_path, "a path inside the definition's folder"),
                    "File or folder inside the definition's folder.",
                    required=True,
                ),
                Field(
                    "to",
                    Text(grammar.destination, "an absolute path in the image", "^/"),
                    "Absolute path that it will have in the image; a file goes into a folder that ends with a slash.",
                    required=True,
                ),
                Field(
                    "mode", Text(grammar.mode, "permission bits", f"^{grammar.MODE}$"), 'Permission bits, like "0755".'
                ),
                Field("owner", grammar.matching(grammar.OWNER, "user:group", "1000:1000"), "Owner, user:group."),
            ),
        ),
        "env": Record(
            EnvStep,
            (
                Field(
                    "env",
                    Pairs(VARIABLE_NAME, grammar.free(), "a mapping of variables", 1),
                    "Variables to set in the image.",
                    required=True,
                ),
            ),
        ),
        "workdir": Record(
            WorkdirStep, (Field("workdir", ABSOLUTE_PATH, "Working directory; made if absent.", required=True),)
        ),
        "user": Record(
            UserStep,
            (
                Field(
                    "user",
                    grammar.matching(grammar.USER, "name, uid or uid:gid", "1000:1000"),
                    "Whom later steps and the image run as.",
                    required=True,
                ),
            ),
        ),
    },
    "a mapping with one of run, copy, env, workdir, user",
    {"cmd": "write run:", "add": "write copy:", "shell": "write run:", "from": "the base stands in base:"},
)

STEPS: Final[Form[tuple[Step, ...]]] = Listing(_VARIANTS, "a list of steps")
