"""Files by strangers: bombs, pipes, names that lead elsewhere."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.errors import LockFileError
from coopery.formats import Imported, Wanted, read
from coopery.formats.fields import MOST_BYTES
from formats.samples import ZLIB, A

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]

_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
BOMBS = {
    "aliases": ("pixi.lock", f"version: 6\nenvironments: {{}}\npackages: []\n{_ALIASES}"),
    "yaml depth": ("conda-lock.yml", "version: 1\npackage: " + "[" * 50_000 + "\n"),
    "toml depth": ("pylock.toml", 'lock-version = "1.0"\nx = ' + "[" * 50_000 + "\n"),
    "toml dots": ("pylock.toml", 'lock-version = "1.0"\n' + ".".join(["a"] * 30_000) + " = 1\n"),
    "long line": ("a.lock", "@EXPLICIT\n" + "x" * 100_000 + "\n"),
    "too long": ("a.lock", "@EXPLICIT\n" + "#\n" * (MOST_BYTES // 2)),
    "empty": ("pixi.lock", "\n\n"),
    "binary": ("pixi.lock", b"\x7fELF\x00\x01"),
    "not utf-8": ("pixi.lock", b"version: \xff\n"),
    "a list": ("pixi.lock", "- environments:\n"),
    "two documents": ("pixi.lock", "version: 6\nenvironments: {}\npackages: []\n---\nversion: 6\n"),
    "a tag": ("pixi.lock", "version: !!python/object/apply:os.system [x]\nenvironments: {}\npackages: []\n"),
    "a key twice": ("pixi.lock", "version: 6\nversion: 6\nenvironments: {}\npackages: []\n"),
    "many mistakes": ("a.lock", "@EXPLICIT\n" + "x\n" * 5_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_soon_and_in_little_room(problems: Problems, name: str) -> None:
    file, text = BOMBS[name]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = problems(file, text)
    assert found[0].startswith(file)
    assert len(found) <= 200
    assert time.process_time() - start < 20, "as long as its input, not as its square"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


@pytest.mark.usefixtures("reading")  # it is in a folder of its own
def test_what_is_no_file() -> None:
    os.mkfifo("pipe")
    os.mkdir("folder")
    for name, words in (("pipe", "regular file"), ("folder", "found a folder"), ("absent", "found none")):
        with pytest.raises(LockFileError, match=words):
            read(name, Wanted("linux/amd64"))


def test_a_file_in_no_form(problems: Problems) -> None:
    assert problems("notes.txt", "hello\n") == [
        "notes.txt: $: expected a lock file (pixi, conda-lock, explicit, pylock, requirements), found something else"
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("uv.lock", "version = 1\n", "uv export --format pylock.toml"),
        ("poetry.lock", '[metadata]\nlock-version = "2.0"\n', "poetry export"),
        ("deep/Pipfile.lock", '{"_meta": {}}\n', "pipenv requirements --hash"),
        ("environment.lock", "# ours\nlock-file: coopery.lock-file.v1\n", "coopery build --lock FILE"),
        ("environment.yml", "channels: [a]\ndependencies: [b]\n", "not which exact packages"),
        ("requirements.txt", "six==1.16.0\nuvicorn[standard] >= 0.3\n", "--generate-hashes"),
    ],
)
def test_a_file_in_no_form_that_people_try(problems: Problems, name: str, text: str, words: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    (problem,) = problems(name, text)
    assert "found something else (" in problem
    assert words in problem


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example/forge/linux-64/../../x-1-0.conda",
        "https://host.example/forge/linux-64/x-1-0.conda/",
        "https://host.example/linux-64/x-1-0.conda%00",
        "https://host.example/forge/linux-64/-x-1-0.conda",
        "https://host.example/forge/linux-64/x y-1-0.conda",
        "https:///forge/linux-64/x-1-0.conda",
        "https://[::1/forge/linux-64/x-1-0.conda",
        "javascript://host/forge/linux-64/x-1-0.conda",
        "https://host.example/forge/linux-64/x-$(id)-0.conda",
        "https://host.example/forge/linux-64/x-1-0.conda\u202e",
        "//host.example/forge/linux-64/x-1-0.conda",
    ],
)
def test_urls_that_mean_something_else(problems: Problems, url: str) -> None:
    assert "a.lock:2:" in problems("a.lock", f"@EXPLICIT\n{url}\n")[0]


def test_a_password_is_in_no_message(problems: Problems) -> None:
    found = problems("a.lock", "@EXPLICIT\nhttps://me:hunter2@host.example/t/tok-123/linux-64/zlib\n")
    assert "hunter2" not in "".join(found)
    assert "tok-123" not in "".join(found)


def test_an_entry_cannot_say_another_name_than_its_file(reading: Reading) -> None:
    """As in rattler, a name that is written wins; the file that is fetched is the one whose sha256 is written."""
    text = (
        f"version: 6\nenvironments:\n  default:\n    packages:\n      linux-64:\n      - conda: {ZLIB}\n"
        f"packages:\n- conda: {ZLIB}\n  name: other\n  sha256: {A}\n"
    )
    listed = reading("pixi.lock", text).packages[0]
    assert (listed.name, listed.files[0].name, listed.files[0].sha256) == ("other", "zlib-1.3.1-hb9d3cd8_2.conda", A)
