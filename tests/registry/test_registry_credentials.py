"""Logins in files and helpers, as Docker and Podman keep them."""

from __future__ import annotations

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from registry_logins import CANARY, environment

from coopery.errors import UsageError
from coopery.events import Event, Warned
from coopery.registry import Credentials, helper
from coopery.registry.auth_files import paths


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def find(folder: Path, host: str, repository: str = "") -> str | None:
    found = Credentials(environment(folder)).find(host, repository)
    return None if found is None else f"{found.user}:{found.password}"


@pytest.mark.parametrize(
    ("key", "host", "repository"),
    [
        ("registry.example", "registry.example", ""),
        ("registry.example:5000", "registry.example:5000", "a/b"),
        ("https://registry.example/v1/", "registry.example", "a"),
        ("https://registry.example/v2/", "registry.example", "a"),
        ("http://registry.example", "registry.example", "a"),
        ("Registry.Example", "registry.example", "a"),
        ("https://index.docker.io/v1/", "docker.io", "library/debian"),
        ("docker.io", "docker.io", "library/debian"),
        ("registry.example/team", "registry.example", "team/app"),
        ("registry.example/team/app", "registry.example", "team/app"),
    ],
)
def test_keys(tmp_path: Path, key: str, host: str, repository: str) -> None:
    write(tmp_path / "config.json", {"auths": {key: auth("me", "p:w")}})
    assert find(tmp_path, host, repository) == "me:p:w"


@pytest.mark.parametrize(
    "key", ["other.example", "registry.example:5000", "registry.example/other", "registry.example.evil"]
)
def test_keys_of_others(tmp_path: Path, key: str) -> None:
    write(tmp_path / "config.json", {"auths": {key: auth("me", "pw")}})
    assert find(tmp_path, "registry.example", "team/app") is None


def test_the_longest_path_counts(tmp_path: Path) -> None:
    entries = {"r.example": auth("host", "1"), "r.example/a": auth("a", "2"), "r.example/a/b": auth("ab", "3")}
    write(tmp_path / "config.json", {"auths": entries})
    assert [find(tmp_path, "r.example", name) for name in ("a/b", "a/b/c", "a/x", "x", "")] == [
        "ab:3", "ab:3", "a:2", "host:1", "host:1",
    ]  # fmt: skip


def test_the_order_of_files(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path / "home"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    order = ["docker/config.json", "run/containers/auth.json", "home/.config/containers/auth.json"]
    assert [str(path.relative_to(tmp_path)) for path in paths(environ)] == order
    for name in reversed(order):
        write(tmp_path / name, {"auths": {"r.example": auth(name, "pw")}})
        found = Credentials(environ).find("r.example")
        assert found is not None
        assert found.user == name
    del environ["DOCKER_CONFIG"]
    assert str(paths(environ)[-1].relative_to(tmp_path)) == "home/.docker/config.json"
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "alone.json")
    assert Credentials(environ).find("r.example") is None


def test_a_file_that_knows_nobody_does_not_hide_the_next(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    write(tmp_path / "run/containers/auth.json", {"auths": {"r.example": {}}})
    write(tmp_path / ".docker/config.json", {"auths": {"r.example": {"username": "me", "password": "pw"}}})
    found = Credentials(environ).find("r.example")
    assert found is not None
    assert (found.user, found.password, found.found) == ("me", "pw", str(tmp_path / ".docker/config.json"))
    assert "pw" not in repr(found)


@pytest.mark.parametrize(
    "document",
    [
        f'{{"auths": {{"r.example": {{"auth": "{CANARY}"',
        f'["{CANARY}"]',
        {"auths": CANARY},
        {"auths": {"r.example": CANARY}},
        {"auths": {"r.example": {"auth": 7, "password": CANARY}}},
        {"auths": {"r.example": {"auth": CANARY}}},
        {"auths": {"r.example": {"auth": base64.b64encode(CANARY.encode()).decode()}}},
        {"auths": {"r.example": auth("me", "pw")}, "credHelpers": {"r.example": 7}},
        {"auths": {}, "credsStore": [CANARY]},
        {"credHelpers": {"r.example": "../../bin/sh"}},
        {"credHelpers": {"r.example": f"-x;{CANARY[:0]}"}},
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, document: Any) -> None:
    write(tmp_path / "config.json", document)
    with pytest.raises(UsageError) as caught:
        find(tmp_path, "r.example")
    inner: BaseException | None = caught.value
    while inner is not None:
        assert CANARY not in f"{inner} {inner!r} {vars(inner)}"
        inner = inner.__cause__
    assert "config.json" in str(caught.value) or "helper" in str(caught.value)


def test_an_empty_file_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path / "config.json", "")
    assert find(tmp_path, "r.example") is None


def test_loose_permissions_are_the_users_choice(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"auths": {"r.example": auth("me", "pw")}})
    (tmp_path / "config.json").chmod(0o666)
    assert find(tmp_path, "r.example") == "me:pw"


