"""Packages from source, built as a step: from repositories, archives and indexes; what is locked; what is kept."""

from __future__ import annotations

import json

import pytest

from coopery import Environment
from coopery.errors import ResolveError
from coopery.lock import Built
from pip_build.conftest import House
from pip_build.yard import Yard, packed, project, zipped
from pip_resolve.shelf import Shelf, Wheel
from trunk import science

pytestmark = [pytest.mark.needs("debian", "overlay"), pytest.mark.processes, pytest.mark.slow]


def test_a_repository_at_a_commit(house: House, yard: Yard, shelf: Shelf, capfd: pytest.CaptureFixture[str]) -> None:
    """Its version is what its tag says; what it needs comes from the index, its name from itself."""
    shelf.wheel("needed", "2.0")
    body = (
        "print('at work'); import glob; global VERSION; VERSION = glob.glob('.git/refs/tags/*')[0].rpartition('/v')[2]"
    )
    files = project("sample-one", "0", requires=("needed>=2",), body=body, module="'import needed; WHO = 3\\n'")
    commit = yard.commit("sample", files, "v3.5")
    asked = [yard.source("sample", commit)]
    house.build(asked)
    locked = house.lock(asked)
    made = locked["sample-one"]
    assert locked.keys() == {"sample-one", "needed"}
    assert (made.version, made.source) == ("3.5", asked[0])
    assert made.built == Built(asked[0])
    code = "import os, sample_one as one, importlib.metadata as m; assert one.WHO == 3; "
    code += "assert not os.path.exists('/.coopery'); print(m.distribution('sample-one').read_text('direct_url.json'))"
    assert house.run(asked, code) == 0
    told = json.loads(capfd.readouterr().out)
    assert told == {"url": f"{yard.url}/sample.git", "vcs_info": {"vcs": "git", "commit_id": commit}}
    house.builder.build(house.define(asked), rebuild=True)
    assert house.printed.count("at work") <= 1
    assert not list((house.root / "home" / "staging").glob("*"))


def test_a_subdirectory_of_an_archive(house: House, yard: Yard) -> None:
    data = zipped("top", {f"deep/er/{path}": text for path, text in project("inner").items()})
    asked = [f"inner @ {yard.serve('a-1.zip', data)}&subdirectory=deep/er"]
    made = house.lock(asked)["inner"]
    assert made.built is not None
    assert made.built.source == made.source == f"{yard.url}/a-1.zip#subdirectory=deep/er"
    assert f"sha256={made.built.sha256}" in asked[0]


def test_a_release_that_has_no_wheel(house: House, shelf: Shelf) -> None:
    """Asked for by a wheel that has one; of its releases the newest that fits, with what it needs once it is built."""
    shelf.wheel("outer", "1.0", requires=("middle<3",))
    for version in ("1.0", "2.0", "3.0"):
        files = project("middle", version, requires=("inner",))
        shelf.add(Wheel(f"middle-{version}.tar.gz", packed(f"middle-{version}", files)))
    shelf.wheel("inner", "7.0")
    found = house.lock(["outer"])
    assert {name: one.version for name, one in found.items()} == {"outer": "1.0", "middle": "2.0", "inner": "7.0"}
    built = found["middle"].built
    assert built is not None
    assert (found["middle"].source, built.source) == ("pypi", "middle-2.0.tar.gz")
    assert found["outer"].built is None


def test_formats(house: House, shelf: Shelf) -> None:
    """A release that has a wheel comes before a newer one that has none, unless its name says otherwise."""
    shelf.wheel("both", "1.0")
    for version in ("1.0", "2.0"):
        shelf.add(Wheel(f"both-{version}.tar.gz", packed(f"both-{version}", project("both", version))))
    assert house.lock(["both"])["both"].built is None
    forced = house.lock({"requirements": ["both"], "no_binary": ["both"]})["both"]
    assert forced.built is not None
    assert forced.built.source == "both-1.0.tar.gz"
    with pytest.raises(ResolveError, match="only source code"):
        house.lock({"requirements": ["both==2.0"], "only_binary": [":all:"]})


def test_tools(house: House, yard: Yard, shelf: Shelf) -> None:
    """They are apart from the image's own packages, and what the build asks for by itself is among them."""
    for version in ("1.0", "2.0"):
        shelf.wheel("helper", version)
    shelf.wheel("dynamic", "5.0")
    body = "import helper, dynamic; assert helper.version == '1.0' and dynamic.version == '5.0'"
    more = "\ndef get_requires_for_build_wheel(settings=None):\n    import helper\n    return ['dynamic>=4']\n"
    files = project("sample", tools=("helper<2",), body=body, more=more)
    found = house.lock(["helper==2.0", yard.source("sample", yard.commit("sample", files))])
    assert found.keys() == {"helper", "sample"}
    assert found["helper"].version == "2.0"
    built = found["sample"].built
    assert built is not None
    assert [str(tool) for tool in built.tools] == ["dynamic 5.0", "helper 1.0"]


def test_a_branch_is_resolved_once_and_locked(house: House, yard: Yard) -> None:
    """Like a tag of an image: what moved is taken when the package is to move, and not before."""
    first = yard.commit("sample", project("sample"))
    path = house.root / "environment.yaml"
    source = yard.source("sample", "main")
    path.write_text(f"base: {{rootfs: {house.base}}}\nbuild: {{bytecode: false}}\npip: ['{source}']\n")
    environment = Environment.load(path)
    house.builder.relock(environment).save()
    second = yard.commit("sample", project("sample", "2.0"))

    def commit(update: bool) -> str:
        found = house.builder.relock(environment, update=update).after_for("linux/amd64").lock.artifacts[0]
        assert found.built is not None
        assert found.source == source
        return found.built.source.rpartition("@")[2]

    assert commit(False) == first
    house.builder.check_lock(environment)
    assert commit(True) == second


@pytest.mark.needs("channel")
def test_by_condas_python_without_its_packages(house: House, yard: Yard) -> None:
    """The image as far as it is made: conda's Python builds, and sees nothing else of what conda brought."""
    conda = {"channels": [str(science.CHANNEL)], "dependencies": ["python=3.11", "six"]}
    body = "import sys, importlib.util as u; print(sys.prefix, sys.executable, u.find_spec('six'))"
    asked = [yard.source("sample", yard.commit("sample", project("sample", requires=("six",), body=body)))]
    found = house.lock(asked, conda=conda)
    assert "/opt/env /opt/env/bin/python3.11 None" in house.printed
    assert (found["sample"].kind, found["six"].kind) == ("pip", "conda")
