"""A canary in every place that a secret may stand; then builds that succeed and builds that fail; then the sweep.

The real program in a process of its own, real servers on loopback, every word that it prints. Source: the reliability
promises "secrets leak nowhere" and "secrets do not change the key".
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from sweep import Canary, Watch, found, words

from conda.maker import Channel, add_python
from coopery import Builder, Environment, Settings
from coopery.errors import CooperyError
from coopery.events import Event
from coopery.settings import load
from pip_resolve.shelf import Shelf
from settings.servers import Proxy, Site, proxy, serve

pytestmark = pytest.mark.processes

UV_FILES = re.compile(r"^passing file .*/staging/pip-resolve-\w+/(cache/|pylock\.toml$)")
SECRETS = ("index", "path", "password", "token", "netrc", "proxy", "docker")


@define
class Scene:
    """A user's machine with a secret in every place. ``fresh`` puts new ones there."""

    root: Path
    index: Shelf
    private: Site
    hidden: Site
    listed: Site
    between: Proxy
    secrets: dict[str, Canary] = field(factory=dict)

    @property
    def own(self) -> Path:
        return self.root / "ada"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        return kept | {
            "HOME": str(self.own),
            "COOPERY_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONWARNINGS": "default",
        }

    def write(self, **changed: str) -> None:
        """Settings, netrc and Docker's configuration, each with its canary; *changed*: others in place of some."""
        text = {name: canary.quoted for name, canary in self.secrets.items()} | changed
        folder = self.own / ".config" / "coopery"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.toml").write_text(
            f'proxy = "http://ada:{text["proxy"]}@127.0.0.1:{self.between.port}"\n'
            f'index_url = "http://ada:{text["index"]}@index.test/t/{text["path"]}/simple"\n'
            "[channels]\n"
            f'private = "http://ada:{text["password"]}@private.test/private"\n'
            f'hidden = "http://hidden.test/t/{text["token"]}/hidden"\n'
            'listed = "http://listed.test/listed"\n'
        )
        (self.own / ".netrc").write_text(f"machine listed.test login ada password {self.secrets['netrc'].text}\n")
        (self.own / ".docker").mkdir(exist_ok=True)
        auth = base64.b64encode(f"ada:{self.secrets['docker'].text}".encode()).decode()
        auths = {f"127.0.0.1:{self.private.port}": {"auth": auth}}
        (self.own / ".docker" / "config.json").write_text(json.dumps({"auths": auths}))

    def definition(self, *packages: str, pip: tuple[str, ...] = ("wheel-a",), name: str = "environment") -> Path:
        document: dict[str, Any] = {
            "base": "scratch",
            "target": {"glibc": "2.36"},
            "conda": {"channels": ["private", "hidden", "listed"], "dependencies": ["python", *packages]},
            "pip": {"requirements": list(pip)},
            "build": {"bytecode": False},
        }
        path = self.root / "work" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        return path

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """The program, to its end; then the sweep of all that it left and said."""
        with Watch(folders=[self.temporary, self.home / "staging"]) as watch:
            done = subprocess.run(
                [sys.executable, "-X", "dev", "-m", "coopery", *argv],
                env=self.environ(),
                cwd=self.root / "work",
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert watch.processes
        self.swept(watch, stdout=done.stdout, stderr=done.stderr)
        return done

    def swept(self, watch: Watch | None = None, **texts: str) -> None:
        folders = [self.home, self.temporary, self.root / "work"]
        for name, canary in self.secrets.items():
            places = found(canary, folders=folders, texts=texts, watched=watch)
            if name == "path":  # uv keeps URLs: in a folder that is ours alone, for as long as it runs
                places = [place for place in places if not UV_FILES.search(place)]
            assert places == [], name


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for variable in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("COOPERY_")]:
        monkeypatch.delenv(variable)
    made = {name: Canary.make() for name in SECRETS}
    # A token is one word of a path: servers see it as it was written.
    made |= {name: Canary(made[name].text[:16]) for name in ("token", "path")}
    sites = tmp_path / "www"
    for name, packages in (("private", ("a",)), (f"t/{made['token'].text}/hidden", ("b",)), ("listed", ("c",))):
        channel = Channel(sites / name)
        for package in packages:
            channel.add(package)
        if name == "private":
            add_python(channel)
    for folder in ("ada", "tmp", "work"):
        (tmp_path / folder).mkdir()
    with ExitStack() as stack:
        index = stack.enter_context(Shelf(user=f"ada:{made['index'].text}", below=f"/t/{made['path'].text}"))
        index.wheel("wheel-a", "1.0")
        private = stack.enter_context(serve(sites, login=f"ada:{made['password'].text}"))
        hidden = stack.enter_context(serve(sites))
        listed = stack.enter_context(serve(sites, login=f"ada:{made['netrc'].text}"))
        ports = {"private.test": private.port, "hidden.test": hidden.port, "listed.test": listed.port}
        ports["index.test"] = int(index.host.rpartition(":")[2])
        between = stack.enter_context(proxy(ports, login=f"ada:{made['proxy'].text}"))
        scene = Scene(tmp_path, index, private, hidden, listed, between, made)
        scene.write()
        yield scene