# Helpers


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH for helper programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def a_helper(folder: Path, name: str, body: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!{sys.executable} -I\nimport json, sys, time\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


ANSWER = 'asked = sys.stdin.read(); print(json.dumps({"ServerURL": asked, "Username": sys.argv[1], "Secret": asked}))'


@pytest.mark.processes
def test_a_helper_for_one_host_and_one_for_all(tmp_path: Path, helpers: Path) -> None:
    a_helper(helpers, "one", ANSWER.replace("sys.argv[1]", "'one'"))
    a_helper(helpers, "all", ANSWER.replace("sys.argv[1]", "' '.join(sys.argv[1:])"))
    write(
        tmp_path / "config.json", {"credHelpers": {"r.example": "one"}, "credsStore": "all", "auths": {"b.example": {}}}
    )
    assert find(tmp_path, "r.example") == "one:r.example"
    assert find(tmp_path, "b.example:5000") == "get:b.example:5000"
    assert find(tmp_path, "docker.io", "library/debian") == "get:https://index.docker.io/v1/"


@pytest.mark.processes
def test_a_helper_is_asked_once_for_each_host(tmp_path: Path, helpers: Path) -> None:
    a_helper(
        helpers,
        "all",
        f"open({str(tmp_path / 'log')!r}, 'a').write('x'); {ANSWER.replace('sys.argv[1]', '1 and str(1)')}",
    )
    write(tmp_path / "config.json", {"credsStore": "all"})
    logins = Credentials(environment(tmp_path))
    for host in ("a.example", "b.example", "a.example"):
        logins.find(host)
    assert (tmp_path / "log").read_text() == "xx"


@pytest.mark.processes
def test_an_identity_token_of_a_helper(helpers: Path) -> None:
    a_helper(helpers, "t", """print('{"Username": "<token>", "Secret": "tk"}')""")
    found = helper.ask("t", "r.example")
    assert found is not None
    assert (found.user, found.password, found.identity_token) == ("", "", "tk")


@pytest.mark.processes
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_helper_that_knows_nobody(tmp_path: Path, helpers: Path, stream: str) -> None:
    a_helper(helpers, "all", f"sys.{stream}.write('credentials not found in native keychain'); sys.exit(1)")
    write(tmp_path / "config.json", {"credsStore": "all", "auths": {"r.example": auth("me", "pw")}})
    assert find(tmp_path, "r.example") == "me:pw"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f"print('{CANARY}'); sys.exit(1)", "status 1"),
        (f"print('{CANARY}')", "Username"),
        (f"print(json.dumps(['{CANARY}']))", "Username"),
        (f"print(json.dumps({{'Username': '{CANARY}', 'Secret': 7}}))", "Username"),
        (f"print('{CANARY}', flush=True); time.sleep(60)", "no answer"),
    ],
)
def test_a_helper_that_fails(helpers: Path, body: str, said: str) -> None:
    a_helper(helpers, "bad", body)
    with pytest.raises(UsageError, match=said) as caught:
        helper.ask("bad", "r.example", seconds=0.5)
    inner: BaseException | None = caught.value
    while inner is not None:
        assert CANARY not in f"{inner} {inner!r} {vars(inner)}"
        inner = inner.__cause__


def test_a_helper_that_is_not_there(tmp_path: Path, helpers: Path) -> None:
    told: list[Event] = []
    write(tmp_path / "config.json", {"credsStore": "desktop", "auths": {"r.example": auth("me", "pw")}})
    logins = Credentials(environment(tmp_path), emit=told.append)
    found = logins.find("r.example")
    assert found is not None
    assert found.user == "me"
    assert logins.find("b.example") is None
    (warning,) = [event.message for event in told if isinstance(event, Warned)]
    assert "docker-credential-desktop is not installed" in warning
    write(tmp_path / "config.json", {"credHelpers": {"r.example": "ecr-login"}})
    with pytest.raises(UsageError, match="cannot be started"):
        find(tmp_path, "r.example")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "--help",
        "a b",
        "a/b",
        "../x",
        "a\nb",
        "a\x00b",
        ".",
        "..",
        "a;b",
        "$(x)",
        "`x`",
        "ü",
        "a" * 100,
        "|x",
        "@f",
        "a=b",
    ],
)
def test_names_that_no_program_of_ours_has(name: str) -> None:
    """PROMISES 32: refused by grammar before anything is started."""
    with pytest.raises(UsageError, match="no name"):
        helper.check_name(name)
