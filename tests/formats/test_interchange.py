"""Locks in and out with real solvers: a channel and an index made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from click.testing import CliRunner

from conda.maker import Channel, add_python
from coopery import Builder, Environment
from coopery.cli.root import root
from coopery.errors import LockFileError, ResolveError, UsageError
from coopery.events import Event, Warned
from coopery.lock import Lock
from coopery.settings import Settings
from formats.samples import A
from pip_resolve.shelf import Shelf, make_source, make_wheel

pytestmark = pytest.mark.processes

DEFINITION = """\
base: scratch
target: {glibc: "2.36"}
conda: {channels: [forge], dependencies: [python=3.11, tool]}
pip: [app]
"""


@frozen
class Project:
    folder: Path
    channel: Channel
    shelf: Shelf
    builder: Builder
    events: list[Event]

    def define(self, text: str = DEFINITION) -> Environment:
        (self.folder / "environment.yaml").write_text(text)
        return Environment.load(self.folder / "environment.yaml")

    def write(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def taken(self, environment: Environment, *files: Path, **how: Any) -> Lock:
        return self.builder.adopt(environment, files, **how).changes[0].after.lock

    def url(self, name: str, subdir: str = "linux-64") -> str:
        return (next((self.channel.root / subdir).glob(f"{name}-*"))).as_uri()

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    channel = Channel(tmp_path / "channel")
    add_python(channel)
    channel.add("library", noarch="generic")
    channel.add("tool", depends=["library >=1"])
    channel.add("tool", version="2.0", depends=["library >=1"])
    channel.add("extra")
    events: list[Event] = []
    settings = Settings(home=tmp_path / "home", channels={"forge": str(channel.root)})
    folder = tmp_path / "project"
    folder.mkdir()
    with Shelf() as shelf:
        shelf.add(make_wheel("app", "1.0", requires=("helper",)), make_wheel("helper", "2.0"))
        with Builder(settings=evolve(settings, index_url=shelf.url), on_event=events.append) as builder:
            yield Project(folder, channel, shelf, builder, events)


@pytest.mark.parametrize("forms", [("pixi",), ("explicit", "pylock"), ("explicit", "requirements")])
def test_out_and_in_again_is_the_same_lock(project: Project, forms: tuple[str, ...]) -> None:
    environment = project.define()
    lock = project.builder.lock(environment)
    kinds = {"explicit": ("conda",), "pylock": ("pip",), "requirements": ("pip",)}
    files = [
        project.write(f"out.{form}", project.builder.publish(environment, lock, form, only=kinds.get(form, ())))
        for form in forms
    ]
    assert project.taken(environment, *files) == lock
    assert project.warnings() == []


def test_the_same_bytes_twice_and_no_credentials(project: Project) -> None:
    environment = project.define()
    lock = project.builder.lock(environment)
    texts = [project.builder.publish(environment, lock, "pixi").decode() for _ in range(2)]
    assert texts[0] == texts[1]
    settings = evolve(project.builder.settings, index_url=project.shelf.url.replace("//", "//me:secret@"))
    with Builder(settings=settings) as other:
        told = other.publish(environment, lock, "pixi").decode()
    assert told == texts[0]


def test_what_was_imported_is_what_a_build_uses(project: Project) -> None:
    environment = project.define(DEFINITION.replace("pip: [app]\n", ""))
    old = f"@EXPLICIT\n{project.url('python')}\n{project.url('library', 'noarch')}\n{project.url('tool-1.0')}\n"
    relock = project.builder.adopt(environment, [project.write("conda.lock", old)])
    relock.save()
    image = project.builder.build(project.define(DEFINITION.replace("pip: [app]\n", "")))
    assert image.lock == relock.changes[0].after.lock.digest
    versions = {artifact.name: artifact.version for artifact in relock.changes[0].after.lock.artifacts}
    assert versions["tool"] == "1.0"


CONDA = DEFINITION.replace("pip: [app]\n", "")


def listed(project: Project, *names: str) -> str:
    lines = [project.url(name, "noarch" if name == "library" else "linux-64") for name in names]
    return "\n".join(["@EXPLICIT", *lines, ""])


def test_hashes_that_a_file_lacks_come_from_the_channel(project: Project) -> None:
    environment = project.define(CONDA)
    lock = project.builder.lock(environment)
    assert project.taken(environment, project.write("a.lock", listed(project, "python", "library", "tool-2.0"))) == lock


def test_an_md5_that_is_another_files(project: Project) -> None:
    environment = project.define(CONDA)
    text = listed(project, "python", "library", "tool-2.0").replace("tool-2.0-0.conda", f"tool-2.0-0.conda#{'0' * 32}")
    with pytest.raises(ResolveError, match=r"a\.lock:4:1: tool-2\.0-0\.conda: expected md5 0{32}, and the channel has"):
        project.taken(environment, project.write("a.lock", text))


def test_a_file_that_the_channel_does_not_list(project: Project) -> None:
    environment = project.define(CONDA)
    text = listed(project, "python", "library", "tool-2.0").replace("tool-2.0-0", "tool-3.0-0")
    with pytest.raises(ResolveError, match=r"a\.lock:4:1: tool-3\.0-0\.conda: .* does not list it"):
        project.taken(environment, project.write("a.lock", text))


def test_packages_must_answer_the_definition(project: Project) -> None:
    environment = project.define(CONDA.replace("tool]", "tool=2]"))
    with pytest.raises(ResolveError, match=r"(?s)a\.lock do not answer the definition.*tool=2: tool 1\.0 0 is locked"):
        project.taken(environment, project.write("a.lock", listed(project, "python", "library", "tool-1.0")))


def test_a_dependency_that_is_left_out_is_missed(project: Project) -> None:
    environment = project.define(CONDA)
    with pytest.raises(ResolveError, match=r"\+ library 1\.0 0"):
        project.taken(environment, project.write("a.lock", listed(project, "python", "tool-2.0")))


def test_packages_too_new_for_the_base(project: Project) -> None:
    project.channel.add("tool", version="3.0", depends=["library", "__glibc >=2.39"])
    environment = project.define(CONDA)
    with pytest.raises(ResolveError, match=r"tool 3\.0 0 -> 2\.0 0"):
        project.taken(environment, project.write("a.lock", listed(project, "python", "library", "tool-3.0")))


def test_what_nothing_needs_is_taken_and_told(project: Project) -> None:
    environment = project.define(CONDA)
    lock = project.taken(
        environment, project.write("a.lock", listed(project, "python", "library", "tool-2.0", "extra"))
    )
    assert "extra" in {artifact.name for artifact in lock.artifacts}
    assert project.warnings()[-1].endswith("though nothing in the definition needs them: extra")


def test_kinds_that_the_definition_has_not(project: Project) -> None:
    lock = project.builder.lock(project.define())
    file = project.write("pixi.lock", project.builder.publish(project.define(), lock, "pixi"))
    with pytest.raises(UsageError, match=r"packages of pip, and the definition has no section pip: app, helper"):
        project.taken(project.define(CONDA), file)
    taken = project.taken(project.define(CONDA), file, without=["app", "helper"])
    assert taken.artifacts == lock.of_kind("conda")


def test_a_section_that_no_file_speaks_of_is_resolved(project: Project) -> None:
    environment = project.define()
    file = project.write("a.lock", listed(project, "python", "library", "tool-1.0"))
    lock = project.taken(environment, file)
    assert [artifact.name for artifact in lock.of_kind("pip")] == ["app", "helper"]
    assert project.warnings() == ["no file lists packages of pip, so these were resolved"]


# --- wheels --------------------------------------------------------------------------------------

PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\n'


def entry(project: Project, name: str, *wheels: Any, more: str = "") -> str:
    files = ", ".join(
        f'{{ url = "https://elsewhere.example/{one.file_name}", hashes = {{ sha256 = "{one.sha256}" }} }}'
        for one in wheels
    )
    version = wheels[0].file_name.split("-")[1]
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}wheels = [{files}]\n'


def test_the_wheel_for_the_target_is_chosen_and_no_foreign_host_is_asked(project: Project) -> None:
    tags = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_39_x86_64", "cp311-cp311-macosx_11_0_arm64")
    wheels = [make_wheel("fast", "3.0", tag=tag) for tag in tags]
    project.shelf.add(*wheels)
    environment = project.define(DEFINITION.replace("[app]", "[fast]"))
    text = PYLOCK + entry(project, "Fast", *wheels)
    found = project.taken(environment, project.write("pylock.toml", text)).of_kind("pip")
    assert [(one.name, one.file_name, one.source, one.size) for one in found] == [
        ("fast", wheels[0].file_name, "pypi", len(wheels[0].data))
    ]


def test_markers_are_those_of_the_target(project: Project) -> None:
    environment = project.define()
    gone = make_wheel("gone", "1.0")
    text = (
        PYLOCK.replace("created", 'default-groups = ["main"]\ncreated')
        + entry(
            project,
            "app",
            make_wheel("app", "1.0", requires=("helper",)),
            more="marker = \"'main' in dependency_groups\"\n",
        )
        + entry(project, "helper", make_wheel("helper", "2.0"), more="marker = \"sys_platform == 'linux'\"\n")
        + entry(project, "gone", gone, more="marker = \"python_version < '3.11' or 'x' in extras\"\n")
    )
    found = project.taken(environment, project.write("pylock.toml", text)).of_kind("pip")
    assert [one.name for one in found] == ["app", "helper"]


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (
            '[[packages]]\nname = "app"\nversion = "1.0"\nsdist = { url = "https://x.example/app-1.0.tar.gz" }\n',
            "only source",
        ),
        ('[[packages]]\nname = "app"\nversion = "1.0"\nvcs = { type = "git" }\n', "is a repository"),
        (
            '[[packages]]\nname = "app"\nversion = "1.0"\nwheels = '
            f'[{{ url = "https://x.example/app-1.0-cp39-cp39-win32.whl", hashes = {{ sha256 = "{A}" }} }}]\n',
            "no wheel of 1.0 runs on Python 3.11.7",
        ),
        (
            '[[packages]]\nname = "app"\nversion = "1.0"\nrequires-python = "<3.9"\nwheels = '
            f'[{{ url = "https://x.example/app-1.0-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }}]\n',
            "needs Python <3.9",
        ),
        (
            '[[packages]]\nname = "app"\nversion = "1.0"\nwheels = '
            '[{ url = "https://x.example/app-1.0-py3-none-any.whl", hashes = { md5 = "0" } }]\n',
            "no sha256",
        ),
    ],
)
def test_wheels_that_cannot_be_had(project: Project, packages: str, words: str) -> None:
    with pytest.raises(ResolveError, match=rf"pylock\.toml:3:1: app: .*{words}"):
        project.taken(project.define(), project.write("pylock.toml", PYLOCK + packages))


def test_another_file_than_the_index_has(project: Project) -> None:
    text = f"app==1.0 --hash=sha256:{A}\nhelper==2.0 --hash=sha256:{A}\n"
    with pytest.raises(ResolveError, match=r"(?s)requirements\.txt:1:1: no wheel of app 1\.0.*txt:2:1: .* helper 2\.0"):
        project.taken(project.define(), project.write("requirements.txt", text))


def test_source_archives_are_never_chosen(project: Project, tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    source = make_source("app", "1.0", f"open({str(sentinel)!r}, 'w')")
    project.shelf.add(source)
    text = f"app==1.0 --hash=sha256:{source.sha256}\n"
    with pytest.raises(ResolveError, match="app"):
        project.taken(project.define(), project.write("requirements.txt", text))
    assert not sentinel.exists()


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def coopery(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("COOPERY_HOME", str(project.builder.home.root))
    monkeypatch.setenv("COOPERY_INDEX_URL", project.shelf.url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project.folder / "config"))
    project.define(DEFINITION.replace("[forge]", f"[{project.channel.root}]"))
    return lambda *args: CliRunner().invoke(root, ["lock", "environment.yaml", *args], prog_name="coopery")


def test_the_command_takes_writes_and_shows(project: Project, coopery: Callable[..., Any]) -> None:
    written = coopery("--as", "pixi", "-o", "pixi.lock")
    assert written.exit_code == 0, written.output
    assert not (project.folder / "environment.lock").exists()
    dry = coopery("--from", "pixi.lock", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "environment.lock would be written: 5 packages for linux/amd64" in dry.output
    assert not (project.folder / "environment.lock").exists()
    assert coopery("--from", "pixi.lock").exit_code == 0
    assert coopery("--check").exit_code == 0
    shown = coopery("--as", "requirements", "--only", "pip")
    assert "app==1.0 \\\n" in shown.output
    refused = coopery("--as", "explicit")
    assert (refused.exit_code, "has no room for packages of pip" in refused.output) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ("--from", "pixi.lock", "--update"),
        ("--from", "pixi.lock", "--check"),
        ("--from", "pixi.lock", "--as", "pixi"),
        ("--as", "pixi", "--dry-run"),
        ("--without", "x"),
        ("--environment", "x"),
        ("--only", "pip"),
        ("--as", "pixi", "-o", "environment.lock"),
        ("--as", "pixi", "-o", "absent/pixi.lock"),
        ("--from", "absent.lock"),
    ],
)
def test_contradictory_options(coopery: Callable[..., Any], args: tuple[str, ...]) -> None:
    result = coopery(*args)
    assert result.exit_code == 2, result.output
    assert "error: " in result.output


def test_mistakes_in_a_file_are_told_with_their_places(project: Project, coopery: Callable[..., Any]) -> None:
    project.write("bad.lock", "@EXPLICIT\npython=3\n")
    result = coopery("--from", "bad.lock")
    assert result.exit_code == LockFileError.exit_code
    assert "bad.lock:2:1" in result.output
