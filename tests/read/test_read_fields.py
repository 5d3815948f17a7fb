"""Each field: what it takes, and what it refuses because something later could take it for an option or a path."""

from __future__ import annotations

import pytest

from coopery import read
from coopery.definition import (
    ArchiveBase,
    ContextBase,
    CopyStep,
    DebianBase,
    DockerfileBase,
    EnvStep,
    ImageBase,
    LayoutBase,
    Pip,
    RootfsBase,
    RunStep,
    ScratchBase,
    SifBase,
    UserStep,
    WorkdirStep,
)
from coopery.errors import DefinitionError

SHA = "sha256:" + "0" * 64


def definition(**fields):
    return read.from_dict({"base": "scratch", **fields})


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("scratch", ScratchBase()),
        ({"image": "scratch"}, ScratchBase()),
        ({"scratch": True}, ScratchBase()),
        ("ubuntu", ImageBase("ubuntu")),
        ({"image": " ubuntu:24.04 "}, ImageBase("ubuntu:24.04")),
        ("localhost:5000/a/b__c-d.e:1_2.3-X@" + SHA, ImageBase("localhost:5000/a/b__c-d.e:1_2.3-X@" + SHA)),
        ("[::1]:5000/a", ImageBase("[::1]:5000/a")),
        ("Registry.Example/a", ImageBase("Registry.Example/a")),
        ({"layout": "../x", "tag": "v1"}, LayoutBase("../x", "v1")),
        ({"layout": "x"}, LayoutBase("x")),
        ({"archive": "/a/b.tar", "tag": "docker.io/library/a:1"}, ArchiveBase("/a/b.tar", "docker.io/library/a:1")),
        ({"rootfs": "r.tar"}, RootfsBase("r.tar")),
        ({"sif": "i.sif"}, SifBase("i.sif")),
        ({"debian": {"suite": "bookworm"}}, DebianBase("bookworm")),
        (
            {"debian": {"suite": "bookworm", "packages": ["libc6=2.36-9+deb12u9", "g++"], "components": ["main"]}},
            DebianBase("bookworm", ("libc6=2.36-9+deb12u9", "g++")),
        ),
        ({"dockerfile": "Dockerfile"}, DockerfileBase("Dockerfile")),
        ({"context": "."}, ContextBase(".")),
        ({"context": "docker", "dockerfile": "./gpu/Dockerfile"}, ContextBase("docker", "gpu/Dockerfile")),
    ],
)
def test_bases(written, base):
    assert read.from_dict({"base": written}).base == base


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "found nothing"),
        ([], "found a list"),
        ({}, "exactly one of image, scratch, layout, archive, rootfs, sif, debian, dockerfile, context, found none"),
        ({"image": "a", "dockerfile": "b"}, "found image and dockerfile"),
        ({"image": "a", "context": "b", "dockerfile": "c"}, "found image and context"),
        ({"image": "a", "tag": "v"}, "unknown key 'tag'"),
        ({"scratch": False}, "expected true, found false"),
        ({"scratch": "yes"}, "true or false"),
        ("Ubuntu:24.04", "write ubuntu:24.04"),
        ("docker://ubuntu", "write ubuntu"),
        ("user:pw@host/a", "image reference"),
        ("https://user:pw@host/a", "without credentials"),
        ("-x", "image reference"),
        ("a b", "image reference"),
        ("a:" + "t" * 129, "image reference"),
        ("a@sha256:" + "A" * 64, "image reference"),
        ("0" * 64, "bare image id"),
        ("a/" * 200 + "a", "255 characters"),
        ("a:${TAG}", "variables are not filled in"),
        ({"layout": "-x"}, "write ./-x"),
        ({"archive": "https://x/y.tar"}, "fetch it first"),
        ({"archive": "x", "tag": "-v"}, "a tag"),
        ({"context": ".", "dockerfile": "../x"}, "inside the folder"),
        ({"context": ".", "dockerfile": "/x"}, "inside the folder"),
        ({"debian": {"packages": ["a"]}}, "the key suite"),
        ({"debian": {"suite": "-o", "packages": ["-a", "A", "a=;", "a b"], "components": []}}, "a Debian suite"),
    ],
)
def test_bases_refused(written, words):
    with pytest.raises(DefinitionError) as caught:
        read.from_dict({"base": written})
    assert words in str(caught.value)


def test_a_missing_base_is_named():
    with pytest.raises(DefinitionError, match="expected the key base, found none"):
        read.from_dict({})


def test_steps():
    steps = definition(
        steps=[
            {"run": "a\n\tb\n", "secrets": ["t"], "network": False},
            {"run": ["sh", "-c", "a\nb", ""]},
            {"copy": "./a/../b", "to": "/", "mode": "0755", "owner": "1000:1000"},
            {"copy": ".", "to": "/srv/"},
            {"env": {"A": "", "B": " $A "}},
            {"workdir": "/srv"},
            {"user": "0:0"},
        ]
    ).steps
    assert steps == (
        RunStep("a\n\tb\n", ("t",), False),
        RunStep(("sh", "-c", "a\nb", "")),
        CopyStep("b", "/", 0o755, "1000:1000"),
        CopyStep(".", "/srv/"),
        EnvStep({"A": "", "B": " $A "}),
        WorkdirStep("/srv"),
        UserStep("0:0"),
    )


