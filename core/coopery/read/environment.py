"""The whole definition: its sections, and what must hold between them."""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

from typing import Any, Final

from coopery.definition import BuildOptions, Environment, Pip, Runtime, Spark, Target
from coopery.read import foreign, grammar
from coopery.read.base import BASE
from coopery.read.conda import Packages
from coopery.read.conda_section import CONDA
from coopery.read.forms import Flag, Form, Listing, Pairs, Text, node_of_key
from coopery.read.grammar import ABSOLUTE_PATH, SECRET_ID, URL, VARIABLE_NAME, matching
from coopery.read.node import Node
from coopery.read.pip import PIP
from coopery.read.reading import Mistake, Reading
from coopery.read.records import Field, Record
from coopery.read.steps import STEPS

_NAME: Final = matching(grammar.NAME, "a name of letters, digits and . _ + -", "train")
_VERSION: Final = matching(grammar.NAME, "a version of letters, digits and . _ + ! -", "1.2.0")
_SECRETS: Final = Listing(SECRET_ID, "a list of ids")

_COORDINATE: Final = matching(grammar.COORDINATE, "group:artifact:version", "org.apache.hadoop:hadoop-aws:3.3.4")
_SPARK: Final = Record(
    Spark,
    (
        Field(
            "packages",
            Listing(_COORDINATE, "a list of Maven coordinates", 1),
            "Maven coordinates, group:artifact:version.",
            required=True,
        ),
        Field("repositories", Listing(URL, "a list of URLs"), "Maven repositories to look in."),
    ),
    "a mapping {packages, repositories}",
)

_TARGET: Final = Record(
    Target,
    (
        Field("platform", Text(grammar.platform, "a platform"), "Platform of the image."),
        Field("cuda", matching(grammar.CUDA, "a CUDA version", '"12.4"'), "Newest CUDA that its driver supports."),
        Field("glibc", matching(grammar.GLIBC, "a glibc version", '"2.36"'), "glibc to resolve for."),
        Field("archspec", matching(grammar.ARCHSPEC, "a microarchitecture", "x86_64_v3"), "Microarchitecture."),
    ),
    "a mapping {platform, cuda, glibc, archspec}",
)

_BUILD: Final = Record(
    BuildOptions,
    (
        Field(
            "arguments", Pairs(VARIABLE_NAME, grammar.free(), "a mapping of build arguments"), "Dockerfile arguments."
        ),
        Field("secrets", _SECRETS, "Ids of secrets that a Dockerfile may read."),
        Field("bytecode", Flag(), "Whether .pyc files are made."),
    ),
    "a mapping {arguments, secrets, bytecode}",
)

_RUNTIME: Final = Record(
    Runtime,
    (
        Field("env", Pairs(VARIABLE_NAME, grammar.free(), "a mapping of variables"), "Variables of the process."),
        Field("shm_size", matching(grammar.SHM_SIZE, "a size", '"2g"'), "Size of /dev/shm."),
        Field("workdir", ABSOLUTE_PATH, "Working directory of the process."),
    ),
    "a mapping {env, shm_size, workdir}",
)


def _interpreter(*, user_managed: bool = False, interpreter: str = "") -> str:
    """The interpreter, or an empty string where Coopery manages Python."""
    if user_managed and not interpreter:
        raise Mistake("expected the key interpreter beside user_managed", "like interpreter: /usr/bin/python3")
    if interpreter and not user_managed:
        raise Mistake("expected user_managed: true beside interpreter", "add it, or remove the section python")
    return interpreter


_PYTHON: Final = Record(
    _interpreter,
    (
        Field("user_managed", Flag(), "Whether the image brings its own Python, and no packages are added."),
        Field("interpreter", ABSOLUTE_PATH, "That Python's path in the image."),
    ),
    "a mapping {user_managed, interpreter}",
    {"version": "write conda: {dependencies: [python=3.12]}"},
)

