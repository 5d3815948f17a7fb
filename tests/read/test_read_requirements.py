"""Pip's lines and files. The grammar is compared with that of the library `packaging`, which pip is made with."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from packaging.requirements import InvalidRequirement, Requirement

from coopery import read
from coopery.definition import Pip
from coopery.errors import DefinitionError
from coopery.read.reading import Mistake
from coopery.read.requirement import requirement

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA = "sha256:" + "0" * 64


def pip(section, root="."):
    return read.from_dict({"base": "scratch", "pip": section}, root).pip


def ours(text: str) -> bool:
    try:
        requirement(text)
    except Mistake:
        return False
    return True


def theirs(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def test_the_grammar_is_that_of_packaging():
    tokens = [
        "1", "1.2", "1.2.3", "a", "rc1", "==", ">=", "<", "<=", ">", "!=", "~=", "===", ".*", "*", ",", " ", "(", ")",
        "_", "-", ".", "+", "!", "[", "]", "extra", "[a,b]", "[a-b]", "; ", "python_version", '"3"', "'x'", " and ",
        " or ", " in ", " not in ", "sys_platform", "post1", "dev0", "+cu118", ">=1", "<2", "v1", "1!", "alpha",
        "os.name", "-1",
    ]  # fmt: skip
    source = random.Random(3)
    made = {
        (
            source.choice(("numpy", "x", "a_b.c-d", "A")) + "".join(source.choices(tokens, k=source.randint(0, 6)))
        ).strip()
        for _ in range(10_000)
    }
    # packaging alone takes names that end in _ and === with nothing after it; the specification has neither
    known = re.compile(r"[\w.-]*_(?![\w.-])|.*===")
    differ = sorted(text for text in made if ours(text) != theirs(text) and not known.match(text))
    assert differ == []
    assert sum(map(ours, made)) > 300


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "Flask[async,dotenv]>=2,<3 ; python_version >= '3.8' and (sys_platform == 'linux' or extra == 'x')",
        "torch==1.10.0+cu113",
        "x===1.0-custom",
        "x (>=1,<2)",
        "x @ https://host/x-1.0-py3-none-any.whl",
        "x @ https://host/x-1.0.tar.gz ; python_version > '3'",
        f"x @ git+https://github.com/o/n.git@{COMMIT}",
        f"git+https://github.com/o/n.git@{COMMIT[:7]}#egg=n&subdirectory=a/b",
        f"git+ssh://git@github.com/o/n.git@{COMMIT}",
        "n @ git+https://github.com/o/n.git@v1.0",
        "git+https://github.com/o/n.git@feature/two#egg=n",
        "https://host/x-1.0-py3-none-any.whl",
    ],
)
def test_requirements_are_kept_as_written(line):
    assert pip([f"  {line}  "]) == Pip((line,))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("foo=1.0", "==1.0"),
        ("foo=>1", "write >= where => stands"),
        ("foo bar", "one requirement an item"),
        ("foo --bar", "--bar as an item"),
        ("torch==1.0 -f https://host/whl", "pip ignores it here"),
        ("foo; python_versio > '3'", "unknown variable"),
        ("foo; python_version", "a marker"),
        ("foo;", "a marker"),
        ("{{ foo }}", "render it first"),
        ("foo=={{ v }}", "render it first"),
        ("foo==${V}", "render it first"),
        (".", "local path"),
        ("./foo", "find_links"),
        ("../foo.whl", "local path"),
        ("foo/bar", "local path"),
        ("foo-1.0-py3-none-any.whl", "local file"),
        ("file:///tmp/foo.whl", "others can reach"),
        ("foo @ file:///x", "others can reach"),
        ("foo @ ./x", "others can reach"),
        ("git+https://h/o/n.git", "`git ls-remote https://h/o/n.git HEAD` prints a commit"),
        ("git+https://h/o/n.git@", "a commit, a tag or a branch"),
        ("git+https://h/o/n.git@a..b#egg=n", "a commit, a tag or a branch"),
        ("n @ git+https://h/o/n@-x", "a commit, a tag or a branch"),
        ("n @ git+https://h/o/n@a/.b", "a commit, a tag or a branch"),
        ("git+git@github.com:o/n.git", "git+ssh://git@host"),
        ("git@github.com:o/n.git", "git+ssh://git@host"),
        ("git://h/o/n.git", "git+ before"),
        ("-e .", "--editable"),
        ("--editable=git+https://h/o/n", "leave the option away"),
        ("--trusted-host h", "settings"),
        ("--no-index", "find_links"),
        ("--no-deps", "leave it away"),
        ("--user", "one of pip's options"),
        ("--pre foo", "options"),
        ("--index-url", "a value after"),
        ("--index-url 'x", "No closing quotation"),
        ("--index-url ftp://x", "a URL"),
        ("-r /etc/passwd", "starts from the folder"),
        ("-r https://h/r.txt", "download it"),
        ("-r nope.txt", "nope.txt: expected a file"),
        ("--no-binary -x", "package name"),
        ("foo --hash=md5:abc", "--hash=sha256:"),
        ("x" * 5000, "4096 characters"),
        ("x" * 70_000, "65536 characters"),
        ("a\nb", "U+000A"),
    ],
)
def test_refused_with_the_way_out(line, words):
    with pytest.raises(DefinitionError) as caught:
        pip([line])
    (problem,) = caught.value.problems
    assert problem.path == "$.pip[0]"
    assert words in str(problem)


def test_options_in_lines_and_in_fields_are_the_same():
    lines = [
        "--index-url https://a/simple", "--extra-index-url=https://b/simple", "-f wheels", "--find-links https://c/",
        "--pre", "--no-binary x,y", "--only-binary=:all:", "--require-hashes", "# comment", "", "foo # why",
        f"bar==1 --hash={SHA} --hash {SHA}",
    ]  # fmt: skip
    fields = {
        "requirements": ["foo", f"bar==1 --hash={SHA}"],
        "index_url": "https://a/simple",
        "extra_index_urls": ["https://b/simple"],
        "find_links": ["wheels", "https://c/"],
        "pre": True,
        "no_binary": ["x", "y"],
        "only_binary": [":all:"],
    }
    assert pip(lines) == pip(fields) == pip({"requirements": lines})
    assert pip(fields).requirements == ("foo", f"bar==1 --hash={SHA}")


def test_two_index_urls_are_refused():
    with pytest.raises(DefinitionError, match="expected one --index-url"):
        pip(["-i https://a", "-i https://b"])
    with pytest.raises(DefinitionError, match="expected one index_url"):
        pip({"requirements": ["-i https://a"], "index_url": "https://b"})


def test_files_are_inlined_from_where_they_are(folder: Path):
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "requirements.txt").write_text(
        f"a==1 \\\n  --hash={SHA} \\\n\n-r deep/more.txt\r\n-c ../constraints.txt\n-f wheels\n"
    )
    (folder / "sub" / "deep" / "more.txt").write_text("b\n-f wheels\n")
    (folder / "constraints.txt").write_text("c<2\n-r sub/deep/more.txt\n")
    section = pip({"file": "sub/requirements.txt", "constraints": ["d<3"]})
    assert section.requirements == (f"a==1 --hash={SHA}", "b")
    assert section.constraints == ("c<2", "b", "d<3")
    assert section.find_links == ("sub/deep/wheels", "sub/wheels")
    assert pip(["-r sub/requirements.txt"]).requirements == section.requirements


def test_problems_in_files_have_their_own_file_and_line(folder: Path):
    (folder / "a.txt").write_text("ok\nx \\\n  y\n\n-r b.txt\n")
    (folder / "b.txt").write_text("-r a.txt\nfoo=1\n")
    with pytest.raises(DefinitionError) as caught:
        pip(["-r a.txt"])
    assert [(p.file, p.line) for p in caught.value.problems] == [("a.txt", 2), ("b.txt", 1), ("b.txt", 2)]
    assert "include themselves, found a.txt → b.txt → a.txt" in str(caught.value)


def test_inclusion_is_bounded(folder: Path):
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
    with pytest.raises(DefinitionError, match="10 deep"):
        pip(["-r 0.txt"])
    (folder / "wide.txt").write_text("x\n")
    with pytest.raises(DefinitionError, match="at most 100 files"):
        pip(["-r wide.txt"] * 101)


@pytest.mark.parametrize(
    ("section", "path", "words"),
    [
        ("requirements.txt", "$.pip", "{file: requirements.txt}"),
        ({"file": "nope.txt"}, "$.pip.file", "expected a file"),
        ({"file": "/etc/hostname"}, "$.pip.file", "starts from the folder"),
        ({"file": "a", "requirements": ["b"]}, "$.pip.file", "found both"),
        ({"packages": ["b"]}, "$.pip.packages", "write requirements:"),
        ({"requirements": "b"}, "$.pip.requirements", "a list"),
        ([1.0], "$.pip[0]", 'in quotes: "1.0"'),
        ([None], "$.pip[0]", "found nothing"),
        ({"pre": "yes"}, "$.pip.pre", "true or false"),
        ({"find_links": ["-x"]}, "$.pip.find_links[0]", "a URL or a folder"),
    ],
)
def test_sections_refused(folder, section, path, words):
    with pytest.raises(DefinitionError) as caught:
        pip(section)
    assert any(p.path == path and words in str(p) for p in caught.value.problems), caught.value


def test_a_section_that_asks_for_nothing_is_none():
    assert pip([]) is None
    assert pip({}) is None
    assert pip(["# nothing"]) is None
