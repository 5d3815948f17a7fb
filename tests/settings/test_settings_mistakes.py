"""Every mistake is told at once, with its line, what was expected, and nothing secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import SettingsError, UsageError
from coopery.settings.lines import line_of
from settings.conftest import Machine


def problems(machine: Machine) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        machine.load()
    assert isinstance(caught.value, UsageError)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def test_all_files_and_variables_at_once(machine: Machine) -> None:
    machine.system("backend = 3\n")
    machine.user('\ncompresion = "zstd"\nindex_url = "pypi"\n\n[channels]\nconda-forge = 1\n')
    machine.environ["COOPERY_MOVED_BASE"] = "stay"
    told = problems(machine)
    assert told[0] == f"{machine.system_file}:1: backend: expected a string, got 3"
    assert told[1].startswith(f"{machine.user_file}:2: compresion: unknown setting; known are backend, ")
    assert told[1].endswith("(did you mean compression?)")
    assert told[2] == (f"{machine.user_file}:3: index_url: expected a URL with https://, http://, file://, got 'pypi'")
    assert told[3] == f"{machine.user_file}:6: channels.conda-forge: expected a string, got 1"
    assert told[4] == "$COOPERY_MOVED_BASE: expected keep or rebuild, got 'stay'"
    assert len(told) == 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("compression = 'lzma'", "compression: expected gzip or zstd, got 'lzma'"),
        ("compression = 'gzp'", "(did you mean gzip?)"),
        ("plain_http = 'host'", "plain_http: expected a list of strings, got 'host'"),
        ("plain_http = ['http://host']", "expected a registry as host or host:port"),
        ("plain_http = [1]", "expected a string, got 1"),
        ("channels = ['x']", "channels: expected a table of strings"),
        ("channels = {'a b' = '/x'}", "expected a channel as definitions name it"),
        ("channels = {a = 'ftp://x/y'}", "expected a URL with"),
        ("indexes = {pypi = 'https://x/simple'}", "expected a URL with"),
        ("registries = {'https://docker.io' = 'm'}", "expected a registry as host or host:port"),
        ("registries = {'docker.io' = 'https://m'}", "expected a registry as host[:port][/path]"),
        ("registries = {'docker.io' = 'm/../x'}", "expected a registry as host[:port][/path]"),
        ("proxy = 'socks5://h:1'", "expected a URL with http://, https://"),
        ("proxy = 'http://'", "expected a URL with a host"),
        ("proxy = 'http://h:99999'", "expected a URL"),
        ("index_url = 'https://h/a b'", "expected a URL"),
        ("index_url = 'https://-h/'", "expected a URL with a host"),
        ("cache = 'records'", "expected a cache store"),
        ("backend = '--privileged'", "expected the name of a backend"),
        ('no_proxy = "a\\u0000b"', "without control characters"),
        ('home = "a\\nb"', "without control characters"),
        ("home = ''", "home: expected a string, got ''"),
        ("home = true", "home: expected a string, got True"),
        ("trusted_projects = 'x'", "expected a list of strings"),
    ],
)
def test_values(machine: Machine, text: str, told: str) -> None:
    path = machine.user(f"# one line before\n{text}\n")
    (line,) = problems(machine)
    assert line.startswith(f"{path}:2: ")
    assert told in line


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "[x", "\ud800", "x = [" * 100_000])
def test_what_is_no_toml(machine: Machine, text: str) -> None:
    machine.user_file.parent.mkdir(parents=True)
    machine.user_file.write_bytes(text.encode("utf-8", "surrogatepass"))
    (line,) = problems(machine)
    assert line.startswith(f"{machine.user_file}: settings: cannot be read as TOML")


def test_a_file_without_end(machine: Machine) -> None:
    machine.user("#" * (2 << 20))
    assert "larger than" in problems(machine)[0]


@pytest.mark.parametrize(
    "text",
    [
        "proxy = 'socks5://ada:canary@h:1'",
        "proxy = 'http://ada:can/ary:canary@h:1'",
        "index_url = 'ftp://ada:canary@h/simple'",
        "index_url = 'https://ada:canary@h/a b'",
        "channels = {x = 'ftp://h/t/canary/x'}",
        "channels = {'https://ada:canary@h/ x' = '/x'}",
        "index_url = ['https://ada:canary@h/x']",
        "'https://ada:canary@h/x' = 1",
    ],
)
def test_messages_show_no_secret(machine: Machine, text: str) -> None:
    machine.user(text + "\n")
    assert "canary" not in "\n".join(problems(machine))


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["channels", "indexes", "registries", "x", "y z", "ü", "a.b"]),
        st.one_of(st.integers(), st.dictionaries(st.sampled_from(["a", "b-c", "https://x/y", "ü"]), st.integers())),
        max_size=5,
    )
)
def test_lines_are_found(document: dict[str, Any]) -> None:
    """Written in one way, found again: scalars first, then a table each."""
    scalars = {name: value for name, value in document.items() if not isinstance(value, dict)}
    lines = ["# a comment = 1", *(f'"{name}" = {value}' for name, value in scalars.items())]
    at: dict[tuple[str, ...], int] = {(name,): 2 + number for number, name in enumerate(scalars)}
    for name, table in document.items():
        if isinstance(table, dict):
            lines += ["", f'["{name}"]  # = ']
            at[name,] = len(lines)
            for key, value in table.items():
                lines.append(f"'{key}' = {value}")
                at[name, key] = len(lines)
    assert {keys: line_of("\n".join(lines), keys) for keys in at} == at


def test_the_line_of_an_inline_table_and_of_nothing() -> None:
    assert line_of("x = 1\nchannels = {a = 1, b = 2}", ("channels", "b")) == 2
    assert line_of("x = 1", ("y",)) == 0
