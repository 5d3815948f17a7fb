"""What scripts in a SIF set: as a shell has it, where that can be told without one, and told where it cannot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery.errors import IntegrityError
from coopery.home import Home
from coopery.sif.base import read_sif
from coopery.sif.environment import read

PLAIN = [
    "export A=1\n# why\nexport B=\"x y\" C='z $A'\n",
    "export A=1; export B=2   # both\n\n\n",
    "A=5\nexport A\nB=6\n",
    "export PATH=/opt/bin:$PATH\nexport PATH=/one:${PATH}\n",
    "export LD_LIBRARY_PATH=/opt/lib:$LD_LIBRARY_PATH\n",
    'export LANG="${LANG:-"C.UTF-8"}"\nexport A=${LANG:-x} B="${NOT-"a b"}" C="${NOT:-}"\n',
    'export KNOWN="${KNOWN:-"other"}" EMPTY="${EMPTY:-"filled"}"\nexport E=${EMPTY-no}\n',
    'export A="a\\"b\\$c\\\\d\\z"\nexport B=a\\ b C=\\"q\\"\n',
    'export A="two\nlines"\nexport B="$A"\n',
    "export A=one\\\ntwo \\\n  B=2\n",
    "export A=1\nunset A\nexport B=$KNOWN\n",
    "export A= B=''\nexport C=a'b'\"c\"d\n",
    "export A=x#y\n",
    'export A="{}()[]*?~;|&<>#"\n',
    "export URL=https://host:80/a,b@c%20=+.-_^\n",
    "export A=ü B='日本'\n",
    "",
]
BEFORE = ["KNOWN=known", "EMPTY="]


def by_a_shell(script: str, folder: Path) -> dict[str, str]:
    (folder / "script.sh").write_text(script)
    start = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    words = ("env", "-i", f"PATH={start}", *BEFORE, "/bin/sh", "-c", '. "$1"; exec env -0', "sh")
    done = subprocess.run([*words, folder / "script.sh"], capture_output=True, check=True)
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, value in found.items() if name not in ("PWD", "OLDPWD", "_")}


@pytest.mark.parametrize("script", PLAIN)
@pytest.mark.processes
def test_what_is_plain_is_read_as_a_shell_reads_it(script: str, tmp_path: Path) -> None:
    variables, notes = read(BEFORE, [("90-environment.sh", script.encode())])
    expected = by_a_shell(script, tmp_path)
    if "export PATH" not in script:
        expected.pop("PATH")
    assert dict(entry.split("=", 1) for entry in variables) == expected
    assert notes == []


@pytest.mark.parametrize(
    ("script", "variables", "note"),
    [
        ("export A=$(date)\nexport B=1\n", ["B=1"], "line 1: 'export A=$(date)'"),
        ("export A=`date`\nexport B=1\n", ["B=1"], "line 1: 'export A=`date`'"),
        (". /opt/x.sh\nexport B=1\n", ["B=1"], "line 1: '. /opt/x.sh'"),
        ("export A=$SCRATCH/x B=1\n", [], "line 1: 'export A=$SCRATCH/x B=1'"),
        ("export A=1\nif true; then\nexport A=2\nfi\n", ["A=1"], "line 2 to the end: 'if true; then'"),
        ("f() {\nexport A=2\n}\n", [], "line 1 to the end: 'f() {'"),
        ("[ -d /x ] &&\nexport A=2\n", [], "line 1 to the end: '[ -d /x ] &&'"),
        ("[ -d /x ] && export A=2\nexport B=1\n", ["B=1"], "line 1: '[ -d /x ] && export A=2'"),
        ("cat <<END\nexport A=1\nEND\n", [], "line 1 to the end: 'cat <<END'"),
        ("echo 'a\nexport A=1\n'\n", [], 'line 1 to the end: "echo \'a"'),
        ('export A="open\n', [], "line 1 to the end: 'export A=\"open'"),
        ("return\nexport A=1\n", [], "line 1 to the end: 'return'"),
        ("A=1 program\nexport B=1\n", ["B=1"], "line 1: 'A=1 program'"),
        ("export A=/x/*.so\n", [], "line 1: 'export A=/x/*.so'"),
        ("export A=~/x\n", [], "line 1: 'export A=~/x'"),
        ("export A=${B%x}\n", [], "line 1: 'export A=${B%x}'"),
        ("export A='x y'\nexport B=$A\n", ["A=x y"], "line 2: 'export B=$A'"),
        ("export A=1\r\n", [], "line 1: 'export A=1\\r'"),
        ("export -p\n", [], "line 1: 'export -p'"),
        ("export A=1 && x\n", [], "line 1: 'export A=1 && x'"),
    ],
)
def test_what_is_not_plain_is_told_and_not_guessed(script: str, variables: list[str], note: str) -> None:
    assert read([], [("90.sh", script.encode())]) == (variables, [f"90.sh, {note}"])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"export A=1\0\n"])
def test_what_is_no_text_is_told(content: bytes) -> None:
    assert read(["B=1"], [("90.sh", content)]) == (["B=1"], ["90.sh: no text"])


def test_scripts_follow_one_another_and_home_is_left_alone() -> None:
    scripts = [("10.sh", b"export A=1 HOME=/root\n"), ("90.sh", b"export A=${A}2\nexport A\n")]
    assert read(["A=0", "Z=1"], scripts) == (["A=12", "Z=1"], [])


# --- in a file ------------------------------------------------------------------------------------


@pytest.fixture
def scripted(sif: Callable[..., Path], make: SimpleNamespace) -> Callable[..., Path]:
    """A SIF with scripts, and a config with variables where one is given."""

    def write(scripts: dict[str, bytes], env: list[str] | None = None) -> Path:
        members = [("etc", make.folder()), (".singularity.d", make.folder()), (".singularity.d/env", make.folder())]
        members += [(f".singularity.d/env/{name}", {"mode": 0o755, "content": text}) for name, text in scripts.items()]
        return sif(members, config=json.dumps({"Env": env}).encode() if env is not None else None)

    return write


def variables_of(path: Path, home: Home, told: list[str]) -> list[str] | None:
    image = read_sif(path, "linux/amd64", home.blobs, warn=told.append)
    found: list[str] | None = image.document["config"].get("Env")
    return found


@pytest.mark.needs("mksquashfs")
@pytest.mark.processes
def test_variables_of_the_scripts_come_to_those_of_the_config(scripted: Callable[..., Path], home: Home) -> None:
    told: list[str] = []
    scripts = {
        "90-environment.sh": b"#!/bin/sh\n\nexport COLOR=red\nexport PATH=/opt/bin:$PATH\n",
        "10-docker2singularity.sh": b'#!/bin/sh\nexport PATH="/usr/bin"\nexport SIZE="${SIZE:-"1 2"}"\n',
        "99-base.sh": b"if true; then export COLOR=never; fi\n",
        "notes.txt": b"export COLOR=never\n",
    }
    path = scripted(scripts, ["PATH=/usr/bin", "SIZE=1 2"])
    assert variables_of(path, home, told) == ["PATH=/opt/bin:/usr/bin", "SIZE=1 2", "COLOR=red"]
    assert variables_of(scripted(scripts), home, told) == ["PATH=/opt/bin:/usr/bin", "SIZE=1 2", "COLOR=red"]
    assert told == []


@pytest.mark.needs("mksquashfs")
@pytest.mark.processes
def test_one_warning_names_the_file_and_what_to_do(scripted: Callable[..., Path], home: Home) -> None:
    told: list[str] = []
    path = scripted({"90-environment.sh": b". /x\n" * 9, "91-environment.sh": b"\xff"}, ["A"])
    assert variables_of(path, home, told) == ["A="]
    (words,) = told
    assert words.startswith(f"{path}: ")
    assert "env step" in words
    assert "90-environment.sh, line 5: '. /x'; …" in words


@pytest.mark.needs("mksquashfs")
@pytest.mark.processes
def test_scripts_without_end_are_refused(scripted: Callable[..., Path], home: Home) -> None:
    with pytest.raises(IntegrityError, match="more than 1048576 bytes"):
        variables_of(scripted({"90-environment.sh": b"#" * (1 << 20) + b"\n"}), home, [])
