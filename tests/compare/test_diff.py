"""What differs between definitions, locks, keys and images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conda.maker import Channel, File
from coopery import Builder, Environment
from coopery.cli.root import main, root
from coopery.compare import comparison
from coopery.compare.side import ImageSeen, LayerSeen, Package, Side, told
from coopery.digest import of_bytes
from coopery.errors import NotFound, UsageError
from coopery.lock import Artifact
from trunk import small


def layer(text: str, created_by: str = "") -> LayerSeen:
    return LayerSeen(of_bytes(text.encode()), 10, created_by)


def image(*layers: LayerSeen, **config: object) -> ImageSeen:
    return ImageSeen(of_bytes(repr((layers, config)).encode()), "linux/amd64", config, layers)


def test_packages_by_kind_and_name() -> None:
    a = [Package("conda", "numpy", "1", "0", "aa"), Package("conda", "zlib", "1", "0", "bb")]
    b = [Package("conda", "numpy", "2", "0", "cc"), Package("pip", "zlib", "1", "", "dd")]
    found = comparison.packages(a, b)
    changes = [(one.kind, one.name, one.before is None, one.after is None) for one in found.changes]
    assert changes == [("conda", "numpy", False, False), ("conda", "zlib", False, True), ("pip", "zlib", True, False)]
    assert found.same == 0


def test_a_package_of_the_same_version_with_other_bytes_has_moved() -> None:
    a, b = Package("pip", "x", "1", "", "aa"), Package("pip", "x", "1", "", "bb")
    assert len(comparison.packages([a], [b]).changes) == 1
    assert comparison.packages([a], [Package("", "x", "1")]).changes == ()


def test_layers_are_counted_with_their_repetitions() -> None:
    a = image(layer("base"), layer("empty"), layer("empty"), layer("old"))
    b = image(layer("base"), layer("empty"), layer("new"))
    found = comparison.layers(a, b)
    assert found.shared == (layer("base"), layer("empty"))
    assert found.only_a == (layer("empty"), layer("old"))
    assert found.only_b == (layer("new"),)


def test_config_variable_by_variable() -> None:
    a = {"Env": ["A=1", "PATH=/bin"], "User": "", "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}
    b = {"Env": ["A=2", "PATH=/bin"], "User": "me", "Labels": {"x": "y"}}
    told_of = [str(one) for one in comparison.config(a, b)]
    assert told_of == [
        "cmd: - sh",
        "env A: 1 → 2",
        "exposedports 80/tcp: - ",
        "labels x: + y",
        "user: + me",
    ]


def test_the_history_of_an_image_names_its_packages() -> None:
    seen = [
        layer("a", "coopery: python 3.11.7 h1_0, zlib 1.3 0"),
        layer("b", "coopery: copy data to /data"),
        layer("c", "coopery: user 1000"),
        layer("d", "coopery: requests 2.32.3"),
        layer("e", "RUN apt-get install numpy 1.0"),
    ]
    found = told(seen)
    assert found is not None
    assert [(one.name, str(one)) for one in found] == [
        ("python", "3.11.7 h1_0"),
        ("requests", "2.32.3"),
        ("zlib", "1.3 0"),
    ]
    assert told(seen[-1:]) is None


def test_what_a_side_does_not_tell_is_left_out() -> None:
    found = comparison.compare(Side("a", "image", image=image()), Side("b", "lock file", packages=()))
    assert found.empty
    assert (found.inputs, found.packages, found.layers, found.config) == (None, None, None, None)


# --- on real images ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two built definitions that differ in one pin and one package, a lock file, archives, and one never built."""
    folder = tmp_path_factory.mktemp("diff")
    channel = small.fill(Channel(folder / "channel"))
    channel.add("lib", {"share/lib": File(b"1")}, version="1.0")
    channel.add("lib", {"share/lib": File(b"2")}, version="2.0")
    first = small.write(folder, "tool", "lib=1.0", "old", name="a.json")
    second = small.write(folder, "tool", "lib=2.0", name="b.json", steps=[{"env": {"X": "1"}}])
    small.write(folder, "tool", "lib", name="never.json")
    with Builder(home=folder / "home") as builder:
        one, two = builder.build(Environment.load(first)), builder.build(Environment.load(second))
        builder.export(one, f"oci-archive:{folder}/a.tar")
        builder.export(two, f"docker-archive:{folder}/b.tar")
        builder.export(two, f"oci:{folder}/layout:b")
    runner = CliRunner()
    locked = runner.invoke(root, ["lock", str(first), "-o", str(folder / "kept.lock"), "--home", str(folder / "home")])
    assert locked.exit_code == 0, locked.output
    return folder


