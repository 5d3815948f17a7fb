from __future__ import annotations

from collections.abc import Callable

import pytest

from coopery.formats import Imported
from formats.samples import SIX, A, B

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]

TEXT = f"""\
# made by uv
--index-url https://index.example.org/simple
--require-hashes
requests[socks]==2.32.3 ; python_version >= "3.8" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
    # via -r requirements.in
six @ {SIX} --hash=sha256:{B}
Ruamel.YAML===0.18  --hash sha256:{A}  # exactly
"""


def test_pins_with_hashes(reading: Reading) -> None:
    found = reading("requirements.txt", TEXT)
    assert (found.form, found.kinds) == ("requirements", ("pip",))
    assert [(one.name, one.version, one.hashes, one.marker, one.place) for one in found.packages] == [
        ("Ruamel.YAML", "0.18", (A,), "", "requirements.txt:9:1"),
        ("requests", "2.32.3", (A, B), 'python_version >= "3.8"', "requirements.txt:4:1"),
        ("six", "1.17.0", (), "", "requirements.txt:8:1"),
    ]
    assert found.packages[2].files[0].sha256 == B


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"six>=1 --hash=sha256:{A}", "expected NAME==VERSION"),
        (f"six==1.* --hash=sha256:{A}", "expected NAME==VERSION"),
        (f"-e . --hash=sha256:{A}", "found the option"),
        (f"-r other.txt # --hash=sha256:{A}", "found the option"),
        ("six==1 --hash=sha256:12", "64 hexadecimal digits"),
        (f"six==1 --hash=sha512:{A}{A}", "expected --hash=sha256"),
        ("six==1 # no --hash=", "expected --hash=sha256"),
        (f"six @ {SIX} --hash=sha256:{A} --hash=sha256:{B}", "expected one hash of one file"),
        (f"six @ git+https://host.example/six@0123456 --hash=sha256:{A}", "expected"),
        (f"six==1 ; nonsense --hash=sha256:{A}", "expected"),
    ],
)
def test_what_is_no_pin(problems: Problems, line: str, words: str) -> None:
    found = problems("requirements.txt", f"\n{line}\n")
    assert len(found) == 1
    assert found[0].startswith("requirements.txt:2:1: ")
    assert words in found[0]
