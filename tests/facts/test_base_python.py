from __future__ import annotations

import pytest

from coopery.facts import python


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            {"/usr/bin/python3": "python3.11", "/usr/bin/python3.11": b"x", "/usr/lib/python3.11/os.py": b""},
            ("/usr/bin/python3", "3.11"),
        ),
        (
            {"/usr/local/bin/python3": b"x", "/usr/local/lib/python3.12/os.py": b"", "/usr/local/lib/python3/x": b""},
            ("/usr/local/bin/python3", "3.12"),
        ),
        (
            {
                "/usr/local/bin/python3": b"a wrapper without a library",
                "/usr/bin/python3": "/etc/alternatives/python3",
                "/etc/alternatives/python3": "/usr/bin/python3.9",
                "/usr/bin/python3.9": b"x",
                "/usr/lib/python3.9/os.py": b"",
            },
            ("/usr/bin/python3", "3.9"),
        ),
        ({"/usr/bin/python3": b"x", "/usr/lib/python3.9/os.py": b"", "/usr/lib/python3.11/os.py": b""}, (None, None)),
        ({"/usr/bin/python3.11": b"x", "/usr/bin/python3": "python3.11"}, (None, None)),
        ({"/usr/bin/python3": "python3"}, (None, None)),
        ({"/usr/bin/python3": None}, (None, None)),
        ({}, (None, None)),
    ],
    ids=["debian", "official image", "alternatives", "two libraries", "no library", "loop", "folder", "none"],
)
def test_the_bases_own_python(image, paths, expected):
    assert python.interpreter(image(paths)) == expected
