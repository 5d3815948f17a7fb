"""The parts of resolving that are pure: requirements, machines, pages, sources, stubs, uv's argv."""

from __future__ import annotations

import json
import string
import zipfile
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import parse_tag

from coopery.definition import Pip
from coopery.errors import ResolveError
from coopery.settings import Settings
from coopery.target import Distribution, Facts, Provided
from coopery.wire.login import Logins
from coopery_pip import page, pip_config, pylock, stubs, uv
from coopery_pip.access import Access
from coopery_pip.machine import Machine, machine
from coopery_pip.requirement import parse, parse_all
from coopery_pip.sources import sources
from pip_resolve.conftest import TARGET

HERE = Machine("3.12.4", "x86_64", 36)
SHA = "0" * 64


# --- requirements ----------------------------------------------------------------------------------


def test_a_requirement_with_everything() -> None:
    wanted = parse(f"Zope.Interface[test] >=5,<6 ; python_version >= '3.8' --hash=sha256:{SHA} --hash=sha512:ff")
    assert wanted.name == "zope-interface"
    assert wanted.hashes == (f"sha256:{SHA}", "sha512:ff")
    assert wanted.allows("5.1")
    assert not wanted.allows("6.0")
    assert wanted.public == 'Zope.Interface[test]<6,>=5; python_version >= "3.8"'


@pytest.mark.parametrize(
    ("text", "name", "url", "hashes"),
    [
        (
            f"https://h/a%2Bb/My_Pkg-1.0%2Bcu1-py3-none-any.whl#sha256={SHA}",
            "my-pkg",
            "https://h/a%2Bb/My_Pkg-1.0%2Bcu1-py3-none-any.whl",
            (f"sha256:{SHA}",),
        ),
        ("p @ http://h/p-1-py3-none-any.whl ; sys_platform == 'linux'", "p", "http://h/p-1-py3-none-any.whl", ()),
        ("https://h/p-1-py3-none-any.whl; sys_platform == 'linux'", "p", "https://h/p-1-py3-none-any.whl", ()),
        ("https://h/p-1-py3-none-any.whl ; sys_platform == 'linux'", "p", "https://h/p-1-py3-none-any.whl", ()),
    ],
)
def test_urls(text: str, name: str, url: str, hashes: tuple[str, ...]) -> None:
    wanted = parse(text)
    assert (wanted.name, wanted.url, wanted.hashes) == (name, url, hashes)
    assert wanted.applies(HERE.markers)


@pytest.mark.parametrize(
    "text",
    [
        "a @ https://h/b-1-py3-none-any.whl",
        "a @ file:///a-1-py3-none-any.whl",
        "a @ https://h/a.whl",
        "a >>= 1",
        "https://h/a.exe",
        "a @ https://h/a.deb",
        "hg+https://h/a@1234567",
        "git+file:///a@1234567",
        "git+ext::sh@1234567",
    ],
)
def test_requirements_that_cannot_be(text: str) -> None:
    with pytest.raises(ResolveError) as caught:
        parse(text)
    assert caught.value.requirements == (text,)


@pytest.mark.parametrize(
    ("text", "name", "url", "guessed"),
    [
        ("git+https://h/o/some.name.git@v1", "some-name", "git+https://h/o/some.name.git@v1", True),
        ("git+ssh://git@h/o/n@v1#egg=Foo&subdirectory=a/b", "foo", "git+ssh://git@h/o/n@v1#subdirectory=a/b", True),
        ("x[e] @ git+https://h/o/n@v1", "x", "git+https://h/o/n@v1", False),
        ("https://h/b_c-1.0.tar.gz#sha256=00", "b-c", "https://h/b_c-1.0.tar.gz", True),
        ("b @ https://h/x.zip?a=b#subdirectory=y", "b", "https://h/x.zip?a=b#subdirectory=y", False),
        ("git+https://h/@v1", "unnamed", "git+https://h/@v1", True),
    ],
)
def test_sources(text: str, name: str, url: str, guessed: bool) -> None:
    wanted = parse(text)
    assert (wanted.name, wanted.url, wanted.guessed, wanted.is_source) == (name, url, guessed, True)
    known = wanted.called("True-Name")
    assert (known.name, known.url, known.guessed) == ("true-name", url, False)
    assert known.requirement.extras == wanted.requirement.extras