_HINTS: Final = {
    "image": "write base: {image: REFERENCE}",
    "docker": "write base: {image: REFERENCE}",
    "from": "write base: {image: REFERENCE}",
    "dockerfile": "write base: {dockerfile: PATH}",
    "context": "write base: {context: FOLDER}",
    "channels": "it belongs under conda:",
    "dependencies": "it belongs under conda:",
    "requirements": "write pip:",
    "env": "write steps: [{env: {NAME: value}}], or runtime: {env: ...} for the process alone",
    "variables": "write steps: [{env: {NAME: value}}], or runtime: {env: ...} for the process alone",
    "environment_variables": "write steps: [{env: {NAME: value}}], or runtime: {env: ...} for the process alone",
    "run": "write steps: [{run: SCRIPT}]",
    "platform": "write target: {platform: linux/arm64}",
    "cuda": 'write target: {cuda: "12.4"}',
}


def _environment(*, python: str = "", conda: Packages | None = None, **fields: Any) -> Environment:
    if conda is not None:
        fields["conda"] = conda.conda
        fields.setdefault("pip", conda.pip)
    if fields.get("pip") == Pip():
        fields["pip"] = None  # a list with nothing in it asks for nothing: one meaning, one value
    return Environment(interpreter=python or None, **fields)


RECORD: Final = Record(
    _environment,
    (
        Field("base", BASE, "What the image starts from: exactly one of eight forms.", required=True),
        Field("steps", STEPS, "What is done on top of the base, in order."),
        Field("conda", CONDA, "Packages from conda channels, or the path of an environment.yml."),
        Field("pip", PIP, "Packages from Python indexes."),
        Field("spark", _SPARK, "Packages from Maven repositories."),
        Field("python", _PYTHON, "For images that bring their own Python."),
        Field("target", _TARGET, "The machine that will run the image; what is left away comes from the base."),
        Field(
            "prefix", Text(grammar.prefix, "an absolute path in the image", "^/"), "Where packages live in the image."
        ),
        Field("build", _BUILD, "Options of the build."),
        Field("runtime", _RUNTIME, "Settings of the process that runs; not part of the key."),
        Field("name", _NAME, "A name for people; not part of the key."),
        Field("version", _VERSION, "A version for people; not part of the key."),
        Field("description", grammar.free(lines=True), "What it is for; not part of the key."),
        Field(
            "tags",
            Pairs(Text(str, "the name of a tag"), grammar.free(), "a mapping of tags"),
            "Labels for people; not part of the key.",
        ),
    ),
    "a definition (a mapping with base, steps, conda, ...)",
    _HINTS,
)


class EnvironmentForm:
    """A whole definition."""

    def read(self, node: Node, reading: Reading) -> Environment | None:
        """The environment, its root left at the default; None after noting problems."""
        if foreign.noted(node, reading):
            return None
        environment = RECORD.read(node, reading)
        _sections_apart(node, reading)
        return environment

    def schema(self) -> dict[str, Any]:
        return RECORD.schema()


def _sections_apart(node: Node, reading: Reading) -> None:
    """What two sections together must not say; looked up in the nodes, so that it is found beside other mistakes."""
    fields = node.value if isinstance(node.value, dict) else {}
    if "pip" in fields and _nests_pip(fields.get("conda")):
        remedy = "move all requirements into one of them"
        reading.problem(node_of_key(node, "pip"), "expected pip: here or below conda.dependencies, found both", remedy)
    python = fields.get("python")
    flags = python.value if python is not None and isinstance(python.value, dict) else {}
    if "user_managed" in flags and flags["user_managed"].value is True:
        for name in ("conda", "pip", "spark"):
            if name in fields:
                remedy = f"remove {name}: and install with steps, or remove python.user_managed"
                reading.problem(node_of_key(node, name), f"expected no {name}: where the user manages Python", remedy)


def _nests_pip(conda: Node | None) -> bool:
    fields = conda.value if conda is not None and isinstance(conda.value, dict) else {}
    specs = fields.get("dependencies")
    items = specs.value if specs is not None and isinstance(specs.value, list) else []
    return any(isinstance(item.value, dict) and "pip" in item.value for item in items)


ENVIRONMENT: Final[Form[Environment]] = EnvironmentForm()
