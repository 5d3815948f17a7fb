"""What `export` writes for other tools: hostile text stays text, and it really builds, to the same files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import parts
from conda.maker import Channel
from coopery import Builder, Environment, Image
from coopery.errors import UsageError
from coopery.export import apptainer_definition, dockerfile
from coopery.export.recipe import Part, Recipe
from coopery.oci.flatten import flatten
from trunk.rootfs import MERGED, pack, shell
from trunk.small import fill

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

HOSTILE = 'a"b\\c $HOME \\$X ${Y:-z} `id` %post # escape'
PRINT = "printf '%s\\n' \"$QUOTED\""
ENV = {"QUOTED": HOSTILE, "MORE": "$QUOTED!"}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A shell and a few conda packages, with a variable that no grammar likes."""
    folder = tmp_path / "definition"
    folder.mkdir()
    fill(Channel(folder / "channel"))
    pack(folder / "rootfs.tar", shell(), MERGED, ["tmp", "opt"])
    (folder / "data").mkdir()
    (folder / "data" / "it's $odd").write_text("odd\n")
    document = {
        "name": "demo",
        "base": {"rootfs": "rootfs.tar"},
        "steps": [{"env": ENV}, {"copy": "data", "to": "/data dir"}, {"workdir": "/data dir"}],
        "target": {"glibc": "2.36"},
        "conda": {"channels": ["./channel"], "dependencies": ["tool", "pure"]},
        "build": {"bytecode": False},
    }
    return Environment.from_dict(document, folder)


@pytest.fixture
def built(environment: Environment, tmp_path: Path) -> Iterator[tuple[Builder, Image]]:
    with Builder(home=tmp_path / "home", backend="oci") as builder:
        yield builder, builder.build(environment)


