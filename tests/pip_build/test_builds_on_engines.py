"""The same on engines: an extension in C by the user's own compiler, and real projects from the real index."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ordinary
from coopery import Environment
from coopery.errors import UnsupportedError
from pip_build.conftest import COMPILER, PYTHON, House
from pip_build.yard import Yard

pytestmark = [pytest.mark.needs("debian", "index"), pytest.mark.processes, pytest.mark.slow]

EXTENSION = {
    "setup.py": "from setuptools import Extension, setup\n"
    "setup(name='inc', version='1.5', install_requires=['docopt'], ext_modules=[Extension('inc', ['inc.c'])])\n",
    "pyproject.toml": "[build-system]\nrequires = ['setuptools>=61', 'wheel']\n",
    "inc.c": """
#include <Python.h>
static PyObject *inc(PyObject *self, PyObject *n) { return PyLong_FromLong(PyLong_AsLong(n) + 1); }
static PyMethodDef all[] = {{"inc", inc, METH_O, ""}, {0}};
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "inc", "", -1, all};
PyMODINIT_FUNC PyInit_inc(void) { return PyModule_Create(&def); }
""",
}
STEPS = [{"env": {"CC": "tcc", "LDSHARED": "tcc -shared", "CFLAGS": "-g0"}}]


@pytest.fixture
def engine_house(
    tmp_path: Path, base_tars: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], House]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made: list[House] = []

    def make(backend: str) -> House:
        made.append(House(tmp_path, base_tars(*PYTHON, *COMPILER), backend))
        return made[-1]

    yield make
    for one in made:
        for entry in one.builder.list():
            if entry.image is not None:
                argv = ["docker", "rmi", "-f"] if one.backend == "docker" else ["podman", "rmi", "-f"]
                subprocess.run([*argv, entry.image.reference], check=False, capture_output=True)
        one.close()
    gc.collect()


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("docker", marks=pytest.mark.needs("docker")),
        pytest.param("podman", marks=pytest.mark.needs("buildah", "podman-run")),
    ],
)
def test_an_extension_and_what_the_index_has_no_wheel_of(
    engine_house: Callable[[str], House], yard: Yard, backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    house = engine_house(backend)
    asked = [yard.source("inc", yard.commit("inc", EXTENSION))]
    house.build(asked, steps=STEPS)
    found = house.lock(asked, steps=STEPS)
    assert found["inc"].file_name == "inc-1.5-cp311-cp311-linux_x86_64.whl"
    docopt = found["docopt"].built
    assert docopt is not None
    assert docopt.source == f"docopt-{found['docopt'].version}.tar.gz"
    assert {"setuptools", "wheel"} <= {tool.name for tool in docopt.tools}
    capfd.readouterr()
    assert house.run(asked, "import inc, docopt; print(inc.inc(41))", steps=STEPS) == 0
    assert capfd.readouterr().out == "42\n"
    assert house.builder.build(house.define(asked, steps=STEPS)).hit


def test_an_engine_free_backend_says_who_can(engine_house: Callable[[str], House]) -> None:
    house = engine_house("oci")
    environment = Environment.from_dict({"base": {"rootfs": str(house.base)}, "pip": ["docopt"]})
    with pytest.raises(UnsupportedError) as caught:
        house.builder.build(environment)
    assert caught.value.ability == "build packages from source"
    assert "docopt-0.6.2.tar.gz, which pypi has no wheel of" in caught.value.needed_by
    assert {"docker", "podman"} <= set(caught.value.others)


@pytest.mark.needs("apptainer")
def test_an_ordinary_user_with_apptainer(base_tars: Callable[..., Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="coopery-pip-", ignore_cleanup_errors=True) as name:
        user = ordinary.user()
        assert user is not None
        base = shutil.copy(base_tars(*PYTHON), Path(name) / "base.tar")
        os.chown(name, user.pw_uid, user.pw_gid)
        base.chmod(0o644)
        argv = ordinary.argv(ordinary.python(), str(Path(__file__).with_name("ordinary_build.py")), name, str(base))
        done = subprocess.run(argv, env=ordinary.environ(), capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.endswith("here is 1\n")
        subprocess.run(["rm", "-rf", f"{name}/home"], check=False)  # rmtree trips over what belongs to subordinate ids