def test_all_of_them_at_once() -> None:
    with pytest.raises(ResolveError) as caught:
        parse_all(["svn+https://h/a@1234567", "fine", "b @ https://h/b.rar"])
    assert len(caught.value.requirements) == 2


# --- machines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glibc", "name"),
    [(12, "17"), (17, "17"), (27, "17"), (28, "28"), (30, "28"), (31, "31"), (40, "40"), (44, "40"), (None, "17")],
)
def test_uv_never_hears_of_a_newer_glibc(glibc: int | None, name: str) -> None:
    assert evolve(HERE, glibc=glibc).uv_platform == f"x86_64-manylinux_2_{name}"


@given(st.integers(5, 60), st.integers(5, 60))
def test_a_wheel_runs_where_glibc_is_no_older(needs: int, has: int) -> None:
    rank = Machine("3.12.4", "x86_64", has).rank(parse_tag(f"cp312-cp312-manylinux_2_{needs}_x86_64"))
    assert (rank is not None) == (needs <= has)


@pytest.mark.parametrize(
    ("tag", "runs"),
    [
        ("cp312-abi3-manylinux2014_x86_64", True),
        ("cp38-abi3-manylinux_2_17_x86_64", True),
        ("cp313-abi3-manylinux_2_17_x86_64", False),
        ("cp311-cp311-manylinux_2_17_x86_64", False),
        ("cp312-cp312t-manylinux_2_17_x86_64", False),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("cp312-cp312-linux_x86_64", True),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-manylinux_2_17_aarch64", False),
        ("cp312-cp312-win_amd64", False),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", False),
    ],
)
def test_which_wheels_run(tag: str, runs: bool) -> None:
    assert (HERE.rank(parse_tag(tag)) is not None) == runs


def test_without_a_c_library_only_pure_wheels_run() -> None:
    bare = evolve(HERE, glibc=None)
    assert bare.rank(parse_tag("py3-none-any")) is not None
    assert bare.rank(parse_tag("cp312-cp312-manylinux_2_17_x86_64")) is None
    assert bare.rank(parse_tag("cp312-cp312-linux_x86_64")) is None


@pytest.mark.parametrize(
    ("provided", "facts", "expected"),
    [
        (Provided(python="3.12.4"), Facts(python_version="3.11"), "3.12.4"),
        (Provided(), Facts(python_version="3.11", python_release="3.11.2"), "3.11.2"),
        (Provided(), Facts(python_version="3.11"), "3.11"),
    ],
)
def test_whose_python(provided: Provided, facts: Facts, expected: str) -> None:
    assert machine(evolve(TARGET, facts=facts), provided).python == expected


@pytest.mark.parametrize(
    ("provided", "platform", "words"),
    [
        (Provided(), "linux/amd64", "no Python"),
        (Provided(python="2.7.18"), "linux/amd64", "Python 2.7.18"),
        (
            Provided(python="3.13.0", site_packages="/opt/env/lib/python3.13t/site-packages"),
            "linux/amd64",
            "free-threaded",
        ),
        (Provided(python="3.12.4"), "linux/s390x", "linux/s390x"),
    ],
)
def test_no_wheels_for(provided: Provided, platform: str, words: str) -> None:
    with pytest.raises(ResolveError, match=words):
        machine(evolve(TARGET, platform=platform), provided)


# --- pages ----------------------------------------------------------------------------------------


def test_html() -> None:
    text = f"""<base href="https://files.example.org/x/">
    <a href="a-1-py3-none-any.whl#sha256={SHA.upper()}" data-requires-python="&gt;=3.8">whatever</a>
    <A HREF="/y/a-2.tar.gz#md5=00" data-yanked="">a</A>
    <a href="javascript:alert(1)">x</a><a href="file:///etc/a-1-py3-none-any.whl">x</a><a>no</a>"""
    assert page.parse(text.encode(), "text/html; charset=utf-8", "https://index.example.org/simple/a/") == (
        page.Link(
            "a-1-py3-none-any.whl", "https://files.example.org/x/a-1-py3-none-any.whl", SHA, requires_python=">=3.8"
        ),
        page.Link("a-2.tar.gz", "https://files.example.org/y/a-2.tar.gz", yanked=True),
    )


