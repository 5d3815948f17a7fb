"""What text is taken at all: bounds, characters, YAML's traps. Each refusal has its file, line, column and path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coopery import read
from coopery.errors import DefinitionError

BASE = "base: scratch\n"


def test_every_mistake_is_found_at_once_and_in_order(refusing):
    problems = refusing(
        "base: {image: 'Ubuntu'}\n"
        "nmae: x\n"
        "target: {cuda: 12.4, platform: linux/x86_64}\n"
        "steps:\n"
        "  - run: x\n"
        "    copy: y\n"
        "  - workdir: srv\n"
        "conda:\n"
        "  channels: [conda-forge, 3]\n"
        "  dependencies: [numpy=>1]\n"
    )
    assert [str(problem).partition(": ")[0] for problem in problems] == [
        "env.yaml:1:15", "env.yaml:2:1", "env.yaml:3:16", "env.yaml:3:32", "env.yaml:5:5", "env.yaml:7:14",
        "env.yaml:9:27", "env.yaml:10:18",
    ]  # fmt: skip
    assert [problem.path for problem in problems] == [
        "$.base.image", "$.nmae", "$.target.cuda", "$.target.platform", "$.steps[0]", "$.steps[1].workdir",
        "$.conda.channels[1]", "$.conda.dependencies[0]",
    ]  # fmt: skip
    assert str(problems[2]) == (
        'env.yaml:3:16: $.target.cuda: expected a CUDA version, found the number 12.4 (write it in quotes: "12.4")'
    )
    assert "did you mean name?" in str(problems[1])
    assert "did you mean linux/amd64?" in str(problems[3])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "empty file"),
        ("# nothing\n", "", "empty file"),
        ("[1]", "1:1", "found a list"),
        ("scratch", "1:1", "found 'scratch'"),
        (BASE + "base: x\n", "2:1", "stands twice, first on line 1"),
        (BASE + "tags: {a: b, a: c}\n", "2:14", "stands twice"),
        (BASE + "tags: &t {a: b}\nruntime: {<<: *t}\n", "3:11", "merge key"),
        (BASE + "name: !!python/object:os.system x\n", "2:7", "tag '!!python/object:os.system'"),
        (BASE + "name: !secret x\n", "2:7", "tag '!secret'"),
        (BASE + "---\nbase: scratch\n", "2:1", "second"),
        (BASE + "name: *nope\n", "2:7", "anchor"),
        (BASE + "tags: {1: x}\n", "2:8", "text as a key"),
        (BASE + "tags: {true: x}\n", "2:8", "text as a key"),
        (BASE + "tags: {? [a] : x}\n", "2:10", "text as a key"),
        (BASE + "name: {{ name }}\n", "2:8", "render it first"),
        ("{% if x %}\n" + BASE, "1:2", "render it first"),
        (BASE + "tags:\n\ta: b\n", "3:1", "indent with spaces"),
        (BASE + "name: a: b\n", "2:8", "in quotes"),
        (BASE + "name: [\n", "3:1", "syntax error"),
        (BASE + 'name: "\\UFFFFFFFF"\n', "", "syntax error"),
        ("\ufeff" + BASE, "1:1", "byte order mark"),
        (b"base: scratch\nname: caf\xe9\n", "2:10", "found byte 0xe9"),
        (BASE.encode("utf-16"), "1:1", "expected UTF-8"),
        (BASE + "# \x00\n", "2:3", "U+0000"),
        (BASE + "# \u2028\n", "2:3", "U+2028"),
        (BASE + "# \u202e\n", "2:3", "U+202E"),
        (BASE + "# \x1b[2J\n", "2:3", "U+001B"),
        (BASE + 'name: "a\\u2028"\n', "2:7", "U+2028 as character 2"),
        (BASE + 'name: "a\\nb"\n', "2:7", "U+000A"),
        (BASE + 'name: "\\ud800"\n', "2:7", "U+D800"),
        (BASE + 'name: "\\0"\n', "2:7", "U+0000"),
        (BASE + 'description: "\\0"\n', "2:14", "U+0000"),
        (BASE + 'description: "\\r"\n', "2:14", "U+000D"),
        (BASE + "name: 1e5\n", "2:7", "the number 1e5"),
        (BASE + "name: .nan\n", "2:7", "the number .nan"),
        (BASE + "name: 9007199254740993\n", "2:7", "the number 9007199254740993"),
        (BASE + "name: true\n", "2:7", "found true"),
        (BASE + "name:\n", "2:1", "found nothing"),
        (BASE + "name: ''\n", "2:7", "empty string"),
        (BASE + "name: ~\n", "2:7", 'write it in quotes: "~"'),
        (BASE + "x: " + "[" * 40 + "]" * 40, "2:35", "32 levels"),
        (BASE + "x: " + "x" * 70_000, "2:1", "65536 characters"),
    ],
)
def test_refused(refusing, text, place, words):
    problem = refusing(text)[0]
    if place:
        assert f"{problem.line}:{problem.column}" == place
    assert words in str(problem)


def test_a_file_over_one_mebibyte_is_refused(refusing):
    (problem,) = refusing(BASE + "# x\n" * (1 << 18))
    assert "1048576 bytes" in str(problem)


@pytest.mark.parametrize(
    "bomb",
    [
        BASE
        + "x0: &x0 [a, a, a, a, a, a, a, a, a]\n"
        + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 10)),
        "x: &x " + "[" * 29 + "a" + "]" * 29 + "\ny: &y " + "[" * 29 + "*x" + "]" * 29 + "\n",
        "x:" + "\n [" * 100_000,
        "- " * 100_000,
        "\n".join(" " * depth + "a:" for depth in range(1000)),
        "x:\n" + "- a\n" * 100_000,
        BASE + "".join(f"base{n}: a\n" for n in range(4_000)),
    ],
    ids=["alias", "deep alias", "flow", "dashes", "block", "list", "unknown keys"],
)
def test_bombs_end_soon(refusing, bomb):
    assert refusing(bomb)


def test_aliases_within_the_bounds_are_written_out(loading):
    environment = loading(BASE + "steps:\n  - env: &e {A: b}\nruntime: {env: *e}\n")
    assert environment.runtime.env == environment.steps[0].env == (("A", "b"),)


def test_a_problem_below_an_alias_has_the_path_of_the_alias(refusing):
    problems = refusing(BASE + "steps:\n  - env: &e {A: 1}\nruntime: {env: *e}\n")
    assert [problem.path for problem in problems] == ["$.steps[0].env.A", "$.runtime.env.A"]


def test_json_is_read_with_positions_tabs_and_surrogate_pairs(loading, refusing):
    environment = loading('{"base":\t"scratch",\n\t"description": "\\ud83d\\ude00 \\/ tab\\there"}', "env.json")
    assert environment.description == "😀 / tab\there"
    problems = refusing('{"base": "scratch",\n "base": "x",\n "name": NaN}', "env.json")
    assert [(p.line, p.column) for p in problems] == [(2, 2), (3, 10)]


def test_yaml_1_1_words_are_text(loading):
    environment = loading(BASE + "tags: {a: yes, b: on, c: 12:30:00, d: 2026-01-01, n: no}\n")
    assert dict(environment.tags) == {"a": "yes", "b": "on", "c": "12:30:00", "d": "2026-01-01", "n": "no"}


def test_crlf_is_a_line_end(loading):
    assert loading("base: scratch\r\nsteps:\r\n- run: |\r\n    a\r\n    b\r\n").steps[0].run == "a\nb\n"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "found none"),
        (lambda path: path.mkdir(), "found a folder"),
        (os.mkfifo, "pipe"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_what_is_no_file_is_refused_at_once(folder, make, words):
    make(folder / "env.yaml")
    with pytest.raises(DefinitionError, match=words) as caught:
        read.load("env.yaml")
    assert caught.value.problems[0].file == "env.yaml"


def test_a_name_with_nul_is_refused():
    with pytest.raises(DefinitionError, match="null"):
        read.load("a\0b")


def test_plain_data_has_paths_and_no_lines():
    with pytest.raises(DefinitionError) as caught:
        read.from_dict({"base": 1.5, "steps": [{"run": b"x"}], "tags": {1: "x"}, "name": {1, 2}})
    problems = caught.value.problems
    assert {problem.path for problem in problems} == {"$.base", "$.steps[0].run", "$.tags", "$.name"}
    assert all(problem.line == problem.column == 0 and not problem.file for problem in problems)


def test_plain_data_that_contains_itself_is_refused():
    loop: dict[str, object] = {"base": "scratch"}
    loop["tags"] = loop
    with pytest.raises(DefinitionError, match="32 levels"):
        read.from_dict(loop)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, 10**5000, -0.0], ids=["nan", "inf", "2^53", "10^5000", "-0"]
)
def test_numbers_are_refused_wherever_they_stand(value):
    with pytest.raises(DefinitionError, match=r"\$\.name: expected a name .* found the number"):
        read.from_dict({"base": "scratch", "name": value})


def test_the_root_is_the_folder_of_the_file(folder: Path):
    (folder / "sub").mkdir()
    (folder / "sub" / "env.yaml").write_text(BASE)
    assert read.load("sub/env.yaml").root == folder / "sub"
    assert read.from_dict({"base": "scratch"}, root="sub").root == folder / "sub"


@pytest.mark.processes
def test_reading_imports_nothing_heavy(folder: Path):
    (folder / "env.yaml").write_text(BASE + "conda: {channels: [a], dependencies: [b]}\npip: [c>=1]\n")
    program = "import sys, json, coopery.read; coopery.read.load('env.yaml'); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)} | set(json.loads(done.stdout))
    assert not loaded & {"click", "rich", "rattler", "pluggy", "urllib.request", "difflib", "importlib.metadata"}
    assert "coopery.read.yaml_out" not in loaded
