"""From specs to a lock: what is chosen, and what is said when nothing can be."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from conda.desk import Desk, make_desk
from conda.maker import Channel, add_python
from coopery.errors import ResolveError
from coopery.settings import Settings
from coopery.target import Provided, Resolved

pytestmark = pytest.mark.processes

MakeChannel = Callable[[str], Channel]


def builds(desk: Desk, target: Resolved, *specs: str, channels: tuple[str, ...] = ("./channel",)) -> dict[str, str]:
    found = desk.lock(*specs, target=target, channels=channels)
    return {artifact.name: f"{artifact.version} {artifact.build}" for artifact in found}


def test_an_artifact_is_exact_and_names_no_host(channel: Channel, desk: Desk, target: Resolved) -> None:
    path = channel.add("tool", build="h1_0", old=True)
    [artifact] = desk.lock("Tool >=1", target=target)
    assert (artifact.kind, artifact.name, artifact.version, artifact.build) == ("conda", "tool", "1.0", "h1_0")
    assert (artifact.subdir, artifact.file_name, artifact.source) == ("linux-64", path.name, "./channel")
    assert artifact.size == path.stat().st_size
    assert re.fullmatch("[0-9a-f]{64}", artifact.sha256)
    assert str(desk.root) not in repr(artifact)


@pytest.fixture
def gpu(channel: Channel) -> Channel:
    channel.add("torch", build="cuda124_0", version="2.4", depends=["__cuda >=12.4"])
    channel.add("torch", build="cpu_0", version="2.4")
    return channel


@pytest.mark.parametrize(
    ("cuda", "build"), [("12.4", "cuda124_0"), ("12.6", "cuda124_0"), ("12.2", "cpu_0"), (None, "cpu_0")]
)
def test_the_running_machine_decides_about_cuda(
    gpu: Channel, desk: Desk, target: Resolved, cuda: str | None, build: str
) -> None:
    assert builds(desk, evolve(target, cuda=cuda), "torch") == {"torch": f"2.4 {build}"}


@pytest.mark.parametrize(
    ("field", "value", "chosen"), [("glibc", "2.31", "1.0"), ("glibc", "2.36", "2.0"), ("glibc", None, "1.0")]
)
def test_the_base_decides_about_glibc(
    channel: Channel, desk: Desk, target: Resolved, field: str, value: str | None, chosen: str
) -> None:
    channel.add("tool", version="1.0")
    channel.add("tool", version="2.0", depends=["__glibc >=2.35"])
    assert builds(desk, evolve(target, **{field: value}), "tool") == {"tool": f"{chosen} 0"}


def test_nothing_of_this_machine_is_detected(
    channel: Channel, desk: Desk, target: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel.add("tool", version="1.0")
    channel.add("tool", version="2.0", depends=["__glibc"])
    channel.add("tool", version="3.0", depends=["__cuda"])
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12.4")
    monkeypatch.setenv("CONDA_OVERRIDE_GLIBC", "2.40")
    assert builds(desk, evolve(target, glibc=None, archspec=None), "tool") == {"tool": "1.0 0"}


def test_the_microarchitecture_is_stated(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool", version="1.0")
    channel.add("tool", version="2.0", depends=["__archspec 1 x86_64_v3"])
    assert builds(desk, target, "tool") == {"tool": "1.0 0"}
    assert builds(desk, evolve(target, archspec="x86_64_v3"), "tool") == {"tool": "2.0 0"}


def test_the_first_channel_that_has_a_package_keeps_it(make_channel: MakeChannel, desk: Desk, target: Resolved) -> None:
    first, second = make_channel("first"), make_channel("second")
    first.add("tool", version="1.0")
    second.add("tool", version="2.0")
    second.add("other", depends=["tool"])
    both = ("./first", "./second")
    assert builds(desk, target, "tool", "other", channels=both) == {"tool": "1.0 0", "other": "1.0 0"}
    assert {a.name: a.source for a in desk.lock("other", target=target, channels=both)} == {
        "tool": "./first",
        "other": "./second",
    }


def test_a_spec_may_insist_on_a_channel(make_channel: MakeChannel, desk: Desk, target: Resolved) -> None:
    make_channel("first").add("tool", version="1.0")
    make_channel("second").add("tool", version="2.0")
    [artifact] = desk.lock("./second::tool", target=target, channels=("./first",))
    assert (artifact.version, artifact.source) == ("2.0", "./second")
    [artifact] = desk.lock("tool[channel=./second, version='>=2']", target=target, channels=("./first", "./second"))
    assert (artifact.version, artifact.source) == ("2.0", "./second")


def test_a_bare_name_is_found_where_the_settings_say(
    make_channel: MakeChannel, tmp_path: Path, target: Resolved
) -> None:
    make_channel("mirror/conda-forge").add("tool")
    alias = Settings(home=tmp_path, channel_alias=(tmp_path / "mirror").as_uri())
    table = Settings(home=tmp_path, channels={"conda-forge": str(tmp_path / "mirror/conda-forge")})
    locks = []
    for settings in (alias, table):
        with make_desk(tmp_path, settings=settings) as desk:
            locks.append(desk.lock("tool", target=target, channels=("conda-forge",)))
    assert locks[0] == locks[1]
    assert locks[0][0].source == "conda-forge"


def test_what_is_locked_stays_where_it_fits(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool", version="1.0")
    channel.add("other", version="1.0")
    before = desk.lock("tool", "other", target=target)
    channel.add("tool", version="2.0")
    channel.add("other", version="2.0")
    with make_desk(desk.root, desk.root / "second-home") as fresh:
        assert builds(fresh, target, "tool", "other") == {"tool": "2.0 0", "other": "2.0 0"}
        after = fresh.lock("tool", "other >=2", target=target, prefer=before)
    assert {a.name: a.version for a in after} == {"tool": "1.0", "other": "2.0"}


def test_specs_in_any_order_give_one_lock(channel: Channel, desk: Desk, target: Resolved) -> None:
    for name in "abc":
        channel.add(name, depends=[other for other in "abc" if other < name])
    assert desk.lock("a", "b", "c", target=target) == desk.lock("c", "a", "b", target=target)


def test_a_section_without_packages_is_an_empty_lock(desk: Desk, target: Resolved) -> None:
    assert desk.lock(target=target, channels=("./absent",)) == ()
    assert [tree.last for tree in desk.trees(target=target, channels=("./absent",))] == [True]


def test_what_the_lock_provides(channel: Channel, desk: Desk, target: Resolved) -> None:
    add_python(channel, "3.12.4")
    channel.add("numpy", build="py312h64a7726_0", version="1.26.4", depends=["python"])
    channel.add("six", build="pyhd8ed1ab_0", noarch="python", depends=["python"])
    channel.add("zlib", build="hd590300_6")
    section = desk.section("numpy", "six", "zlib")
    resolution = desk.materializer.resolve(section, target, Provided())
    provided = resolution.provided
    assert (provided.python, provided.interpreter) == ("3.12.4", "/opt/env/bin/python3.12")
    assert provided.site_packages == "/opt/env/lib/python3.12/site-packages"
    assert [(one.name, one.version) for one in provided.distributions] == [("numpy", "1.26.4"), ("six", "1.0")]
    assert desk.materializer.provides(resolution.artifacts, target, Provided()) == provided


def test_without_python_nothing_is_provided(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("zlib")
    assert desk.materializer.resolve(desk.section("zlib"), target, Provided()).provided == Provided()


# --- what cannot be solved -----------------------------------------------------------------------


def refusal(desk: Desk, target: Resolved, *specs: str, channels: tuple[str, ...] = ("./channel",)) -> ResolveError:
    with pytest.raises(ResolveError) as caught:
        desk.lock(*specs, target=target, channels=channels)
    return caught.value


def test_no_such_package_names_what_is_near(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("numpy")
    channel.add("scipy")
    error = refusal(desk, target, "nunpy", "scipy")
    assert "nunpy: no package of that name in ./channel for linux-64; near names: numpy" in error.message
    assert error.requirements == ("nunpy",)
    assert "nunpy" in error.explanation


def test_no_such_version_names_what_is_available(channel: Channel, desk: Desk, target: Resolved) -> None:
    for version in ("1.9.0", "1.10.0", "1.26.4"):
        channel.add("numpy", version=version)
    error = refusal(desk, target, "numpy =9.9")
    assert "numpy =9.9: not in ./channel for linux-64; available: 1.26.4, 1.10.0, 1.9.0" in error.message
    assert error.available == ("1.26.4", "1.10.0", "1.9.0")


def test_every_unmet_spec_is_told_at_once(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("numpy")
    error = refusal(desk, target, "numpy >5", "absent", "also-absent", "numpy")
    assert error.requirements == ("absent", "also-absent", "numpy >5")


def test_a_conflict_keeps_the_solvers_explanation(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("lib", version="1.0")
    channel.add("lib", version="2.0")
    channel.add("a", depends=["lib <2"])
    channel.add("b", depends=["lib >=2"])
    error = refusal(desk, target, "a", "b")
    assert "no set of packages for linux-64 satisfies all of it" in error.message
    assert "lib <2" in error.explanation
    assert "lib >=2" in error.explanation
    assert error.requirements == ()


def test_a_base_that_is_too_old_is_named_by_the_solver(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool", depends=["__glibc >=2.99"])
    assert "__glibc >=2.99" in refusal(desk, target, "tool").explanation


def test_no_such_channel_is_named(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    error = refusal(desk, target, "tool", channels=("./channel", "./absent"))
    assert "$.conda.channels[1]: channel './absent'" in error.message
    assert "[channels]" in error.remedy
    assert error.requirements == ("./absent",)


@pytest.mark.slow  # py-rattler asks again a few times
def test_an_unreachable_channel_says_why(desk: Desk, target: Resolved) -> None:
    error = refusal(desk, target, "tool", channels=("http://user:secretword@127.0.0.1:9/c",))
    assert "http://127.0.0.1:9/c" in error.message
    assert "secretword" not in str(error)


def test_what_is_no_spec_is_named(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    assert "'tool ===' is no match spec" in refusal(desk, target, "tool ===").message


def test_a_damaged_index_is_an_error_that_names_the_channel(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    (channel.root / "linux-64" / "repodata.json").write_text('{"packages": {"x')
    assert "./channel" in refusal(desk, target, "tool").message


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"sha256": None}, "has no sha256 for tool-1.0-0.conda"),
        ({"build": "a/../../b"}, "the build 'a/../../b'"),
        ({"build": "a b"}, "the build 'a b'"),
    ],
)
def test_an_index_that_cannot_be_locked(
    channel: Channel, desk: Desk, target: Resolved, record: dict[str, str | None], message: str
) -> None:
    channel.add("tool", record=record)
    assert message in refusal(desk, target, "tool").message


def test_a_file_name_with_a_folder_in_it(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    index = channel.root / "linux-64" / "repodata.json"
    index.write_text(index.read_text().replace('"tool-1.0-0.conda"', '"../../x/tool-1.0-0.conda"'))
    assert "tool" in refusal(desk, target, "tool").message


def test_the_plugin_registers_one_materializer() -> None:
    from coopery_conda.materializer import CondaMaterializer
    from coopery_conda.plugin import coopery_register_materializer

    assert coopery_register_materializer() is CondaMaterializer
    project = Path(__file__).parents[2] / "plugins" / "conda" / "pyproject.toml"
    points = tomllib.loads(project.read_text())["project"]["entry-points"]["coopery"]
    assert points == {"conda": "coopery_conda.plugin"}
