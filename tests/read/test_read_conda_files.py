"""Conda sections, and environment.yml files in the forms that public ones have."""

from __future__ import annotations

import pytest

from coopery.definition import Conda, ImageBase, Pip
from coopery.errors import DefinitionError
from coopery.read import from_dict

USES = "base: scratch\nconda: environment.yml\n"

PUBLIC = """\
# exported with conda env export
name: paper
channels:
  - bioconda   # first
  - conda-forge
  - nodefaults
dependencies:
  - _libgcc_mutex=0.1=main
  - python=3.8.5=h7579374_1
  - bioconda::bamtools=2.5.2
  - conda-forge/linux-64::x264
  - NumPy >=1.19, <2
  - scipy
  -
  - blas=*=mkl
  - pip:
    - -r requirements/base.txt
    - --extra-index-url https://download.example.org/whl/cu113
    - torch==1.12.1+cu113
category: main
platforms: [linux-64]
prefix: /home/someone/miniconda3/envs/paper
"""


def test_a_public_file(loading):
    environment = loading(USES, files={"environment.yml": PUBLIC, "requirements/base.txt": "flask>=1  # web\n"})
    assert environment.conda == Conda(
        ("bioconda", "conda-forge"),
        (
            "_libgcc_mutex=0.1=main", "python=3.8.5=h7579374_1", "bioconda::bamtools=2.5.2",
            "conda-forge/linux-64::x264", "NumPy >=1.19, <2", "scipy", "blas=*=mkl",
        ),
    )  # fmt: skip
    assert environment.pip == Pip(
        ("flask>=1", "torch==1.12.1+cu113"), extra_index_urls=("https://download.example.org/whl/cu113",)
    )
    assert environment.name == ""


def test_the_two_forms_of_the_field_are_one(loading):
    files = {"environment.yml": PUBLIC, "requirements/base.txt": "flask\n"}
    assert loading(USES, files=files) == loading("base: scratch\nconda: {file: environment.yml}\n", files=files)


def test_a_file_in_another_folder_reads_its_requirements_from_there(loading):
    file = "channels: [a]\ndependencies: [b, {pip: [-r r.txt, -f wheels]}]\n"
    environment = loading(
        "base: scratch\nconda: ../shared/e.yml\n",
        "sub/env.yaml",
        {"shared/e.yml": file, "shared/r.txt": "x\n"},
    )
    assert environment.pip == Pip(("x",), find_links=("../shared/wheels",))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (["conda-forge"], ("conda-forge",)),
        (["conda-forge", "bioconda", "conda-forge", "nodefaults"], ("conda-forge", "bioconda")),
        (["defaults"], ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")),
        (["pkgs/free"], ("https://repo.anaconda.com/pkgs/free",)),
        (["https://conda.example.org/c/linux-64/"], ("https://conda.example.org/c",)),
        (["conda-forge/label/broken", "conda-forge/noarch"], ("conda-forge/label/broken", "conda-forge")),
        (["./channel/", "/srv/channel", "file:///srv/c"], ("./channel", "/srv/channel", "file:///srv/c")),
    ],
)
def test_channels(written, kept):
    section = {"channels": written, "dependencies": ["x"]}
    assert from_dict({"base": "scratch", "conda": section}).conda.channels == kept


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ("local", "write ./channel|./channel"),
        ("-c", "a channel"),
        ("conda forge", "a channel"),
        ("ftp://x/y", "a URL"),
        ("https://", "a host"),
        ("https://${TOKEN}@h/c", "without credentials"),
        ("https://h/${X}", "variable of the environment"),
        (3.5, 'in quotes: "3.5"'),
    ],
)
def test_channels_refused(channel, words):
    with pytest.raises(DefinitionError) as caught:
        from_dict({"base": "scratch", "conda": {"channels": ["a", channel], "dependencies": ["x"]}})
    (problem,) = caught.value.problems
    assert problem.path == "$.conda.channels[1]"
    assert any(word in str(problem) for word in words.split("|"))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("dependencies: [numpy]\n", "1:1", "channels: [conda-forge]"),
        ("channels:\ndependencies: [numpy]\n", "1:1", "channels: [conda-forge]"),
        ("channels: [nodefaults]\ndependencies: [numpy]\n", "1:11", "channels: [conda-forge]"),
        ("channels: [a]\nvariables: {A: b}\ndependencies: [b]\n", "2:1", "steps: [{env: {NAME: value}}]"),
        ("channels: [a]\npip: [x]\ndependencies: [b]\n", "2:1", "nest it"),
        ("channels: [a]\ndependancies: [b]\n", "2:1", "did you mean dependencies?"),
        ("channels: [a]\nchannel_priority: strict\n", "2:1", "remove it"),
        ("channels: [a]\nfoo: bar\n", "2:1", "conda would ignore it"),
        ("channels: [a]\ndependencies:\n- python: 3.8\n", "3:3", "write python=3.8"),
        ("channels: [a]\ndependencies:\n- pip: [x]\n- pip: [y]\n", "4:3", "join the two lists"),
        ("channels: [a]\ndependencies:\n- pip: x\n", "3:8", "a list of requirements"),
        ("channels: [a]\ndependencies: numpy\n", "2:15", "a list of match specs"),
        ("channels: a\ndependencies: [numpy]\n", "1:11", "a list of channels"),
        ("channels: [a]\ndependencies:\n- 3.8\n", "3:3", 'in quotes: "3.8"'),
        ("channels: [a]\ndependencies:\n- numpy={{ v }}\n", "3:3", "render it first"),
        ("channels: [a]\ndependencies:\n- {{ v }}\n", "3:4", "render it first"),
        ("{% set v = 1 %}\nchannels: [a]\n", "1:2", "render it first"),
        ("channels: [a]\ndependencies:\n- pip:\n  - git+https://h/o/n.git\n", "4:5", "a commit"),
        ("numpy==1.0\nscipy\n", "1:1", "a conda environment"),
        ("a: b\n---\nc: d\n", "2:1", "second"),
    ],
)
def test_files_refused_with_their_own_line(refusing, text, place, words):
    problem = refusing(USES, files={"environment.yml": text})[-1]
    assert (problem.file, f"{problem.line}:{problem.column}") == ("environment.yml", place)
    assert words in str(problem)


