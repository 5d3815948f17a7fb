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


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (b"x\x003.11.2\x00y", "3.11.2"),
        (b"x/opt/python/3.11.2\x00y", "3.11.2"),
        (b"x\x003.11.0rc2+\x00", "3.11.0rc2+"),
        (b"x\x003.11.2\x00\x003.11.3\x00", None),
        (b"x\x0013.11.2\x00 v3.11.2\x00 3.11.2 \x003.11\x003.12.1\x00", None),
        (b"", None),
    ],
    ids=["literal", "folded", "candidate", "two", "others", "empty"],
)
def test_its_whole_version(image, program, expected):
    assert (
        python.release(image({"/usr/bin/python3.11": program}), "/usr/bin/python3.11", "3.11", "linux/amd64")
        == expected
    )


def test_its_whole_version_from_a_shared_library(image):
    files = image({"/usr/local/bin/python3.12": b"x", "/usr/local/lib/libpython3.12.so.1.0": b"\x003.12.7\x00"})
    assert python.release(files, "/usr/local/bin/python3.12", "3.12", "linux/amd64") == "3.12.7"