@pytest.mark.parametrize(
    ("step", "path", "words"),
    [
        ("x", "", "found 'x'"),
        ({}, "", "found none"),
        ({"run": "x", "user": "y"}, "", "found run and user"),
        ({"run": "x", "to": "/y"}, ".to", "unknown key 'to'"),
        ({"runn": "x"}, ".runn", "did you mean run?"),
        ({"run": " \n"}, ".run", "empty string"),
        ({"run": []}, ".run", "empty list"),
        ({"run": ["a", 1]}, ".run[1]", "found the number 1"),
        ({"run": "a\0b"}, ".run", "U+0000"),
        ({"run": "a\rb"}, ".run", "U+000D"),
        ({"run": "a\u2028b"}, ".run", "U+2028"),
        ({"run": "x", "secrets": ["-s"]}, ".secrets[0]", "id of a secret"),
        ({"run": "x", "network": "yes"}, ".network", "true or false"),
        ({"copy": "a"}, "", "the key to"),
        ({"copy": "../a", "to": "/b"}, ".copy", "inside"),
        ({"copy": "a/../../b", "to": "/b"}, ".copy", "inside"),
        ({"copy": "/a", "to": "/b"}, ".copy", "inside"),
        ({"copy": "-a", "to": "/b"}, ".copy", "write ./-a"),
        ({"copy": "a", "to": "b"}, ".to", "absolute"),
        ({"copy": "a", "to": "/b//"}, ".to", "write /b"),
        ({"copy": "a", "to": "/b/../c"}, ".to", "write /c"),
        ({"copy": "a", "to": "//b"}, ".to", "write /b"),
        ({"copy": "a", "to": "/b", "mode": 493}, ".mode", "in quotes"),
        ({"copy": "a", "to": "/b", "mode": "u+x"}, ".mode", "octal"),
        ({"copy": "a", "to": "/b", "mode": "0888"}, ".mode", "octal"),
        ({"copy": "a", "to": "/b", "owner": "root"}, ".owner", "user:group"),
        ({"copy": "a", "to": "/b", "owner": "--x:0"}, ".owner", "user:group"),
        ({"env": {}}, ".env", "empty"),
        ({"env": {"A=B": "c"}}, '.env["A=B"]', "name of a variable"),
        ({"env": {"A\n": "c"}}, '.env["A\\n"]', "control characters"),
        ({"env": {"A": "x\ny"}}, ".env.A", "U+000A"),
        ({"env": {"A": True}}, ".env.A", "found true"),
        ({"workdir": "."}, ".workdir", "absolute"),
        ({"user": "-u 0"}, ".user", "uid"),
        ({"user": 1000}, ".user", 'write it in quotes: "1000"'),
    ],
)
def test_steps_refused(step, path, words):
    with pytest.raises(DefinitionError) as caught:
        definition(steps=[{"run": "true"}, step])
    assert any(p.path == f"$.steps[1]{path}" and words in str(p) for p in caught.value.problems), caught.value


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"name": "-x"}, "$.name", "name of letters"),
        ({"name": "a/b"}, "$.name", "name of letters"),
        ({"name": "x" * 256}, "$.name", "name of letters"),
        ({"version": 3}, "$.version", 'in quotes: "3"'),
        ({"tags": {"a": 1}}, "$.tags.a", "in quotes"),
        ({"tags": {"": "x"}}, '$.tags[""]', "empty"),
        ({"prefix": "opt"}, "$.prefix", "slash"),
        ({"prefix": "/"}, "$.prefix", "for itself"),
        ({"prefix": "/usr"}, "$.prefix", "for itself"),
        ({"prefix": "/etc/env"}, "$.prefix", "for itself"),
        ({"prefix": "/lib64/x"}, "$.prefix", "for itself"),
        ({"prefix": "/opt/../usr"}, "$.prefix", "write /usr"),
        ({"prefix": "/opt/a b"}, "$.prefix", "letters"),
        ({"prefix": "/opt/a:b"}, "$.prefix", "letters"),
        ({"prefix": "/opt/$(id)"}, "$.prefix", "letters"),
        ({"prefix": "/" + "a" * 250}, "$.prefix", "200 characters"),
        ({"target": {"platform": "windows/amd64"}}, "$.target.platform", "linux/amd64"),
        ({"target": {"platform": "linux/arm64/v8"}}, "$.target.platform", "did you mean linux/arm64?"),
        ({"target": {"cuda": 12.4}}, "$.target.cuda", 'in quotes: "12.4"'),
        ({"target": {"cuda": "12.x"}}, "$.target.cuda", "CUDA version"),
        ({"target": {"glibc": "2"}}, "$.target.glibc", "glibc version"),
        ({"target": {"archspec": "--x"}}, "$.target.archspec", "microarchitecture"),
        ({"target": {"gpu": True}}, "$.target.gpu", "unknown key"),
        ({"build": {"arguments": {"A B": "x"}}}, '$.build.arguments["A B"]', "variable"),
        ({"build": {"secrets": ["a b"]}}, "$.build.secrets[0]", "secret"),
        ({"build": {"bytecode": 1}}, "$.build.bytecode", "true or false"),
        ({"runtime": {"shm_size": "big"}}, "$.runtime.shm_size", "size"),
        ({"runtime": {"shm_size": 64}}, "$.runtime.shm_size", "in quotes"),
        ({"runtime": {"workdir": "x"}}, "$.runtime.workdir", "absolute"),
        ({"spark": {}}, "$.spark", "the key packages"),
        ({"spark": {"packages": ["a:b"]}}, "$.spark.packages[0]", "group:artifact:version"),
        ({"spark": {"packages": ["-a:b:1 c"]}}, "$.spark.packages[0]", "group:artifact:version"),
        ({"spark": {"packages": ["a:b:1"], "repositories": ["ftp://x"]}}, "$.spark.repositories[0]", "URL"),
        (
            {"spark": {"packages": ["a:b:1"], "repositories": ["https://u:pw@x/y"]}},
            "$.spark.repositories[0]",
            "without credentials",
        ),
        ({"python": {"user_managed": True}}, "$.python", "interpreter"),
        ({"python": {"interpreter": "/usr/bin/python3"}}, "$.python", "user_managed: true"),
        ({"python": {"user_managed": True, "interpreter": "python3"}}, "$.python.interpreter", "absolute"),
        ({"python": "3.12"}, "$.python", "a mapping"),
        ({"image": "ubuntu"}, "$.image", "write base: {image: REFERENCE}"),
    ],
)
def test_fields_refused(fields, path, words):
    with pytest.raises(DefinitionError) as caught:
        definition(**fields)
    assert any(p.path == path and words in str(p) for p in caught.value.problems), caught.value


