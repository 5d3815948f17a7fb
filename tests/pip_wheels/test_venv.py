"""Pip without conda: a venv on the base's Python."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from coopery.errors import BaseError
from coopery.layers.clash import lost
from coopery.target import Facts, Provided
from coopery_pip import tree, venv
from pip_wheels.conftest import BASE, CONDA, Desk, data, plain
from pip_wheels.wheels import make

HERE = platform.python_version()
MINOR = ".".join(HERE.split(".")[:2])


def test_what_is_in_it(desk: Desk) -> None:
    [one] = desk.trees(provided=Provided())
    laid = {entry.path.removeprefix("opt/env/"): entry for entry in one.entries()}
    assert {path: entry.target or entry.kind for path, entry in laid.items()} == {
        "bin/python": "/usr/bin/python3",
        "bin/python3": "python",
        "bin/python3.11": "python",
        "lib/python3.11/site-packages": "directory",
        "lib64": "lib",
        "pyvenv.cfg": "file",
    }
    text = "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n"
    assert data(laid["pyvenv.cfg"]) == text.encode()
    assert {path.rstrip("/") for path in one.paths()} == {entry.path for entry in laid.values()}


def test_what_it_provides() -> None:
    site = "/opt/env/lib/python3.11/site-packages"
    assert venv.provides(plain()) == Provided("3.11.2", "/opt/env/bin/python", site)
    vague = evolve(BASE, python_release=None)
    assert venv.provides(plain(facts=vague)).python == "3.11"


def test_what_it_changes_in_the_config() -> None:
    found = tree.configuration(plain(), Provided())
    assert found.path == ("/opt/env/bin",)
    assert dict(found.env) == {"VIRTUAL_ENV": "/opt/env", "PYTHONNOUSERSITE": "1"}
    beside = tree.configuration(plain(), CONDA)
    assert (beside.path, beside.env, beside.unset) == ((), (), ()), "conda has said it all"


def test_wheels_go_into_it(desk: Desk, tmp_path: Path) -> None:
    wheel = make(tmp_path, {"pkg-1.0.data/headers/x.h": ""}, entry_points="[console_scripts]\nrun = pkg:main\n")
    _, one = desk.trees(wheel, provided=Provided())
    laid = {entry.path.removeprefix("opt/env/"): entry for entry in one.entries()}
    assert "include/site/python3.11/pkg/x.h" in laid  # as pip does in a venv
    assert data(laid["bin/run"]).startswith(b"#!/opt/env/bin/python\n")


def test_no_wheel_takes_the_interpreters_place(desk: Desk, tmp_path: Path) -> None:
    points = "[console_scripts]\npython = aaa:main\n"
    wheel = make(tmp_path, {"aaa-1.0.data/data/pyvenv.cfg": "home = /evil\n"}, name="aaa", entry_points=points)
    trees = desk.trees(wheel, provided=Provided())
    losses = lost(trees, [tuple(one.paths()) for one in trees])
    assert [sorted(one) for one in losses] == [[], ["opt/env/bin/python", "opt/env/pyvenv.cfg"]]


@pytest.mark.parametrize("facts", [Facts(), Facts(python="/usr/bin/python3")])
def test_a_base_without_python(desk: Desk, facts: Facts) -> None:
    with pytest.raises(BaseError, match=r"has no Python.*(?s:.*)add python to \$\.conda\.dependencies"):
        desk.trees(provided=Provided(), target=plain(facts=facts))


def test_a_python_that_does_not_say_which_it_is(desk: Desk, tmp_path: Path) -> None:
    vague = evolve(BASE, python_release=None)
    wheel = make(tmp_path)
    with pytest.raises(BaseError, match=r"/usr/bin/python3 does not say which it is(?s:.*)build\.bytecode to false"):
        desk.trees(wheel, provided=Provided(), target=plain(bytecode=True, facts=vague))
    assert len(desk.trees(wheel, provided=Provided(), target=plain(facts=vague))) == 2


@pytest.mark.processes
def test_it_is_the_venv_that_python_makes(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "opt/env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", real], check=True)
    base = Path(sys.executable).resolve()
    facts = Facts(python=str(base), python_version=MINOR, python_release=HERE)
    [one] = desk.trees(provided=Provided(), target=plain(facts=facts))
    ours = {entry.path: entry for entry in one.entries()}
    theirs = {str(path.relative_to(tmp_path)): path for path in real.rglob("*") if path.is_symlink() or path.is_file()}
    scripts = {path for path in theirs if "ctivate" in path}  # for shells of people; see `venv.configuration`
    assert {path for path, entry in ours.items() if entry.kind != "directory"} == theirs.keys() - scripts
    config = dict(line.split(" = ") for line in data(ours["opt/env/pyvenv.cfg"]).decode().splitlines())
    written = dict(line.split(" = ", 1) for line in (real / "pyvenv.cfg").read_text().splitlines())
    assert written.items() >= {**config, "home": written["home"]}.items()
    assert set(written) - set(config) == {"executable", "command"}, "those name the machine"


@pytest.mark.processes
def test_the_base_s_python_runs_in_it(desk: Desk, tmp_path: Path) -> None:
    """The same files made real: what is in site-packages is found, what is the user's or the base's is not."""
    prefix = str(tmp_path / "made")
    base = Path(sys.base_prefix) / "bin" / f"python{MINOR}"
    target = plain(prefix, facts=Facts(python=str(base), python_version=MINOR, python_release=HERE), bytecode=True)
    points = "[console_scripts]\nrun = pkg:main\n"
    code = "import sys\ndef main(): print(sys.prefix, __cached__ and open(__cached__, 'rb').read(8)[4])\n"
    wheel = make(tmp_path, {"pkg.py": code}, entry_points=points)
    from coopery.bytecode.interpreter import lay_out

    trees = desk.trees(wheel, provided=Provided(), target=target)
    for one in trees:
        lay_out(one.entries(), Path("/"))
    done = subprocess.run([f"{prefix}/bin/run"], env={}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{prefix} 1\n", "")
    show = "import sys; print(sys.base_prefix, any('dist-packages' in path for path in sys.path))"
    out = subprocess.check_output([f"{prefix}/bin/python", "-c", show], env={}, text=True)
    assert out.split() == [sys.base_prefix, "False"]
