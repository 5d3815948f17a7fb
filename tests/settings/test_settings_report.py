"""``coopery settings``: each value, who said so, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from coopery import Builder, Settings
from coopery.cli.root import root
from coopery.settings.report import report
from settings.conftest import Machine

CANARY = "c4n4ry/+ é"
CODED = "c4n4ry%2F%2B%20%C3%A9"


def test_every_setting_has_an_origin(machine: Machine) -> None:
    machine.user('compression = "zstd"\n[channels]\nconda-forge = "https://a.example/cf"\n')
    machine.environ["COOPERY_HOME"] = "/somewhere"
    found = report(machine.load(), machine.environ, machine.project, system=machine.system_file)
    shown = {one.name: (one.value, one.origin) for one in found.values}
    assert shown["compression"] == ("zstd", f"{machine.user_file}:1")
    assert shown["channels.conda-forge"] == ("https://a.example/cf", f"{machine.user_file}:3")
    assert shown["home"] == ("/somewhere", "$COOPERY_HOME")
    assert shown["backend"] == ("", "default")
    assert shown["plain_http"] == ((), "default")


def test_files_that_were_looked_at(machine: Machine) -> None:
    machine.user("")
    environ = {"HOME": str(machine.own)}
    found = report(machine.load(), environ, machine.project, system=machine.system_file)
    assert [(file.path, file.found) for file in found.files] == [
        (str(machine.system_file), False),
        (str(machine.user_file), True),
        (str(machine.project / ".coopery.toml"), False),
    ]


def test_logins_are_present_or_absent_and_never_shown(machine: Machine) -> None:
    machine.user(
        f'proxy = "http://ada:{CODED}@proxy.example:3128"\n'
        f'index_url = "https://ada:{CODED}@index.example/simple"\n'
        f'[channels]\nours = "https://conda.example/t/{CODED}/ours"\ntheirs = "https://netrc.example/theirs"\n'
    )
    (machine.own / ".netrc").write_text(f"machine netrc.example login ada password {CANARY.split(maxsplit=1)[0]}\n")
    environ = {"HOME": str(machine.own)}
    settings = machine.load()
    found = report(settings, environ, machine.project, system=machine.system_file)
    assert {(one.host, one.of): one.found for one in found.logins} == {
        ("conda.anaconda.org", "channel_alias"): "",
        ("conda.example", "channels"): "its URL",
        ("netrc.example", "channels"): str(machine.own / ".netrc"),
        ("index.example", "index_url"): "its URL",
        ("netrc.example", "netrc"): str(machine.own / ".netrc"),
        ("proxy.example:3128", "proxy"): "its URL",
    }
    for text in (repr(found), repr(settings), str(settings)):
        assert "c4n4ry" not in text
    assert {"c4n4ry/+ é", CODED} <= set(settings.secrets())


def test_logins_of_registries_are_named_and_no_helper_runs(machine: Machine) -> None:
    (machine.own / ".docker").mkdir()
    config = {
        "auths": {"ghcr.io": {"auth": "YWRhOmNhbmFyeQ=="}, "empty.example": {}},
        "credHelpers": {"ecr.example": "ecr-login"},
        "credsStore": "desktop",
    }
    (machine.own / ".docker" / "config.json").write_text(json.dumps(config))
    environ = {"HOME": str(machine.own), "PATH": "/nonexistent"}
    found = report(machine.load(), environ, machine.project, system=machine.system_file)
    assert {one.host: one.found for one in found.logins if one.of == "registry"} == {
        "ghcr.io": str(machine.own / ".docker" / "config.json"),
        "ecr.example": "docker-credential-ecr-login",
        "all others": "docker-credential-desktop",
    }
    assert "YWRh" not in repr(found)


def test_proxies_of_the_environment_are_shown_masked(machine: Machine) -> None:
    environ = {"https_proxy": "http://ada:canary@p.example:1", "NO_PROXY": "localhost"}
    found = report(machine.load(), environ, machine.project, system=machine.system_file)
    shown = {one.name: one.value for one in found.values}
    assert shown["https_proxy"] == "http://***@p.example:1"
    assert shown["NO_PROXY"] == "localhost"


def test_the_command(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.user('proxy = "http://ada:canary@proxy.example:3128"\n')
    for name in ("XDG_CONFIG_HOME", "COOPERY_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(machine.own))
    monkeypatch.chdir(machine.project)
    result = CliRunner().invoke(root, ["settings"])
    assert result.exit_code == 0, result.output
    assert "http://***@proxy.example:3128" in result.output
    document = json.loads(CliRunner().invoke(root, ["settings", "--output", "json"]).stdout)
    assert document["schema"] == "coopery.settings.v1"
    assert {one["name"] for one in document["values"]} >= {"home", "proxy", "moved_base"}
    assert "canary" not in result.output + json.dumps(document)


def test_the_command_tells_mistakes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.user('compression = "lzma"\n')
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(machine.own))
    monkeypatch.chdir(machine.project)
    result = CliRunner().invoke(root, ["settings", "--output", "json"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "SettingsError"
    assert [(one["line"], one["path"]) for one in error["problems"]] == [(1, "compression")]


def test_what_the_caller_gave(tmp_path: Path) -> None:
    builder = Builder(settings=Settings(home=tmp_path, proxy="http://ada:canary@p:1"))
    found = {one.name: (one.value, one.origin) for one in builder.settings_report().values}
    assert found["proxy"] == ("http://***@p:1", "given by the caller")
    assert "canary" not in repr(builder) + repr(vars(builder))