def listing(tar: bytes, below: tuple[str, ...] = ("opt/env/", "data dir/")) -> dict[str, tuple]:
    """Path → kind, mode, link, content of what lies below the prefix and of what was copied."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            name = member.name.removeprefix("./").removeprefix("/")
            if name.startswith(below) and not member.isdir():
                target = member.linkname.removeprefix("./") if member.islnk() else member.linkname
                source = archive.extractfile(target if member.islnk() else member) if not member.issym() else None
                content = hashlib.sha256(source.read()).hexdigest() if source else ""
                found[name] = (
                    "link" if member.issym() else "file",
                    member.mode & 0o7777,
                    target * member.issym(),
                    content,
                )
    return found


def expected(builder: Builder, image: Image) -> dict[str, tuple]:
    from coopery.engines.elsewhere import assembled

    stream = io.BytesIO()
    flatten(assembled(builder, image).layers, builder.home.blobs, stream)
    return listing(stream.getvalue())


def output(*argv: str | Path, cwd: Path | None = None) -> bytes:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:].decode(errors="replace")
    return done.stdout


def variables(text: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in json.loads(text)[0]["Config"]["Env"])


def check_engine(
    engine: str, context: Path, name: str, run: list[str]
) -> tuple[dict[str, tuple], dict[str, str], dict]:
    """Build *context* with *engine*; its files, variables and config."""
    output(*run, "build", "-t", name, context)
    try:
        inspected = output(engine, "image", "inspect", name)
        container = output(*run, "create", name, "/bin/sh").decode().split()[-1]
        try:
            files = listing(output(engine, "export", container))
        finally:
            output(engine, "rm", container)
        return files, variables(inspected), json.loads(inspected)[0]["Config"]
    finally:
        output(engine, "rmi", name)


@pytest.mark.parametrize(
    ("form", "engine"),
    [
        pytest.param("dockerfile", "docker", marks=pytest.mark.needs("docker")),
        pytest.param("dockerfile", "podman", marks=pytest.mark.needs("podman")),
        pytest.param("devcontainer", "docker", marks=pytest.mark.needs("docker")),
    ],
)
def test_it_builds_to_the_same_files(built: tuple[Builder, Image], tmp_path: Path, engine: str, form: str) -> None:
    builder, image = built
    written = Path(builder.export(image, f"{form}:{tmp_path / 'out'}"))
    context = written / ".devcontainer" if form == "devcontainer" else written
    options = ["--runtime", "runc"] if engine == "podman" else []
    files, env, config = check_engine(engine, context, f"coopery-test-{os.getpid()}", [engine, *options])
    assert files == expected(builder, image)
    assert len(files) > 10
    assert config["WorkingDir"] == "/data dir"
    own = dict(text.split("=", 1) for text in json.loads(_config(builder, image))["config"]["Env"])
    assert env == own
    assert env["QUOTED"].startswith('a"b\\c ')


@pytest.mark.needs("apptainer")
def test_an_apptainer_definition_builds_to_the_same_files(built: tuple[Builder, Image], tmp_path: Path) -> None:
    builder, image = built
    with ordinary_folder() as (folder, user):
        builder.export(image, f"apptainer:{tmp_path / 'demo.def'}")
        shutil.move(tmp_path / "demo.def", folder / "demo.def")
        shutil.move(tmp_path / "demo.layers", folder / "demo.layers")
        output("chown", "-R", user, folder)
        program = parts.REPOSITORY / "build" / "apptainer" / "usr" / "bin" / "apptainer"
        run = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
        output(*run, program, "build", "--sandbox", folder / "root", folder / "demo.def", cwd=folder)
        files = listing(output("tar", "-c", "-C", folder / "root", "opt/env", "data dir"))
        env = output(*run, program, "exec", "--cleanenv", folder / "root", "/bin/sh", "-c", PRINT, cwd=folder)
    assert files == expected(builder, image)
    own = dict(text.split("=", 1) for text in json.loads(_config(builder, image))["config"]["Env"])
    assert env.decode() == own["QUOTED"] + "\n"


@contextmanager
def ordinary_folder() -> Iterator[tuple[Path, str]]:
    """A folder that an ordinary user with ids of its own can write, and that user."""
    import pwd
    import tempfile

    users = [line.partition(":")[0] for line in Path("/etc/subuid").read_text().splitlines()]
    me = pwd.getpwuid(os.geteuid()).pw_name
    user = me if os.geteuid() else next(name for name in users if name != "root" and pwd.getpwnam(name).pw_uid)
    folder = Path(tempfile.mkdtemp(prefix="coopery-export-"))
    folder.chmod(0o755)
    try:
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _config(builder: Builder, image: Image) -> bytes:
    return builder.home.blobs.read(image.id)


def recipe(*steps: Part, **settings: object) -> Recipe:
    return Recipe("n", ("environment n",), "linux/amd64", "host/x:1@sha256:0", (), steps, (), settings)


@pytest.mark.parametrize("value", ["a\nRUN id", "a\rb", "a\x00b", "a\u2028b"])
@pytest.mark.parametrize("kind", ["env", "user", "workdir"])
def test_no_value_can_begin_an_instruction(kind: str, value: str) -> None:
    part = Part("env", {"A": value}) if kind == "env" else Part(kind, value)
    with pytest.raises(UsageError, match="line break"):
        dockerfile.text_of(recipe(part), {})


def test_a_script_of_many_lines_is_one_instruction() -> None:
    text = dockerfile.text_of(
        recipe(Part("run", 'echo "a"\n# escape=`\nFROM scratch\n', secrets=("t",), network=False)), {}
    )
    lines = text.splitlines()
    assert lines[-1] == (
        "RUN --mount=type=secret,id=t,target=/run/secrets/t --network=none "
        '["/bin/sh", "-e", "-c", "echo \\"a\\"\\n# escape=`\\nFROM scratch\\n"]'
    )
    assert sum(line.startswith("FROM") for line in lines) == 1


def test_facts_are_comments_and_no_directives() -> None:
    made = Recipe("n", ("environment x\nRUN id", "key k"), "linux/amd64", "", (), (), (), {})
    lines = dockerfile.text_of(made, {}).splitlines()
    assert lines[0] == "# environment x RUN id"
    assert [line for line in lines if not line.startswith("#")] == ["FROM --platform=linux/amd64 scratch"]


def test_what_is_there_is_not_overwritten(built: tuple[Builder, Image], tmp_path: Path) -> None:
    builder, image = built
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UsageError, match="something is there already"):
        builder.export(image, f"dockerfile:{tmp_path / 'out'}")
    (tmp_path / "x.def").touch()
    with pytest.raises(UsageError, match="something is there already"):
        builder.export(image, f"apptainer:{tmp_path / 'x.def'}")
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_a_devcontainer_names_the_interpreter(built: tuple[Builder, Image], tmp_path: Path) -> None:
    builder, image = built
    builder.export(image, f"devcontainer:{tmp_path / 'project'}")
    found = json.loads((tmp_path / "project" / ".devcontainer" / "devcontainer.json").read_text())
    assert found["name"] == "demo"
    assert found["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"] == image.interpreter
    assert found["build"] == {"dockerfile": "Dockerfile", "context": "."}


def test_details_has_the_dockerfile_without_building(built: tuple[Builder, Image]) -> None:
    builder, image = built
    text = builder.dockerfile(image.key)
    assert "FROM --platform=linux/amd64 scratch" in text
    assert "WORKDIR /data dir" in text
    assert sum(line.startswith("ADD ") for line in text.splitlines()) == image.layers


def test_the_same_image_is_written_the_same_twice(built: tuple[Builder, Image], tmp_path: Path) -> None:
    builder, image = built
    for name in ("one", "two"):
        builder.export(image, f"dockerfile:{tmp_path / name}")
    one, two = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_variables_of_one_step_do_not_see_each_other() -> None:
    """As in the step itself: each is expanded with what was there before."""
    made = recipe(Part("env", {"A": "1", "B": "$A-b"}), Part("run", "id"))
    assert 'ENV A="1" B="$A-b"' in dockerfile.text_of(made, {}).splitlines()
    assert '    export A="1" B="$A-b"' in apptainer_definition.text_of(made, "layers", {}, "").splitlines()


def test_steps_of_a_definition_begin_where_the_base_says() -> None:
    run, moved = Part("run", "pwd"), Part("workdir", "/else where")
    text = apptainer_definition.text_of(recipe(run, WorkingDir="/work dir"), "layers", {}, "")
    assert "\n%post\n    [ -d '/work dir' ] || mkdir -p '/work dir'; cd '/work dir' || exit 1\n" in text
    text = apptainer_definition.text_of(recipe(moved, run, WorkingDir="/else where"), "layers", {}, "")
    assert "\n%post\n    cd '/else where' || exit 1\n" in text


def test_a_base_of_no_registry_keeps_all_that_its_config_says() -> None:
    settings = {
        "User": "app",
        "WorkingDir": "/work dir",
        "Healthcheck": {"Test": ["CMD", "a b"], "Interval": 30_000_000_000, "Timeout": 1_000_000_000, "Retries": 3},
        "Shell": ["/bin/sh", "-x", "-c"],
        "StopSignal": "SIGUSR1",
        "OnBuild": ["RUN id", "COPY . /x"],
    }
    made = Recipe("n", (), "linux/amd64", "", (), (Part("run", "pwd"),), (), settings)
    lines = [line for line in dockerfile.text_of(made, {}).splitlines() if not line.startswith("#")]
    assert lines[1:4] == ["WORKDIR /work dir", "USER app", 'RUN ["/bin/sh", "-e", "-c", "pwd"]']
    assert lines[-5:] == [
        "STOPSIGNAL SIGUSR1",
        'HEALTHCHECK --interval=30000000000ns --timeout=1000000000ns --retries=3 CMD ["a b"]',
        'SHELL ["/bin/sh", "-x", "-c"]',
        "ONBUILD RUN id",
        "ONBUILD COPY . /x",
    ]


@pytest.mark.parametrize(
    ("test", "line"),
    [
        (["NONE"], "HEALTHCHECK NONE"),
        (["CMD-SHELL", "curl -f $URL || exit 1"], "HEALTHCHECK CMD curl -f $URL || exit 1"),
        ([], ""),
    ],
)
def test_each_form_of_a_health_check_is_written(test: list[str], line: str) -> None:
    made = Recipe("n", (), "linux/amd64", "", (), (), (), {"Healthcheck": {"Test": test}})
    assert dockerfile.text_of(made, {}).splitlines()[2:] == ([line] if line else [])


@pytest.mark.parametrize("settings", [{"OnBuild": ["RUN a\nRUN b"]}, {"Healthcheck": {"Test": ["CMD-SHELL", "a\nb"]}}])
def test_no_line_of_the_bases_begins_an_instruction(settings: dict) -> None:
    with pytest.raises(UsageError, match="line break"):
        dockerfile.text_of(Recipe("n", (), "linux/amd64", "", (), (), (), settings), {})


@pytest.mark.parametrize("told", ["x", ["CMD"], {"Test": "CMD"}, {"Test": ["CMD", "a"], "Interval": "1\nRUN id"}])
def test_a_health_check_of_another_form_is_no_instruction_of_its_own(told: object) -> None:
    made = Recipe("n", (), "linux/amd64", "", (), (), (), {"Healthcheck": told})
    lines = dockerfile.text_of(made, {}).splitlines()[2:]
    assert lines in ([], ['HEALTHCHECK CMD ["a"]'])


def test_what_not_every_builder_has_is_named() -> None:
    text = dockerfile.text_of(recipe(Part("run", "id", network=False)), {})
    assert "# RUN --network: by docker buildx" in text
    assert "by docker buildx" not in dockerfile.text_of(recipe(Part("run", "id")), {})


@pytest.mark.parametrize("triggers", [None, ["RUN id"]])
def test_a_base_with_triggers_is_a_tar_so_that_nothing_runs_them(triggers: list[str] | None) -> None:
    from types import SimpleNamespace

    from coopery.digest import of_bytes
    from coopery.export.recipe import of
    from coopery.image import Assembled, encode
    from coopery.layer import Layer

    layer = Layer(of_bytes(b"x"), of_bytes(b"x"), 1)
    config = {"OnBuild": triggers} if triggers else {}
    document = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"diff_ids": [layer.diff_id]}}
    known = SimpleNamespace(
        identity={"base": {"image": "host/x:1"}}, below=1, base_layers=1, base="sha256:0", name="", key="k",
        lock=None, interpreter=None,
    )  # fmt: skip
    found = of(Assembled(encode(document), (layer,)), known)  # type: ignore[arg-type]
    assert (found.base, found.base_layers) == (("", (layer,)) if triggers else ("host/x:1@sha256:0", ()))
