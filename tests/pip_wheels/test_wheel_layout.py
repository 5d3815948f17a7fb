"""What one wheel becomes below a prefix: places, scripts, modes, and the metadata that installers write."""

from __future__ import annotations

import csv
import hashlib
import json
import posixpath
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from attrs import evolve

from coopery.layer import Entry
from coopery.layers.clash import lost
from coopery.target import Provided
from coopery_pip.layout import layout
from pip_wheels.conftest import CONDA, Desk, data, plain
from pip_wheels.wheels import File, make

SITE = "lib/python3.11/site-packages"
INFO = f"{SITE}/pkg-1.0.dist-info"
POINTS = "[console_scripts]\nrun = pkg.cli:main\n"


def rows(laid: dict[str, Entry], info: str = INFO) -> dict[str, tuple[str, str]]:
    return {
        path: (digest, size)
        for path, digest, size in csv.reader(data(laid[f"{info}/RECORD"]).decode().split("\n")[:-1])
    }


def test_each_scheme_has_its_folder(desk: Desk, tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg-1.0.data/purelib/pure.py": "",
        "pkg-1.0.data/platlib/native.so": "",
        "pkg-1.0.data/scripts/tool": "#!python\nprint()\n",
        "pkg-1.0.data/headers/sub/pkg.h": "",
        "pkg-1.0.data/data/share/jupyter/kernel.json": "{}",
    }
    assert sorted(desk.laid(make(tmp_path, files))) == [
        "bin/tool",
        "include/python3.11/pkg/sub/pkg.h",
        f"{SITE}/native.so",
        *(f"{INFO}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        f"{SITE}/pkg/__init__.py",
        f"{SITE}/pure.py",
        "share/jupyter/kernel.json",
    ]


def test_a_name_that_the_archive_spells_its_own_way(desk: Desk, tmp_path: Path) -> None:
    files = {"Some.Pkg-1.0.data/data/share/x": ""}
    wheel = make(tmp_path, files, name="some_pkg", dist_info="Some.Pkg-1.0.dist-info")
    laid = desk.laid((evolve(wheel[0], name="some-pkg"), wheel[1]))
    assert "share/x" in laid
    assert f"{SITE}/Some.Pkg-1.0.dist-info/METADATA" in laid


def test_commands_start_the_prefixs_python(desk: Desk, tmp_path: Path) -> None:
    script = desk.laid(make(tmp_path, {"pkg/cli.py": ""}, entry_points=POINTS))["bin/run"]
    lines = data(script).decode().splitlines()
    assert lines[0] == "#!/opt/env/bin/python3.11"
    assert "from pkg.cli import main" in lines
    assert script.mode == 0o755


def test_all_forms_of_entry_points(desk: Desk, tmp_path: Path) -> None:
    text = """# comment
[console_scripts]
one=pkg:main
py.test = pkg.cli : App.run [extra]
f2py-3.11 = pkg:main
; another
[other.plugins]
../evil = 100 % no command
[gui_scripts]
window = pkg:main
"""
    laid = desk.laid(make(tmp_path, entry_points=text))
    assert sorted(path for path in laid if path.startswith("bin/")) == [
        "bin/f2py-3.11",
        "bin/one",
        "bin/py.test",
        "bin/window",
    ]
    assert b"sys.exit(App.run())" in data(laid["bin/py.test"])


@pytest.mark.parametrize("prefix", ["/opt/" + "x" * 120, "/opt/my env"])
def test_an_interpreter_that_no_first_line_can_hold(desk: Desk, tmp_path: Path, prefix: str) -> None:
    provided = Provided("3.11.4", f"{prefix}/bin/python3.11", f"{prefix}/{SITE}")
    wheel = make(
        tmp_path, {"pkg-1.0.data/scripts/own": "#!python -u\nimport sys; print(sys.argv)\n"}, entry_points=POINTS
    )
    [tree] = desk.trees(wheel, provided=provided, target=plain(prefix))
    laid = {entry.path.removeprefix(f"{prefix[1:]}/"): entry for entry in tree.entries()}
    for name in ("bin/run", "bin/own"):
        assert data(laid[name]).startswith(b"#!/bin/sh\n'''exec' ")
        assert f"{prefix}/bin/python3.11".encode() in data(laid[name])


@pytest.mark.processes
def test_such_a_script_runs(tmp_path: Path) -> None:
    from coopery_pip.entry_points import with_interpreter

    python = tmp_path / "a b" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    script = tmp_path / "script"
    script.write_bytes(with_interpreter(b"#!python\nimport sys\nprint(sys.argv[1:])\n", str(python)))
    script.chmod(0o755)
    assert subprocess.check_output([script, "x y", "'z"], text=True) == "['x y', \"'z\"]\n"


def test_a_packed_script_gives_way_to_a_command_of_its_name(desk: Desk, tmp_path: Path) -> None:
    files = {"pkg-1.0.data/scripts/run": "#!python\nold\n"}
    assert b"old" not in data(desk.laid(make(tmp_path, files, entry_points=POINTS))["bin/run"])


def test_only_what_may_be_run_may_be_run(desk: Desk, tmp_path: Path) -> None:
    files = {
        "pkg/tool.sh": File(b"", 0o100750),
        "pkg/plain.py": File(b"", 0o100666),
        "pkg/setuid": File(b"", 0o104755),
        "pkg/no_rights.py": File(b"", 0),
        "pkg-1.0.data/scripts/python": File(b"#!python\n", 0),
        "pkg-1.0.data/scripts/shell": File(b"#!/bin/sh\n", 0o100644),
        "pkg-1.0.data/scripts/library": File(b"x", 0o100644),
        "pkg-1.0.data/scripts/program": File(b"\x7fELF", 0o100755),
    }
    laid = desk.laid(make(tmp_path, files))
    modes = {path.rpartition("/")[2]: entry.mode for path, entry in laid.items() if "pkg/" in path or "bin/" in path}
    runs = {name for name, mode in modes.items() if mode == 0o755}
    assert runs == {"tool.sh", "setuid", "python", "shell", "program"}
    assert set(modes.values()) == {0o755, 0o644}
    assert data(laid["bin/shell"]) == b"#!/bin/sh\n"


def test_record_lists_exactly_what_there_is(desk: Desk, tmp_path: Path) -> None:
    files = {"pkg/a,b.txt": "x", "pkg-1.0.data/scripts/tool": "#!python\n", "pkg-1.0.data/data/share/x": "y"}
    laid = desk.laid(make(tmp_path, files, entry_points=POINTS))
    listed = rows(laid)
    places = {path: posixpath.normpath(f"{SITE}/{path}") for path in listed}
    assert set(places.values()) == laid.keys()
    assert list(listed) == sorted(listed)
    assert listed.pop("pkg-1.0.dist-info/RECORD") == ("", "")
    for path, (digest, size) in listed.items():
        content = data(laid[places[path]])
        assert digest.startswith("sha256=")
        assert urlsafe_b64decode(digest[7:] + "=") == hashlib.sha256(content).digest(), path
        assert int(size) == len(content)


def test_another_tool_reads_the_record(desk: Desk, tmp_path: Path) -> None:
    from importlib.metadata import Distribution

    for entry in desk.laid(make(tmp_path, {"pkg/__init__.py": "x = 1\n"}, entry_points=POINTS)).values():
        path = tmp_path / "root" / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data(entry))
    found = Distribution.at(tmp_path / "root/opt/env" / INFO)
    assert (found.version, found.read_text("INSTALLER")) == ("1.0", "coopery\n")
    assert all(Path(str(file.locate())).exists() for file in found.files or ())
    assert [point.value for point in found.entry_points] == ["pkg.cli:main"]


