from __future__ import annotations

from collections.abc import Callable

import pytest

from coopery.exchange import Located
from coopery.formats import Imported, Outline, write
from coopery.lock import Artifact
from formats.samples import MD5, SIX, TZDATA, ZLIB, A, B, C

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]


def test_urls_with_every_kind_of_hash(reading: Reading) -> None:
    text = (
        f"# This file may be used to create an environment\n# platform: linux-64\n\n@EXPLICIT\n{ZLIB}#{MD5}\n"
        f"{TZDATA}#sha256:{A}\n{ZLIB.replace('zlib-', 'zlib-ng-')}#{B}\n{ZLIB.replace('zlib-', 'none-')}\n"
    )
    found = reading("conda-linux-64.lock", text)
    assert (found.form, found.kinds) == ("explicit", ("conda",))
    assert [(one.name, one.files[0].md5, one.files[0].sha256) for one in found.packages] == [
        ("none", "", ""),
        ("tzdata", "", A),
        ("zlib", MD5, ""),
        ("zlib-ng", "", B),
    ]
    assert found.packages[1].place == "conda-linux-64.lock:6:1"


def test_conda_locks_hidden_wheels_are_not_lost(reading: Reading, problems: Problems) -> None:
    text = f"@EXPLICIT\n{ZLIB}#{MD5}\n# pip six @ {SIX} --hash=sha256:{C}\n"
    found = reading("a.lock", text)
    assert found.kinds == ("conda", "pip")
    assert (found.of_kind("pip")[0].name, found.of_kind("pip")[0].files[0].sha256) == ("six", C)
    assert reading("a.lock", text, without=frozenset({"six"})).left_out == ("six",)
    assert "a.lock:3:1" in problems("a.lock", text.replace("--hash=sha256", "--hash=sha1"))[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python=3.12", "expected a URL"),
        ("https://host.example/linux-64/zlib.conda", "expected a conda package's URL"),
        ("https://host.example/forge/linux-65/zlib-1-0.conda", "expected a conda package's URL"),
        ("https://host.example/forge/linux-64/..%2fzlib-1-0.conda", "expected a conda package's URL"),
        ("https://host.example/forge/linux-64/zlib-1-0.conda?sig=1", "without a query"),
        ("ssh://host.example/forge/linux-64/zlib-1-0.conda", "expected a URL (https, http, file)"),
        ("https://host.example:x/forge/linux-64/zlib-1-0.conda", "expected a URL"),
        (f"{ZLIB}#sha1:abc", "expected an md5"),
        (ZLIB.replace("linux-64", "win-64"), "found one of win-64"),
    ],
)
def test_lines_that_are_no_packages(problems: Problems, line: str, words: str) -> None:
    found = problems("a.lock", f"@EXPLICIT\n{line}\n")
    assert len(found) == 1
    assert found[0].startswith("a.lock:2:1: ")
    assert words in found[0]


def test_another_platforms_list(problems: Problems) -> None:
    assert problems("a.lock", "# platform: osx-64\n@EXPLICIT\n") == [
        "a.lock:1:1: line 1: expected packages for linux/amd64, found a list for 'osx-64'"
    ]


def test_written_behind_what_they_depend_on_even_in_a_circle() -> None:
    def located(name: str, *depends: str) -> Located:
        artifact = Artifact("conda", name, "1", "0", "linux-64", f"{name}-1-0.conda", "forge", A, 1)
        return Located(artifact, f"https://host.example/forge/linux-64/{name}-1-0.conda", depends=depends)

    packages = (located("a", "c >=1", "b"), located("b", "a"), located("c"), located("d", "absent 1.*"))
    text = write("explicit", Outline("linux/amd64", packages)).decode()
    assert text.splitlines()[:2] == ["# platform: linux-64", "@EXPLICIT"]
    names = [line.rpartition("/")[2].partition("-")[0] for line in text.splitlines()[2:]]
    assert sorted(names) == ["a", "b", "c", "d"]
    assert names.index("c") < names.index("a")
    assert all(line.endswith(f"#sha256:{A}") for line in text.splitlines()[2:])
    assert write("explicit", Outline("linux/amd64", packages[::-1])).decode() == text