def test_a_build_that_used_every_secret_keeps_none(scene: Scene) -> None:
    done = scene.run("build", str(scene.definition("a", "b", "c")), "--output", "json")
    assert done.returncode == 0, done.stderr
    for name, canary in scene.secrets.items():  # the sweep sees each where it stands by right
        assert found(canary, folders=[scene.own]), name
    assert scene.private.asked
    assert scene.hidden.asked
    assert scene.listed.asked
    assert scene.index.asked
    assert all(given for _, _, given in scene.between.asked)
    (image,) = json.loads(done.stdout)["images"]
    assert image["made"]["layers_made"] >= 4
    for argv in (
        ("build", "environment.json"),
        ("lock", "environment.json", "-o", "-"),
        ("details", "environment.json", "--output", "json"),
        ("logs", "environment.json"),
        ("plan", "environment.json"),
        ("list", "--output", "json"),
        ("settings",),
        ("settings", "--output", "json"),
        ("build", "environment.json", "--rebuild"),
        ("build", "environment.json", "--to", "oci-archive:exported.tar"),
        ("build", "environment.json", "--to", "docker-archive:exported.docker.tar"),
    ):
        assert scene.run(*argv).returncode == 0, argv


def _wrong(secret: str) -> Callable[[Scene], tuple[str, ...]]:
    """The server wants another one than what is given: the refusal must not tell what was given."""

    def change(scene: Scene) -> tuple[str, ...]:
        other = Canary.make()
        scene.secrets[f"wrong {secret}"] = other
        if secret == "netrc":  # noqa: S105 - the name of a place, no password
            scene.secrets["netrc"] = other
            scene.write()
        else:
            scene.write(**{secret: other.quoted})
        return ("build", str(scene.definition("a", "b", "c")))

    return change


def _missing_package(scene: Scene) -> tuple[str, ...]:
    return ("build", str(scene.definition("a", "nowhere>=2")), "--output", "json")


def _missing_wheel(scene: Scene) -> tuple[str, ...]:
    return ("lock", str(scene.definition("a", pip=("nowhere>=2",))), "-o", "-")


def _nobody_listens(scene: Scene) -> tuple[str, ...]:
    path = scene.own / ".config" / "coopery" / "settings.toml"
    path.write_text(path.read_text().replace(f"127.0.0.1:{scene.between.port}", "127.0.0.1:1"))
    return ("build", str(scene.definition("a")))


def _changed_package(scene: Scene) -> tuple[str, ...]:
    for path in (scene.root / "www").rglob("b-*.conda"):
        path.write_bytes(path.read_bytes() + b"more")
    return ("build", str(scene.definition("a", "b")))


def _settings_mistake(scene: Scene) -> tuple[str, ...]:
    path = scene.own / ".config" / "coopery" / "settings.toml"
    path.write_text(path.read_text().replace("http://ada", "ftp://ada").replace("hidden.test", "hidden test"))
    return ("build", str(scene.definition("a")))


def _netrc_mistake(scene: Scene) -> tuple[str, ...]:
    path = scene.own / ".netrc"
    path.write_text(path.read_text().replace("password", "passwd"))
    return ("build", str(scene.definition("a", "c")))


def _push_refused(scene: Scene) -> tuple[str, ...]:
    scene.run("build", str(scene.definition("a")))
    return ("push", "environment.json", f"127.0.0.1:{scene.private.port}/ours/image:tag")


FAILURES = {
    "wrong index password": _wrong("index"),
    "wrong channel password": _wrong("password"),
    "wrong channel token": _wrong("token"),
    "wrong netrc": _wrong("netrc"),
    "wrong proxy password": _wrong("proxy"),
    "no such package": _missing_package,
    "no such wheel": _missing_wheel,
    "no such proxy": _nobody_listens,
    "another sha256": _changed_package,
    "settings with mistakes": _settings_mistake,
    "netrc with mistakes": _netrc_mistake,
    "push refused": _push_refused,
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
def test_a_build_that_failed_tells_none(scene: Scene, failure: str) -> None:
    done = scene.run(*FAILURES[failure](scene))
    assert done.returncode not in (0, 1), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    scene.run("logs", "environment.json")


@pytest.mark.slow
def test_nothing_in_python_shows_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, exceptions with their causes, logging at DEBUG, and the representations of what holds the secrets."""
    import logging

    told: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record)

    handler = Keep(logging.DEBUG)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name, value in scene.environ().items():
        monkeypatch.setenv(name, value)
    settings = load(scene.environ(), scene.root / "work")
    events: list[Event] = []
    errors: list[str] = []
    try:
        for number, packages in enumerate((("a", "b", "c"), ("nowhere",), ("a", "c=9"))):
            with Builder(settings=settings, on_event=events.append) as builder:
                environment = Environment.load(scene.definition(*packages, name=f"n{number}"))
                try:
                    image = builder.build(environment)
                    errors.append(repr(image))
                except CooperyError as exc:
                    errors.append(words(exc))
                held = [builder, builder.settings, builder.workshop(builder.emit), builder.ledger, builder.redactor]
                errors.append(repr(held) + repr(vars(builder)))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert len(errors) == 6
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_info}" for record in told)
    scene.swept(events=repr(events), errors="\n".join(errors), logged=logged)


def test_secrets_do_not_change_the_key(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text(json.dumps({"base": "scratch", "conda": {"channels": ["private"], "dependencies": ["a"]}}))
    one = Settings(home=tmp_path, channels={"private": "http://ada:one@h/x"}, proxy="http://ada:one@p:1")
    two = evolve(one, channels={"private": "http://h/t/two/x"}, proxy="", index_url="https://ada:two@i/simple")
    keys = {Builder(settings=settings).key(Environment.load(path)) for settings in (one, two)}
    assert len(keys) == 1
