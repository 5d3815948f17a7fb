from __future__ import annotations

from collections.abc import Callable

import pytest

from coopery.formats import Imported
from formats.samples import SIX, A, B

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]

TEXT = f"""\
lock-version = "1.0"
requires-python = ">=3.11"
environments = ["sys_platform == 'linux'"]
extras = ["fast"]
dependency-groups = ["dev", "docs"]
default-groups = ["dev"]
created-by = "a tool"
tool.when = 2024-12-04T17:35:26Z

[[packages]]
name = "six"
version = "1.17.0"
marker = "'fast' in extras or 'docs' in dependency_groups"
index = "https://index.example.org/simple"
wheels = [
    {{ name = "six-1.17.0-py2.py3-none-any.whl", url = "{SIX}", size = 11050, hashes = {{ sha256 = "{A}" }} }},
    {{ url = "{SIX.replace("1.17.0-", "1.17.0-1-")}", hashes = {{ sha256 = "{B.upper()}" }} }},
]

[packages.sdist]
name = "six-1.17.0.tar.gz"
url = "https://files.example.org/six-1.17.0.tar.gz"
hashes = {{ sha256 = "{B}" }}

[[packages]]
name = "direct"
version = "2.0"
[packages.archive]
url = "https://host.example/direct-2.0-py3-none-any.whl"
hashes = {{ sha256 = "{B}" }}

[[packages]]
name = "source"
version = "1.0"
requires-python = ">=3.12"
[packages.sdist]
url = "https://host.example/source-1.0.tar.gz"
hashes = {{ sha256 = "{B}" }}

[[packages]]
name = "tree"
[packages.vcs]
type = "git"
url = "https://host.example/tree.git"
commit-id = "0123456"
"""


def test_all_wheels_are_listed_with_what_decides_between_them(reading: Reading) -> None:
    found = {one.name: one for one in reading("pylock.toml", TEXT).packages}
    six = found["six"]
    assert [(file.name, file.sha256, file.size) for file in six.files] == [
        ("six-1.17.0-py2.py3-none-any.whl", A, 11050),
        ("six-1.17.0-1-py2.py3-none-any.whl", B, None),
    ]
    assert (six.marker, six.extras, six.groups) == ("'fast' in extras or 'docs' in dependency_groups", (), ("dev",))
    assert (six.source, six.place) == ("https://index.example.org/simple", "pylock.toml:10:1")
    assert (found["direct"].files[0].name, found["direct"].why_not) == ("direct-2.0-py3-none-any.whl", "")
    assert (found["source"].files, found["source"].why_not) == ((), "has no wheel in the lock file, only source")
    assert (found["tree"].version, found["tree"].why_not) == ("", "is a repository")


def test_an_extra_or_a_group_by_name(reading: Reading, problems: Problems) -> None:
    assert reading("pylock.toml", TEXT, environment="Fast").packages[1].extras == ("fast",)
    assert reading("pylock.toml", TEXT, environment="docs").packages[1].groups == ("dev", "docs")
    assert (
        "expected an extra or a group 'x', found fast, dev, docs" in problems("pylock.toml", TEXT, environment="x")[0]
    )


def test_every_mistake_at_once(problems: Problems) -> None:
    broken = TEXT.replace(f'"{A}"', '"12"').replace("https://host.example/direct", "ftp://host.example/direct")
    found = problems("pylock.dev.toml", broken)
    assert [line.split(": ")[0] for line in found] == ["pylock.dev.toml:10:1", "pylock.dev.toml:25:1"]
    assert "64 hexadecimal digits, found '12'" in found[0]
    assert "expected a URL" in found[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lock-version = ", "pylock.toml:1:1: $: expected TOML, found a syntax error: Invalid value"),
        ('lock-version = "2.0"\npackages = []\n', "expected 1.0, found '2.0' (update Coopery)"),
        ('lock-version = "1.0"\n', "expected the key packages, found none"),
        ('lock-version = "1.0"\npackages = 1\n', "expected a list, found the number 1"),
        (
            'lock-version = "1.0"\n[[packages]]\nversion = "1"\n',
            "pylock.toml:2:1: $.packages[0]: expected the key name",
        ),
        ('lock-version = "1.0"\n[[packages]]\nname = "a"\nwheels = [{ path = "x.whl" }]\n', "wheels in folders"),
        ('lock-version = "1.0"\na = ' + "[" * 5000, "expected"),
    ],
)
def test_what_is_no_lock(problems: Problems, text: str, words: str) -> None:
    assert words in problems("pylock.toml", text)[0]