@pytest.mark.parametrize(
    "name", ["../a-1-py3-none-any.whl", "a/b.whl", "", "..", "a\n.whl", "-a.whl", "a\0.whl", ".hidden.whl", "ä.whl"]
)
def test_hostile_names_are_left_out(name: str) -> None:
    entry = {"filename": name, "url": "https://h/x", "hashes": {"sha256": SHA}}
    assert (
        page.parse(json.dumps({"files": [entry]}).encode(), "application/vnd.pypi.simple.v1+json", "https://h/") == ()
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1}', '{"files": [1]}', '{"files": [{}]}', "[" * 100_000])
def test_json_of_another_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"no JSON|expected"):
        page.parse(text.encode(), "application/json", "https://h/")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page_or_a_value_error(data: bytes) -> None:
    for kind in ("text/html", "application/json"):
        try:
            links = page.parse(data, kind, "https://h/")
        except ValueError:
            continue
        assert all("/" not in link.file_name for link in links)


@given(st.text(string.printable, max_size=80))
def test_any_address_is_absolute_or_left_out(address: str) -> None:
    data = json.dumps({"files": [{"filename": "a-1-py3-none-any.whl", "url": address}]}).encode()
    try:
        links = page.parse(data, "application/json", "https://h/simple/a/")
    except ValueError:
        return
    assert all(link.url.startswith(("https://", "http://")) for link in links)


# --- sources --------------------------------------------------------------------------------------


def settings(**values: object) -> Settings:
    return Settings(home=Path("/home-of-tests"), **values)  # type: ignore[arg-type]


def test_sources_by_name(tmp_path: Path) -> None:
    content = Pip(extra_index_urls=("https://b/simple/",), find_links=("./wheels", "https://c/page"))
    mapped = settings(indexes={"https://b/simple": "https://mirror/b", "https://c/page": "/srv/page"})
    found = sources(content, tmp_path, mapped, lambda: "https://default/simple")
    assert [(one.name, one.url, one.kind) for one in found] == [
        ("./wheels", (tmp_path / "wheels").as_uri(), "links"),
        ("https://c/page", "file:///srv/page", "links"),
        ("https://b/simple", "https://mirror/b", "index"),
        ("pypi", "https://default/simple", "index"),
    ]


def test_the_index_of_the_settings_is_the_default() -> None:
    (found,) = sources(Pip(), Path(), settings(index_url="https://me:pw@corp/simple"), lambda: pytest.fail("not asked"))
    assert (found.name, found.url) == ("pypi", "https://me:pw@corp/simple")
    assert "pw" not in repr(found)


def test_the_index_of_the_definition_goes_first() -> None:
    (found,) = sources(Pip(index_url="https://own/simple/"), Path(), settings(index_url="https://corp/simple"))
    assert (found.name, found.url) == ("https://own/simple", "https://own/simple/")


@pytest.mark.processes
def test_pips_configuration(tmp_path: Path) -> None:
    user = tmp_path / ".config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text("[global]\nindex-url = https://user.example.org/simple\nextra-index-url = https://x\n")
    chosen = tmp_path / "chosen.conf"
    chosen.write_text("[install]\nindex_url=https://chosen.example.org/simple\n[global]\nindex-url=https://no\n")
    home = {"HOME": str(tmp_path)}
    assert pip_config.index_url(home) == "https://user.example.org/simple"
    assert pip_config.index_url({**home, "PIP_CONFIG_FILE": str(chosen)}) == "https://chosen.example.org/simple"
    assert pip_config.index_url({**home, "PIP_CONFIG_FILE": "/dev/null"}) == pip_config.builtin()
    assert pip_config.index_url({**home, "PIP_INDEX_URL": "https://variable"}) == "https://variable"
    user.write_text("no ini at all\n")
    assert "user.example.org" not in pip_config.index_url(home)


# --- stubs ----------------------------------------------------------------------------------------