def test_empty_variables_and_lists_are_no_mistake(loading):
    text = "channels: [a]\nvariables: {}\ndependencies:\n- b\n- pip:\n"
    environment = loading(USES, files={"environment.yml": text})
    assert (environment.conda, environment.pip) == (Conda(("a",), ("b",)), None)


def test_a_missing_file_is_named_where_it_is_asked_for(refusing):
    (problem,) = refusing(USES)
    assert (problem.file, problem.line, problem.path) == ("env.yaml", 2, "$.conda")
    assert "environment.yml: expected a file" in str(problem)


def test_file_and_inline_together_are_refused(refusing):
    problems = refusing("base: scratch\nconda: {file: e.yml, channels: [a], dependencies: [b]}\n")
    assert {problem.path for problem in problems} == {"$.conda.file"}
    assert "expected file or channels, found both" in str(problems[0])


@pytest.mark.parametrize("path", ["/etc/hostname", "-x", "~/e.yml", "https://h/e.yml"])
def test_files_start_from_the_definition(path):
    with pytest.raises(DefinitionError, match=r"\$\.conda: "):
        from_dict({"base": "scratch", "conda": path})


def test_a_conda_file_where_a_definition_is_expected(refusing):
    (problem,) = refusing(PUBLIC, "environment.yml")
    assert "found a conda environment" in str(problem)
    assert "`base: ubuntu:24.04` and `conda: environment.yml`" in str(problem)


def test_an_azure_file_where_a_definition_is_expected(refusing, loading):
    text = "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\nname: x\nversion: 1\n"
    (problem,) = refusing(text + "image: ubuntu:22.04\nconda_file: conda.yml\n")
    assert (problem.line, problem.path) == (4, "$.image")
    assert "found an Azure ML environment (write `base: ubuntu:22.04` and `conda: conda.yml`)" in str(problem)
    files = {"conda.yml": "channels: [a]\ndependencies: [b]\n"}
    assert loading("base: ubuntu:22.04\nconda: conda.yml\n", files=files).base == ImageBase("ubuntu:22.04")


def test_channel_prefixes_do_not_stand_for_channels():
    with pytest.raises(DefinitionError, match="expected a channel, found none"):
        from_dict({"base": "scratch", "conda": {"dependencies": ["bioconda::x"]}})