def test_what_a_wheel_says_of_an_installation_is_not_believed(desk: Desk, tmp_path: Path) -> None:
    info = "pkg-1.0.dist-info"
    files = {
        f"{info}/{name}": "lie" for name in ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws", "RECORD.p7s")
    }
    laid = desk.laid(make(tmp_path, files, unlisted=[f"{info}/RECORD.jws"]))
    assert sorted(path.rpartition("/")[2] for path in laid) == ["INSTALLER", "METADATA", "RECORD", "WHEEL"]
    assert data(laid[f"{INFO}/INSTALLER"]) == b"coopery\n"


def test_stale_bytecode_is_left_out(desk: Desk, tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/__pycache__/__init__.cpython-311.pyc": "stale",
        "pkg/old.py": "",
        "pkg/old.pyc": "stale",
        "pkg/only.pyc": "a module without a source",
    }
    laid = desk.laid(make(tmp_path, files))
    assert {path for path in laid if path.endswith(".pyc")} == {f"{SITE}/pkg/only.pyc"}


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://example.org/w/pkg-1.0-py3-none-any.whl", "https://example.org/w/pkg-1.0-py3-none-any.whl"),
        ("https://user:word@example.org/pkg-1.0-py3-none-any.whl#x", "https://example.org/pkg-1.0-py3-none-any.whl"),
        ("https://example.org/simple", None),
        ("https://example.org/links.html", None),
        ("file:///home/somebody/pkg-1.0-py3-none-any.whl", None),
        ("./wheels", None),
        ("pypi", None),
    ],
)
def test_a_direct_url_is_told(desk: Desk, tmp_path: Path, source: str, url: str | None) -> None:
    artifact, path = make(tmp_path, source=source)
    laid = desk.laid((artifact, path))
    kept = laid.get(f"{INFO}/direct_url.json")
    assert (json.loads(data(kept))["url"] if kept else None) == url
    if kept:
        assert json.loads(data(kept))["archive_info"]["hashes"] == {"sha256": artifact.sha256}
    assert b"word" not in b"".join(map(data, laid.values()))


def test_what_is_in_the_identity(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path)
    one = dict(desk.trees(wheel)[0].identity)
    assert one["artifact"] == wheel[0].sha256
    same = desk.trees(wheel, target=plain(facts=evolve(plain().facts, python_release="3.11.9")))
    assert dict(same[0].identity) == one, "the base's Python is not the one that conda brought"
    for provided in (
        evolve(CONDA, interpreter="/opt/env/bin/python"),
        evolve(CONDA, python="3.12.1", site_packages="/opt/env/lib/python3.12/site-packages"),
    ):
        assert dict(desk.trees(wheel, provided=provided)[0].identity) != one
    assert "bytecode" not in one
    assert dict(desk.trees(wheel, target=plain(bytecode=True))[0].identity)["bytecode"] == "3.11.4"


def test_of_two_wheels_with_one_path_the_first_name_has_it(desk: Desk, tmp_path: Path) -> None:
    wheels = [make(tmp_path, {"shared/x.py": name}, name=name) for name in ("zeta", "alpha")]
    trees = desk.trees(*wheels)
    losses = lost(trees, [tuple(tree.paths()) for tree in trees])
    assert [sorted(one) for one in losses] == [[f"opt/env/{SITE}/shared/x.py"], []]


def test_a_free_threaded_python_keeps_its_own_folders() -> None:
    site = "/opt/env/lib/python3.13t/site-packages"
    where = layout(plain(), Provided("3.13.1", "/opt/env/bin/python3.13", site))
    assert where.place("platlib", "x", "x.so") == "lib/python3.13t/site-packages/x.so"
    assert where.place("headers", "x", "x.h") == "include/python3.13t/x/x.h"