def test_a_stub_has_metadata_and_nothing_else(tmp_path: Path) -> None:
    found = Distribution(
        "Foo.Bar",
        "1.0.post2",
        ("x",),
        ("speed>=1 ; extra == 'x'", "bad requirement @@", "b @ https://h/b.whl ; extra == 'x'"),
    )
    (line,) = stubs.write([found, Distribution("odd", "not a version")], tmp_path / "stubs")
    name, _, url = line.partition(" @ ")
    path = tmp_path / "stubs" / "foo_bar-1.0.post2-py3-none-any.whl"
    assert (name, url) == ("foo-bar", path.as_uri())
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 3
        text = archive.read("foo_bar-1.0.post2.dist-info/METADATA").decode()
    assert text.splitlines()[1:] == [
        "Name: foo-bar",
        "Version: 1.0.post2",
        "Provides-Extra: x",
        "Requires-Dist: speed>=1 ; extra == 'x'",
    ]
    first = path.read_bytes()
    stubs.write([found], tmp_path / "again")
    assert (tmp_path / "again" / path.name).read_bytes() == first


# --- uv -------------------------------------------------------------------------------------------


def test_no_credential_is_on_uvs_command_line(tmp_path: Path) -> None:
    content = Pip(find_links=("https://links.example.org/page",), extra_index_urls=("https://b.example.org/simple",))
    mapped = settings(
        index_url="https://me:canary1@a.example.org/simple",
        indexes={
            "https://b.example.org/simple": "https://you:canary2@m.example.org/simple",
            "https://links.example.org/page": "https://us:canary,3@l.example.org/page",
        },
    )
    found = sources(content, tmp_path, mapped)
    question = uv.Question(tmp_path, ["a"], [], found, HERE)
    argv = uv.arguments(question, tmp_path / "cache")
    assert "canary" not in " ".join(argv)
    assert not any("@" in word for word in argv)
    variables = uv._variables(
        question, Access(found, logins=Logins({}, keyring=False, urls=[one.url for one in found]))
    )
    assert variables["UV_INDEX_COOPERY1_PASSWORD"] == "canary1"  # noqa: S105 - made up
    assert variables["UV_INDEX_COOPERY0_PASSWORD"] == "canary2"  # noqa: S105 - made up
    assert variables["UV_FIND_LINKS"] == "https://us:canary%2C3@l.example.org/page"


def test_uv_builds_nothing_and_reads_no_configuration(tmp_path: Path) -> None:
    argv = uv.arguments(uv.Question(tmp_path, ["a"], [], sources(Pip(), tmp_path, settings()), HERE), tmp_path)
    assert {"--no-build", "--no-config", "--no-python-downloads", "--keyring-provider=disabled"} <= set(argv)


def test_uvs_words_name_no_folder_of_ours(tmp_path: Path) -> None:
    words = f"error: No solution\n  cause: because {tmp_path.as_uri()}/stubs/x.whl\n\nhint: try `--no-build`\n"
    assert uv.cleaned(words, tmp_path) == "No solution\nbecause /stubs/x.whl"


def test_an_answer(tmp_path: Path) -> None:
    answer = tmp_path / "pylock.toml"
    answer.write_text(
        'lock-version = "1.0"\n[[packages]]\nname = "A.b"\nversion = "1"\n'
        f'wheels = [{{ url = "https://h/a_b-1%2Bx-py3-none-any.whl", size = 3, hashes = {{ sha256 = "{SHA}" }} }}]\n'
        '[[packages]]\nname = "c"\nversion = "2"\narchive = { path = "x.whl" }\n'
    )
    first, second = pylock.read(answer)
    assert first == pylock.Package(
        "a-b", "1", (pylock.File("a_b-1+x-py3-none-any.whl", "https://h/a_b-1%2Bx-py3-none-any.whl", SHA, 3),)
    )  # type: ignore[arg-type]
    assert second.direct


@pytest.mark.parametrize(
    "text", ["packages = 1", "[[packages]]\nversion='1'", "[[packages]]\nname='a'\nwheels=[1]", "= ="]
)
def test_no_answer(tmp_path: Path, text: str) -> None:
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(ValueError, match=r"pylock|statement|Invalid"):
        pylock.read(tmp_path / "pylock.toml")