@pytest.fixture
def diff(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(desk)

    def run(*args: str) -> Result:
        return CliRunner().invoke(root, ["diff", *args, "--home", str(desk / "home"), "-q"])

    return run


@pytest.mark.processes
def test_two_definitions(diff: Callable[..., Result]) -> None:
    done = diff("a.json", "b.json")
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert "conda.dependencies: lib=1.0 → lib=2.0; - old" in text
    assert "packages: 2 differ, 1 the same" in text
    assert [line.split() for line in text.splitlines() if line.lstrip().startswith(("~", "- old"))] == [
        ["~", "lib", "1.0", "0", "2.0", "0"],
        ["-", "old", "1.0", "0", "-"],
    ]
    assert "env X: + 1" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.processes
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.json", "oci-archive:a.tar"),
        ("b.json", "docker-archive:b.tar"),
        ("b.json", "oci:layout:b"),
        ("oci:layout", "docker-archive:b.tar"),
        ("a.json", "kept.lock"),
        ("a.json", "a.json"),
    ],
)
def test_one_environment_in_two_forms(diff: Callable[..., Result], first: str, second: str) -> None:
    done = diff(first, second)
    assert done.exit_code == 0, done.output
    assert "the same" in done.stdout


@pytest.mark.processes
def test_images_without_records(desk: Path, tmp_path: Path) -> None:
    """On another machine only the history of the images tells of packages."""
    with Builder(home=tmp_path) as builder:
        found = builder.diff(f"oci-archive:{desk}/a.tar", f"docker-archive:{desk}/b.tar")
    assert found.packages is not None
    assert [one.name for one in found.packages.changes] == ["lib", "old"]
    assert found.layers is not None
    assert (len(found.layers.shared), len(found.layers.only_a), len(found.layers.only_b)) == (2, 2, 1)
    assert not found.same


@pytest.mark.processes
def test_keys_and_json(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Builder(home=desk / "home") as builder:
        keys = [builder.key(Environment.load(desk / name)) for name in ("a.json", "b.json")]
    argv = ["diff", keys[0][:12], keys[1][:12], "--output", "json", "--home", str(desk / "home"), "-q"]
    assert main(argv) == 0
    capsys.readouterr()
    assert main([*argv, "--exit-code"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "coopery.diff.v1"
    assert document["same"] is False
    assert [one["name"] for one in document["packages"]["changes"]] == ["lib", "old"]
    assert document["a"]["key"] == keys[0]
    assert document["a"]["image"]["layers"] == 4
    assert {len(document["layers"][name]) for name in ("shared", "only_a", "only_b")} == {2, 1}


@pytest.mark.processes
def test_a_definition_that_was_never_built(diff: Callable[..., Result]) -> None:
    done = diff("a.json", "never.json")
    assert done.exit_code == 0, done.output
    assert "never built or locked here" in done.stdout
    assert "conda.dependencies: lib=1.0 → lib; - old" in done.stdout
    assert "packages:" not in done.stdout


@pytest.mark.processes
def test_what_is_not_there(diff: Callable[..., Result]) -> None:
    for ref, word in (("oci:nowhere", "nothing is there"), ("gone.lock", "no such lock file"), ("zz", "neither")):
        done = diff("a.json", ref)
        assert done.exit_code in (NotFound.exit_code, UsageError.exit_code)
        assert word in done.stderr


def test_artifacts_become_packages() -> None:
    artifact = Artifact("pip", "x", "1", "", "", "x.whl", "s", "aa", 7)
    assert Package.of(artifact) == Package("pip", "x", "1", "", "aa", 7)
