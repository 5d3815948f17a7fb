"""Builds that fail, that lie, and that try this machine: told by name, kept in their container."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import PackageError, ResolveError, StepFailed
from pip_build.conftest import House
from pip_build.yard import Yard, project
from pip_resolve.shelf import Shelf

pytestmark = [pytest.mark.needs("debian", "overlay"), pytest.mark.processes, pytest.mark.slow]


def tries(canary: Path, host: str) -> str:
    """What a hostile build does before it makes its wheel; what worked is in the wheel."""
    name, port = host.split(":")
    return f"""
    global FOUND
    import os, socket
    found = []
    for path in ({str(canary)!r}, "/proc/1/root" + {str(canary)!r}):
        try:
            found.append(open(path).read())
        except OSError:
            pass
    try:
        socket.create_connection(({name!r}, {port}), 2).close()
        found.append("network")
    except OSError:
        pass
    for path in ({str(canary)!r}, "/pwned", "/opt/env/pwned"):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w").write("pwned")
        except OSError:
            pass
    found += [name for name in os.environ if "CANARY" in name]
    FOUND = ",".join(found)
"""


def test_a_build_harms_only_its_own_container(
    house: House, yard: Yard, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "a secret")
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    files = project("sample", body=tries(canary, shelf.host), module="'FOUND = ' + repr(FOUND)")
    asked = [yard.source("sample", yard.commit("sample", files))]
    before = len(shelf.asked)
    house.build(asked)
    assert canary.read_text() == "untouched"
    assert len(shelf.asked) == before or all("sample" in path for path in shelf.asked)
    code = "import os, sample; assert sample.FOUND == '', sample.FOUND; assert not os.path.exists('/pwned'); "
    assert house.run(asked, code + "assert not os.path.exists('/opt/env/pwned')") == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.symlink('/etc/passwd', folder + '/x-1.0-py3-none-any.whl'); return 'x'", "found a symlink"),
        ("open(folder + '/other.txt', 'w').close(); return 'x'", "one wheel, found other.txt"),
        ("global NAME; NAME = 'another'", "asked for as sample, and its build made another-1.0"),
        ("global TAG; TAG = 'cp38-cp38-manylinux_2_99_x86_64'", "does not run on Python 3.11"),
    ],
)
def test_what_is_no_such_wheel_is_refused(house: House, yard: Yard, body: str, message: str) -> None:
    commit = yard.commit("sample", project("sample", body=body))
    with pytest.raises(PackageError, match=message):
        house.lock([f"sample @ {yard.source('sample', commit)}"])


def test_a_build_that_fails_says_so_and_a_tool_that_is_not_there_too(house: House, yard: Yard) -> None:
    source = yard.source("bad", yard.commit("bad", project("bad", body="print('almost'); raise SystemExit('no way')")))
    with pytest.raises(StepFailed) as caught:
        house.build([source])
    assert caught.value.status == 1
    assert caught.value.step == f"$.pip.requirements: building {source}"
    assert caught.value.stderr_tail.splitlines()[-2:] == ["almost", "no way"] or "no way" in caught.value.stderr_tail
    assert "no way" in Path(caught.value.log).read_text()
    lacking = yard.source("lacks", yard.commit("lacks", project("lacks", tools=("not-to-be-had>=1",))))
    with pytest.raises(ResolveError, match=r"cannot be had as wheels: not-to-be-had>=1\n.*no package not-to-be-had"):
        house.lock([lacking])
