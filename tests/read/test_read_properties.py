"""Properties: what is dumped loads back equal, three forms mean the same, and junk is refused in one way only."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coopery import definition as nouns
from coopery import read, schema
from coopery.definition import Environment
from coopery.errors import DefinitionError, Problem
from soak import rounds

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

SCHEMA = jsonschema.Draft202012Validator(json.loads(schema.FILE.read_text(encoding="utf-8")))

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,20}", fullmatch=True)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True)
REFUSED = "\r\x7f\u2028\u2029\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff"
lines = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters=REFUSED), max_size=30
) | st.sampled_from(
    ["", "true", "null", "~", "1", "1.0", "0x1f", "- a", "a: b", "#", " a ", "|", "'", '"', "\\", "yes", "<<"]
)
texts = st.lists(lines, max_size=4).map("\n".join) | st.sampled_from(
    ["a\n", "a\n\n", " a\nb", "\n", "a\n\n b\n", "\tx\ny"]
)
scripts = texts.filter(lambda text: bool(text.strip()))
paths = st.lists(names.filter(lambda n: n.strip(".") and not n.startswith("-")), min_size=1, max_size=3).map(
    lambda parts: "/".join(["", *parts])
)
relative = paths.map(lambda path: path[1:])
pairs = st.dictionaries(variables, lines, max_size=3)
packages = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}((==|>=|=)[0-9]\.[0-9]|)", fullmatch=True)
requirements = st.from_regex(r"[a-z][a-z0-9]{0,8}((==|>=|~=)[0-9]\.[0-9]|)", fullmatch=True)
distributions = st.sampled_from([":all:", "numpy", "Flask-Login", "a.b_c"])
urls = st.from_regex(r"https://[a-z]{1,8}\.example/[a-z]{0,5}", fullmatch=True)


def tuples(strategy, least=0):
    return st.lists(strategy, min_size=least, max_size=3).map(tuple)


def distinct(strategy, least=0):
    return st.lists(strategy, min_size=least, max_size=3, unique=True).map(tuple)


bases = st.one_of(
    st.just(nouns.ScratchBase()),
    st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8})?(:[a-z0-9][a-z0-9.]{0,7})?", fullmatch=True)
    .filter(lambda image: image != "scratch")
    .map(nouns.ImageBase),
    st.builds(nouns.LayoutBase, relative, st.just("") | ids),
    st.builds(nouns.ArchiveBase, relative, st.just("") | ids),
    st.builds(nouns.RootfsBase, relative),
    st.builds(nouns.SifBase, relative),
    st.builds(
        nouns.DebianBase,
        st.sampled_from(["bookworm", "trixie", "stable-updates"]),
        tuples(st.sampled_from(["libc6", "bash=5.2.15-2+b7", "g++"])),
        tuples(st.sampled_from(["main", "contrib"]), 1),
    ),
    st.builds(nouns.DockerfileBase, relative),
    st.builds(nouns.ContextBase, relative, relative),
)
steps = st.one_of(
    st.builds(nouns.RunStep, scripts | tuples(texts, 1), tuples(ids), st.booleans()),
    st.builds(
        nouns.CopyStep,
        relative,
        paths,
        st.none() | st.integers(0, 0o7777),
        st.sampled_from(["0:0", "1000:1000", "a:b"]),
    ),
    st.builds(nouns.EnvStep, pairs.filter(bool)),
    st.builds(nouns.WorkdirStep, paths),
    st.builds(nouns.UserStep, st.sampled_from(["root", "1000", "1000:100", "app:app"])),
)
pips = st.builds(
    nouns.Pip,
    requirements=tuples(requirements),
    constraints=tuples(requirements),
    index_url=st.just("") | urls,
    extra_index_urls=distinct(urls),
    find_links=distinct(urls | relative),
    pre=st.booleans(),
    no_binary=distinct(distributions),
    only_binary=distinct(distributions),
).filter(lambda pip: pip != nouns.Pip())
common = {
    "base": bases,
    "steps": tuples(steps),
    "target": st.builds(
        nouns.Target,
        st.sampled_from(["linux/amd64", "linux/arm64"]),
        st.none() | st.sampled_from(["12.4", "11"]),
        st.none() | st.just("2.36"),
        st.none() | st.just("x86_64_v3"),
    ),
    "prefix": st.sampled_from([nouns.DEFAULT_PREFIX, "/opt/conda", "/srv/a.b_c+d"]),
    "build": st.builds(nouns.BuildOptions, pairs, tuples(ids), st.booleans()),
    "runtime": st.builds(nouns.Runtime, pairs, st.sampled_from(["", "2g", "64"]), st.just("") | paths),
    "name": st.just("") | names,
    "version": st.just("") | names,
    "description": texts,
    "tags": st.dictionaries(names, lines, max_size=3),
}
system_managed = st.builds(
    Environment,
    conda=st.none()
    | st.builds(nouns.Conda, distinct(st.sampled_from(["conda-forge", "./c", "b"]), 1), tuples(packages)),
    pip=st.none() | pips,
    spark=st.none() | st.builds(nouns.Spark, tuples(st.just("a.b:c_2.12:1.0"), 1), tuples(urls)),
    **common,
)
user_managed = st.builds(Environment, interpreter=paths, **common)
environments = system_managed | user_managed


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@given(environment=environments)
@settings(max_examples=rounds(30, 10_000), deadline=None)
def test_yaml_json_and_plain_data_mean_the_same(scratch, environment):
    (scratch / "env.yaml").write_text(read.dump(environment), encoding="utf-8", newline="")
    assert read.load(scratch / "env.yaml") == environment
    document = read.to_dict(environment)
    assert read.from_dict(document) == environment
    for index, options in enumerate(({}, {"indent": "\t"}, {"ensure_ascii": False, "indent": 2})):
        file = scratch / f"env{index}.json"
        file.write_text(json.dumps(document, **options), encoding="utf-8")
        assert read.load(file) == environment


@given(environment=environments)
@settings(max_examples=rounds(30, 10_000), deadline=None)
def test_dumping_has_one_result_and_says_nothing_of_defaults(environment):
    text = read.dump(environment)
    assert read.dump(read.from_dict(read.to_dict(environment))) == text
    assert ("prefix:" in text) == (environment.prefix != nouns.DEFAULT_PREFIX) or "prefix:" in environment.description


KEYS = st.sampled_from([
    "base", "steps", "conda", "pip", "spark", "python", "target", "prefix", "build", "runtime", "name", "tags", "run",
    "copy", "to", "env", "channels", "dependencies", "file", "image", "context", "dockerfile", "layout", "tag",
    "debian", "suite", "packages", "user_managed", "interpreter", "requirements",
])  # fmt: skip
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["scratch", "x=1", "/a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def problems_of(load, source) -> tuple[Problem, ...]:
    """What is wrong with *source*; empty when it loads. Any other error than ours ends the test."""
    try:
        load(source)
    except DefinitionError as error:
        return error.problems
    return ()


@example(document={"conda": "\U00012544"})
@given(document=st.dictionaries(KEYS, junk, max_size=6))
@settings(max_examples=rounds(60, 10_000), deadline=None)
def test_junk_as_plain_data_is_refused_in_one_way(document):
    problems = problems_of(read.from_dict, document)
    assert all(problem.path.startswith("$") and str(problem).isprintable() for problem in problems)


@given(data=st.binary(max_size=200) | st.text(alphabet=" \n\t:-[]{},&*!|>'\"%#?a1~.<", max_size=120).map(str.encode))
@settings(max_examples=rounds(60, 10_000), deadline=None)
def test_junk_as_bytes_is_refused_in_one_way(scratch, data):
    (scratch / "junk.yaml").write_bytes(b"base: scratch\n" + data)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems_of(read.load, scratch / "junk.yaml"))


@given(environment=environments)
@settings(max_examples=rounds(30, 10_000), deadline=None)
def test_what_the_reader_takes_the_schema_takes(environment):
    SCHEMA.validate(read.to_dict(environment))