def test_who_manages_python_himself_gets_no_packages():
    python = {"user_managed": True, "interpreter": "/usr/bin/python3"}
    assert definition(python=python).interpreter == "/usr/bin/python3"
    assert not definition(python={"user_managed": False}).user_managed
    for name, section in (("pip", ["x"]), ("conda", "e.yml"), ("spark", {"packages": ["a:b:1"]})):
        with pytest.raises(DefinitionError, match=rf"\$\.{name}: expected no {name}.*remove {name}"):
            definition(python=python, **{name: section})


@pytest.mark.parametrize(
    "url", ["https://u:canary@h/simple", "https://canary@h/simple", "https://h/t/canary/x", "https://u:canary pw@h/"]
)
def test_credentials_are_refused_and_never_repeated(url):
    places = [
        {"pip": {"index_url": url}},
        {"pip": {"extra_index_urls": [url], "find_links": [url]}},
        {"pip": [f"--index-url {url}"]},
        {"pip": [f"x @ {url}"]},
        {"pip": [url + ".whl"]},
        {"conda": {"channels": [url], "dependencies": [f"{url}::x"]}},
        {"conda": {"channels": ["a"], "dependencies": [f"x[channel='{url}']"]}},
        {"conda": {"channels": ["a"], "dependencies": [url]}},
        {"base": url},
        {"base": {"archive": url}},
        {"base": "scratch", "prefix": url},
    ]
    for place in places:
        with pytest.raises(DefinitionError) as caught:
            definition(**place)
        assert "canary" not in str(caught.value) + repr(caught.value.problems), place


def test_both_pips_are_refused():
    conda = {"channels": ["a"], "dependencies": ["python", {"pip": ["x"]}]}
    assert definition(conda=conda).pip == Pip(("x",))
    with pytest.raises(DefinitionError, match=r"\$\.pip: expected pip: here or below conda.dependencies, found both"):
        definition(conda=conda, pip=["y"])


HOSTILE = (
    "a\nb", "a\rb", "a\0b", "a\u2028b", "a\x1bb", "a\u202eb", "-x", "--privileged", "$(id)", "`id`", "a;b", "a|b", "@f",
    "a'b", 'a"b', "a\\", "<<EOF", "../../x",
)  # fmt: skip


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_texts_pass_no_grammar(payload):
    """Every field with a grammar, in one definition: as many problems as places."""
    document = {
        "base": payload,
        "name": payload,
        "version": payload,
        "prefix": payload,
        "target": dict.fromkeys(("platform", "cuda", "glibc", "archspec"), payload),
        "build": {"arguments": {payload: "x"}, "secrets": [payload]},
        "runtime": {"env": {payload: "x"}, "shm_size": payload, "workdir": payload},
        "steps": [{"user": payload}, {"workdir": payload}, {"env": {payload: "x"}}, {"run": "x", "secrets": [payload]}],
        "spark": {"packages": [payload], "repositories": [payload]},
        "conda": {"channels": ["a"], "dependencies": [payload]},
        "pip": {"index_url": payload, "no_binary": [payload]},
    }
    with pytest.raises(DefinitionError) as caught:
        read.from_dict(document)
    assert len({problem.path for problem in caught.value.problems}) == 22
    assert all(str(problem).isprintable() for problem in caught.value.problems)
