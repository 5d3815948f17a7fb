"""What must not change a key never does; every field that can change bytes does."""

from __future__ import annotations

import random
from pathlib import Path
from types import FunctionType
from typing import Any

import attrs
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery import key
from coopery.definition import (
    ArchiveBase,
    Base,
    BuildOptions,
    Conda,
    ContextBase,
    CopyStep,
    DebianBase,
    DockerfileBase,
    Environment,
    EnvStep,
    ImageBase,
    LayoutBase,
    Pip,
    RootfsBase,
    RunStep,
    Runtime,
    ScratchBase,
    SifBase,
    Spark,
    Step,
    Target,
    UserStep,
    WorkdirStep,
)
from coopery.digest import Digest, of_bytes
from coopery.errors import DefinitionError, PluginError
from coopery.sealed import Sealed, SealedBase, SealedStep
from soak import rounds

EMPTY = of_bytes(b"")
LOCAL = (LayoutBase, ArchiveBase, RootfsBase, SifBase, DockerfileBase, ContextBase)


def pretend(environment: Environment, content: Digest = EMPTY) -> Sealed:
    """Sealed as if all local content had one digest: these tests are about the rest."""
    base = SealedBase(environment.base, content if isinstance(environment.base, LOCAL) else None)
    steps = (SealedStep(step, content if isinstance(step, CopyStep) else None) for step in environment.steps)
    return Sealed(environment, base, tuple(steps))


def key_of(environment: Environment) -> str:
    return key.compute(pretend(environment))


# --- every field -----------------------------------------------------------------------------------

BASES: tuple[Base, ...] = (
    ImageBase("ubuntu:24.04"),
    ScratchBase(),
    LayoutBase("layout", "v1"),
    ArchiveBase("image.tar", "v1"),
    RootfsBase("rootfs.tar"),
    SifBase("image.sif"),
    DebianBase("bookworm", ("libc6",), ("main", "contrib")),
    DockerfileBase("Dockerfile"),
    ContextBase("folder", "Dockerfile"),
)
STEPS: tuple[Step, ...] = (
    RunStep("true", ("token",)),
    CopyStep("src", "/app", 0o755, "1:1"),
    EnvStep({"A": "1"}),  # type: ignore[arg-type] # the converter takes a map
    WorkdirStep("/work"),
    UserStep("1"),
)
FULL = Environment(
    ImageBase("ubuntu:24.04"),
    STEPS,
    Conda(("conda-forge",), ("numpy",)),
    Pip(("a",), ("b",), "https://i", ("https://e",), ("https://f",), True, ("n",), ("o",)),
    Spark(("g:a:1",), ("https://r",)),
    Target("linux/arm64", "12.4", "2.28", "skylake"),
    "/srv/env",
    BuildOptions({"A": "1"}, ("token",), False),  # type: ignore[arg-type] # the converter takes a map
    "/usr/bin/python3",
    "name",
    "1",
    "words",
    {"team": "a"},  # type: ignore[arg-type] # the converter takes a map
    Runtime({"A": "1"}, "2g", "/w"),  # type: ignore[arg-type] # the converter takes a map
    Path("/somewhere"),
)
NOT_IN_KEY = {
    *(("Environment", name) for name in ("name", "version", "description", "tags", "runtime")),
    *(("Environment", name) for name in ("root", "places", "file")),
    *(("Runtime", name) for name in ("env", "shm_size", "workdir")),
    # Local content counts by its digest, which sealing has taken; these only say where it was found.
    ("LayoutBase", "layout"),
    ("LayoutBase", "tag"),
    ("ArchiveBase", "archive"),
    ("RootfsBase", "rootfs"),
    ("SifBase", "sif"),
    ("DockerfileBase", "dockerfile"),
    ("ContextBase", "context"),
    ("CopyStep", "copy"),
}


def mutate(value: Any) -> Any:
    """Another value of the same type, that means something else."""
    match value:
        case bool():
            return not value
        case int():
            return value ^ 0o111
        case str():
            return value + "x"
        case Path():
            return value / "x"
        case tuple() if value and isinstance(value[0], tuple):
            return (*value, ("NEW", "value"))
        case tuple():
            return (*value, WorkdirStep("/new") if value and attrs.has(type(value[0])) else "new")
        case None:
            return "new"
        case FunctionType():
            return len
    raise AssertionError(f"teach this test to change {value!r}")


def every_field() -> list[Any]:
    """(class, field, environment, the same with that field changed) for each leaf of a definition."""
    found = []

    def visit(value: Any, rebuild: Any, environment: Environment) -> None:
        for field in attrs.fields(type(value)):
            inner = getattr(value, field.name)

            def put(new: Any, value: Any = value, name: str = field.name) -> Environment:
                result: Environment = rebuild(evolve(value, **{name: new}))
                return result

            if attrs.has(type(inner)):
                visit(inner, put, environment)
            else:
                name = (type(value).__name__, field.name)
                found.append(pytest.param(name, environment, put(mutate(inner)), id=".".join(name)))

    visit(FULL, lambda new: new, FULL)
    for base in BASES:
        on_base = evolve(FULL, base=base)
        visit(base, lambda new: evolve(FULL, base=new), on_base)
    for step in STEPS:
        visit(step, lambda new: evolve(FULL, steps=(new,)), evolve(FULL, steps=(step,)))
    return found


@pytest.mark.parametrize(("field", "before", "after"), every_field())
def test_every_field_counts_or_is_listed(field: tuple[str, str], before: Environment, after: Environment) -> None:
    assert before != after or field in {("Environment", name) for name in ("root", "places", "file")}
    assert (key_of(before) == key_of(after)) == (field in NOT_IN_KEY)


