"""Wheels made by strangers: what is refused, by the wheel's name and the reason, and that nothing of it stays."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery.errors import PackageError
from coopery.lock import Artifact
from coopery_pip import entry_points
from pip_wheels.conftest import Desk
from pip_wheels.wheels import File, artifact, line, make
from soak import rounds

INFO = "pkg-1.0.dist-info"
Wheel = tuple[Artifact, Path]


def refused(desk: Desk, wheel: Wheel, reason: str) -> None:
    with pytest.raises(PackageError, match=reason) as caught:
        desk.trees(wheel)
    assert caught.value.package == wheel[0].file_name
    home = desk.workshop.home
    assert not list((home / "wheels").glob("*")), "nothing of a refused wheel stays"
    assert not list((home / "staging").glob("*"))


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "pkg/../../evil",
        "/etc/evil",
        "pkg//evil",
        "./evil",
        "pkg/.",
        "..",
        "pkg\\..\\evil",
        "pkg/new\nline",
        "pkg/\x7f",
        "pkg/\x85",
        "pkg/\u2028",
        "pkg-1.0.data/scripts/../../evil",
        "pkg-1.0.data/data//etc/evil",
    ],
)
def test_paths_stay_inside(desk: Desk, tmp_path: Path, name: str) -> None:
    refused(desk, make(tmp_path, {name: "x"}), "leaves the prefix or cannot be a file's name")


def test_a_name_with_a_nul_is_not_cut_off(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path, {"pkg/aXb.py": "x"})
    wheel[1].write_bytes(wheel[1].read_bytes().replace(b"pkg/aXb.py", b"pkg/a\0b.py"))
    refused(desk, wheel, "leaves the prefix or cannot be a file's name")


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/b", "..", ".", "", "new\x85line", "a\\b"])
def test_commands_are_plain_names(desk: Desk, tmp_path: Path, name: str) -> None:
    """CVE-2026-47425."""
    with pytest.raises(ValueError, match=r"expected the name of a command|expected 'module:function'"):
        entry_points.parse(f"[console_scripts]\n{name} = pkg:main\n".replace("\x85", "\x1f"))


@pytest.mark.parametrize(
    "value", ["pkg", "pkg:", ":main", "pkg:main; import os", "pkg:main()", "os.system('x'):a", "pkg:a b", "1pkg:main"]
)
def test_commands_start_functions_and_nothing_else(desk: Desk, tmp_path: Path, value: str) -> None:
    wheel = make(tmp_path, entry_points=f"[console_scripts]\nrun = {value}\n")
    refused(desk, wheel, "expected 'module:function'")


@given(text=st.text(max_size=60))
@settings(max_examples=100)
def test_no_entry_point_puts_code_or_a_path_into_a_script(text: str) -> None:
    try:
        commands = entry_points.parse(f"[console_scripts]\n{text}\n")
    except ValueError:
        return
    for command in commands:
        assert "/" not in command.name
        assert command.name not in (".", "..")
        lines = command.script("/opt/env/bin/python3").decode().splitlines()
        assert len(lines) == 8
        assert lines[4] == f"from {command.module} import {command.attribute.partition('.')[0]}"


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o020644, 0o010644, 0o140755, 0o040755])
def test_there_are_plain_files_only(desk: Desk, tmp_path: Path, mode: int) -> None:
    refused(desk, make(tmp_path, {"pkg/x": File(b"/etc/passwd", mode)}), "is a link or a special file")


def test_what_is_encrypted(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path, {"pkg/secret.py": "x"})
    data = bytearray(wheel[1].read_bytes())
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"pkg/secret.py"))
    data[at + 8] |= 1
    wheel[1].write_bytes(data)
    refused(desk, wheel, "is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(desk: Desk, tmp_path: Path, method: int) -> None:
    refused(desk, make(tmp_path, {"pkg/x": "x"}, method=method), f"compressed by method {method}")


def test_a_name_that_stands_twice(desk: Desk, tmp_path: Path) -> None:
    _, path = make(tmp_path, {"pkg/a.py": "x"})
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("pkg/a.py", "other")
    refused(desk, (artifact(path), path), "stands in it twice")


@pytest.mark.parametrize(
    "files",
    [
        {"x.py": "a", "pkg-1.0.data/purelib/x.py": "b"},
        {"x.py": "a", "pkg-1.0.data/platlib/x.py": "b"},
        {"x.py": "a", "pkg-1.0.data/data/lib/python3.11/site-packages/x.py": "b"},
        {"pkg-1.0.data/data/bin/run": "a"},
        {f"pkg-1.0.data/purelib/{INFO}/RECORD": ",,"},
        {f"pkg-1.0.data/platlib/{INFO}/INSTALLER": "pip"},
    ],
    ids=["purelib", "platlib", "data", "command", "record", "installer"],
)
def test_two_files_for_one_place(desk: Desk, tmp_path: Path, files: dict[str, str]) -> None:
    wheel = make(tmp_path, files, entry_points="[console_scripts]\nrun = pkg:main\n")
    with pytest.raises(PackageError, match="two of its files belong at"):
        list(desk.trees(wheel)[0].entries())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"record": line("pkg/x", b"y")}, "has no hash"),
        ({"record": ""}, "has no hash"),
        ({"record": "pkg/x,,\n"}, "has no hash"),
        ({"record": "a,b\n"}, "RECORD cannot be read"),
        ({"record": 'a,"b\n'}, "RECORD"),
        ({"record": "pkg/x,md5=abc,1\n"}, "has a md5 of 'pkg/x'; expected sha256"),
        ({"record": "pkg/x,sha256=abc,one\n"}, "RECORD cannot be read"),
        ({"record": "pkg/x,sha256=abc,1\npkg/x,sha256=abd,1\n"}, "states two hashes of 'pkg/x'"),
        ({"unlisted": ["pkg/x"]}, r"'pkg/x' is in it, and its RECORD has no hash of that"),
        ({"record": b"\xff".decode("latin-1")}, "RECORD"),
    ],
)
def test_a_record_that_does_not_speak_for_all(
    desk: Desk, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    refused(desk, make(tmp_path, {"pkg/x": "x"}, **change), reason)  # type: ignore[arg-type]  # as parametrized


@pytest.mark.parametrize("lie", [b"y", b"xx", b""], ids=["content", "longer", "shorter"])
def test_a_record_that_lies(desk: Desk, tmp_path: Path, lie: bytes) -> None:
    _, path = make(tmp_path, {"pkg/x": "x"})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[f"{INFO}/RECORD"] = members[f"{INFO}/RECORD"].replace(
        line("pkg/x", b"x").encode(), line("pkg/x", lie).encode()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    refused(desk, (artifact(path), path), "'pkg/x' is not what its RECORD states")


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_stronger_hashes_are_read(desk: Desk, tmp_path: Path, algorithm: str) -> None:
    _, path = make(tmp_path, {"pkg/x": "x"})
    text = "".join(line(name, zipfile.ZipFile(path).read(name), algorithm) for name in zipfile.ZipFile(path).namelist())
    good = make(tmp_path, {"pkg/x": "x"}, record=text.rsplit("\n", 2)[0] + "\n")
    assert len(list(desk.trees(good)[0].entries())) == 5
    bad = make(tmp_path, {"pkg/x": "z"}, record=text)
    with pytest.raises(PackageError, match="not what its RECORD states"):
        desk.trees(bad)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dist_info": "other-1.0.dist-info"}, r"holds 'other-1\.0\.dist-info', and is locked as pkg 1\.0"),
        ({"dist_info": "pkg-2.0.dist-info"}, "and is locked as pkg 1.0"),
        ({"dist_info": "pkg.dist-info"}, "and is locked as pkg 1.0"),
        ({"tag": "py3"}, "is not the file name of a wheel"),
        ({"files": {"other-1.0.dist-info/METADATA": ""}}, "expected one folder '\\*.dist-info' at its top"),
        ({"files": {"pkg-1.0.data/x": ""}}, "none of the folders"),
        ({"files": {"pkg-1.0.data/etc/x": ""}}, "valid .data subdirectory"),
        ({"files": {"a.data/data/x": "", "b.data/data/x": ""}}, "expected one folder '\\*.data' at its top"),
        ({"wheel_version": "2.0"}, "Wheel-Version 2.0"),
        ({"wheel_version": ""}, "Wheel-Version"),
    ],
)
def test_a_wheel_that_is_another(desk: Desk, tmp_path: Path, change: dict[str, object], reason: str) -> None:
    refused(desk, make(tmp_path, **change), reason)  # type: ignore[arg-type]  # as parametrized


def test_a_lock_that_names_another_version(desk: Desk, tmp_path: Path) -> None:
    found, path = make(tmp_path)
    refused(desk, (evolve(found, version="1.1"), path), "is locked as pkg 1.1")
    assert desk.trees((evolve(found, version="1.0.0"), path)), "1.0 and 1.0.0 are one version (PEP 440)"


def test_a_local_version(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path, version="2.1.0+cu121")
    assert len(list(desk.trees(wheel)[0].entries())) == 4


# --- archives that are none, or too much -----------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 100, b"PK\5\6" + b"\0" * 18, b"PK\5\6" + b"\xff" * 18])
def test_what_is_no_archive(desk: Desk, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    path.write_bytes(data)
    refused(
        desk, (artifact(path), path), r"no zip archive|cannot be read as a wheel|expected one folder|lists its files"
    )


def test_a_truncated_wheel(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path, {"pkg/x": "x" * 1000})
    data = wheel[1].read_bytes()
    for cut in range(0, len(data) - 1, 97):
        wheel[1].write_bytes(data[:cut])
        refused(desk, wheel, "zip archive|read as a wheel")


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=rounds(300, 10_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_our_error_or_none(desk: Desk, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    import random

    dice = random.Random(seed)
    folder = tmp_path_factory.mktemp("damaged")
    found, path = make(folder, {"pkg/x.py": "x = 1\n" * 50, "pkg-1.0.data/data/y": "z"})
    whole = {entry.path: entry.size for entry in desk.trees((found, path))[0].entries()}
    data = bytearray(path.read_bytes())
    for _ in range(dice.randint(1, 3)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    try:
        entries = list(desk.trees((artifact(path), path))[0].entries())
    except PackageError:
        return
    changed = {entry.path for entry in entries if whole.get(entry.path) != entry.size}
    assert changed == set(), "what is accepted is what was packed, rights and unread fields aside"


@pytest.mark.slow
def test_bombs_do_not_go_off(desk: Desk, tmp_path: Path) -> None:
    zeros = b"\0" * (1 << 20)
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("pkg/zeros", "w") as stream:
        for _ in range(300):
            stream.write(zeros)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(desk, (artifact(path), path), "would unpack to more than 268435456 bytes, 50 times its size")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_files_that_overlap(desk: Desk, tmp_path: Path) -> None:
    """Bombs of one kernel of zeros that every entry of the list names: 1 GiB from 10 KiB."""
    _, path = make(tmp_path, {"pkg/kernel": "\0" * (1 << 20)})
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack_from("<H2xLL", data, end + 8)
    listed = data[start : start + size]
    one = listed[: 46 + len("pkg/kernel")]
    many = b"".join(one[:28] + struct.pack("<H", 9) + one[30:46] + b"pkg/k%04d" % n for n in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count + 1000, count + 1000, size + len(many), start, 0)
    path.write_bytes(data[:start] + listed + many + tail)
    refused(desk, (artifact(path), path), r"overlap|cannot be read|would unpack|differ")


@pytest.mark.parametrize("wide", [False, True], ids=["zip", "zip64"])
def test_a_list_of_a_million_files(desk: Desk, tmp_path: Path, wide: bool) -> None:
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    size = 60 << 20
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF if wide else size, 0, 0)
    if wide:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**6, 10**6, size, 0)
        tail = end + struct.pack("<4sLQL", b"PK\6\7", 0, size, 1) + tail
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.seek(0, 2)
        stream.write(tail)
    found = Artifact("pip", "pkg", "1.0", "", "", path.name, "pypi", "0" * 64, size)
    refused(desk, (found, path), "more than 25165824 are not read")


def test_zip64_is_read(desk: Desk, tmp_path: Path) -> None:
    _, path = make(tmp_path, {"pkg/x": "x"})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            with archive.open(name, "w", force_zip64=True) as stream:
                stream.write(data)
    assert len(list(desk.trees((artifact(path), path))[0].entries())) == 5


def test_nothing_of_a_wheel_is_run(desk: Desk, tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    code = f"open({str(sentinel)!r}, 'w')\n"
    files = {"pkg/__init__.py": code, "evil.pth": f"import os; {code}", "sitecustomize.py": code, "setup.py": code}
    for tree in desk.trees(make(tmp_path, files, entry_points="[console_scripts]\nrun = pkg:main\n")):
        list(tree.entries())
    assert not sentinel.exists()


@pytest.mark.processes
def test_asserts_are_no_part_of_the_checks(tmp_path: Path) -> None:
    """`installer` asserts here and there; with ``python -O`` the same wheels are refused."""
    make(tmp_path, entry_points="[console_scripts]\nrun = pkg\n")
    program = """
import sys
from pathlib import Path
from coopery_pip.archive import opened
from coopery_pip.source import Source
from coopery.errors import PackageError
from coopery.lock import Artifact
path = Path(sys.argv[1])
try:
    with opened(path, path.name) as archive:
        Source(Artifact("pip", "pkg", "1.0", "", "", path.name, "", "", 0), archive).commands()
except PackageError as exc:
    print(exc)
"""
    argv = [sys.executable, "-O", "-c", program, str(next(tmp_path.glob("*.whl")))]
    assert "expected 'module:function'" in subprocess.check_output(argv, text=True)