def test_every_class_of_the_definition_was_visited() -> None:
    import coopery.definition as module

    classes = {name for name, value in vars(module).items() if attrs.has(value) and attrs.fields(value)}
    assert {parameter.values[0][0] for parameter in every_field()} == classes


@pytest.mark.parametrize("kind", LOCAL, ids=lambda kind: kind.__name__)
def test_content_of_a_base_counts(kind: type[Base]) -> None:
    environment = Environment(next(base for base in BASES if isinstance(base, kind)))
    assert key.compute(pretend(environment)) != key.compute(pretend(environment, of_bytes(b"other")))


def test_kinds_of_base_with_one_content_never_meet() -> None:
    assert len({key_of(Environment(base)) for base in BASES}) == len(BASES)


def test_content_of_a_copy_counts() -> None:
    environment = Environment(ScratchBase(), (CopyStep("a", "/a"),))
    assert key.compute(pretend(environment)) != key.compute(pretend(environment, of_bytes(b"other")))


# --- what never counts ------------------------------------------------------------------------------

word = st.text("abcxyz019-_.=<> ", min_size=1, max_size=8)
words = st.lists(word, max_size=4).map(tuple)
pairs = st.dictionaries(st.text("ABC_", min_size=1, max_size=4), word, max_size=3)
steps = st.one_of(
    st.builds(RunStep, word | words, words, st.booleans()),
    st.builds(CopyStep, word, word.map("/{}".format), st.none() | st.integers(0, 0o7777), word),
    st.builds(EnvStep, pairs),
    st.builds(WorkdirStep, word),
    st.builds(UserStep, word),
)
bases = st.one_of(
    st.builds(ImageBase, st.sampled_from(["a", "a:1", "b/c", "localhost:5000/d"])),
    st.just(ScratchBase()),
    st.builds(ArchiveBase, word, word),
    st.builds(DebianBase, word, words, words),
    st.builds(ContextBase, word, word),
)
environments = st.builds(
    Environment,
    bases,
    st.lists(steps, max_size=3).map(tuple),
    st.none() | st.builds(Conda, words, words),
    st.none() | st.builds(Pip, words, words, word, words, words, st.booleans(), words, words),
    st.none() | st.builds(Spark, words, words),
    st.builds(Target, st.sampled_from(["linux/amd64", "linux/arm64"]), st.none() | word, st.none() | word),
    word,
    st.builds(BuildOptions, pairs, words, st.booleans()),
    st.none() | word,
)


@given(environments, word, pairs, st.builds(Runtime, pairs, word, word))
@settings(max_examples=rounds(60, 10_000))
def test_names_and_running_never_count(
    environment: Environment, text: str, tags: dict[str, str], runtime: Runtime
) -> None:
    other = evolve(
        environment, name=text, version=text, description=text, tags=tags, runtime=runtime, root=Path("/elsewhere")
    )
    assert key_of(other) == key_of(environment)


@given(environments, st.randoms(use_true_random=False))
@settings(max_examples=rounds(60, 10_000))
def test_order_and_space_and_repetition_of_packages_never_count(environment: Environment, rng: random.Random) -> None:
    def shuffled(texts: tuple[str, ...]) -> tuple[str, ...]:
        again = [*texts, *texts[:1]]
        rng.shuffle(again)
        return tuple(f" {text}\t" for text in again)

    conda, pip, spark = environment.conda, environment.pip, environment.spark
    other = evolve(
        environment,
        conda=conda and evolve(conda, dependencies=shuffled(conda.dependencies)),
        pip=pip and evolve(pip, requirements=shuffled(pip.requirements), constraints=shuffled(pip.constraints)),
        spark=spark and evolve(spark, packages=shuffled(spark.packages)),
        build=evolve(environment.build, secrets=shuffled(environment.build.secrets)),
    )
    assert key_of(other) == key_of(environment)


@given(environments, environments)
@settings(max_examples=rounds(60, 10_000))
def test_one_key_means_one_identity(a: Environment, b: Environment) -> None:
    assert (key_of(a) == key_of(b)) == (key.identity(pretend(a)) == key.identity(pretend(b)))


@given(st.lists(word, min_size=2, max_size=4, unique_by=str.strip))
@settings(max_examples=rounds(30, 10_000))
def test_order_of_channels_and_steps_counts(names: list[str]) -> None:
    turned = tuple(reversed(names))
    base = ScratchBase()
    assert key_of(Environment(base, conda=Conda(tuple(names)))) != key_of(Environment(base, conda=Conda(turned)))
    there, back = (tuple(map(WorkdirStep, order)) for order in (names, turned))
    assert key_of(Environment(base, there)) != key_of(Environment(base, back))


def test_an_empty_section_is_not_an_absent_one() -> None:
    base = ScratchBase()
    keys = {key_of(Environment(base)), key_of(Environment(base, conda=Conda())), key_of(Environment(base, pip=Pip()))}
    assert len(keys) == 3


# --- errors, speed -----------------------------------------------------------------------------------


def test_text_without_a_utf8_form_is_a_definition_error() -> None:
    with pytest.raises(DefinitionError, match="surrogate") as caught:
        key_of(Environment(ScratchBase(), (RunStep("echo \ud800"),)))
    assert caught.value.problems[0].path == "$.steps[0].run"


def test_an_identity_that_cannot_be_encoded_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match=r"'odd'.*\$\.weight.*float"):
        key.step_key("odd", "linux/amd64", {"weight": 0.5}, "")


def test_layer_pairs_have_no_order() -> None:
    pairs = [("prefix", "/opt/env"), ("loses", "b"), ("loses", "a")]
    assert key.layer_key(pairs) == key.layer_key(reversed(pairs))
    assert key.layer_key(pairs) != key.layer_key(pairs[:2])
