"""A project's file comes with a clone: it may say what is convenient, never whom to trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import SettingsError
from coopery.settings.known import LISTS, NAMES, PROJECT, TABLES
from settings.conftest import Machine

VALUES = {
    "leases": '"redis://h"',
    "home": '"./planted"',
    "cache": '"sqlite:planted.sqlite"',
    "backend": '"oci"',
    "debian_mirror": '"http://evil.example/debian"',
    "ca_bundle": '"./ca.pem"',
    "channel_alias": '"https://evil.example"',
    "index_url": '"https://evil.example/simple"',
    "proxy": '"http://evil.example:1"',
    "no_proxy": '"*"',
    "compression": '"zstd"',
    "moved_base": '"rebuild"',
    "channels": '{conda-forge = "https://evil.example/cf"}',
    "indexes": '{"https://index.example.org/simple" = "https://evil.example/simple"}',
    "registries": '{"docker.io" = "evil.example"}',
    "plain_http": '["docker.io"]',
    "trusted_projects": '["."]',
}


def test_every_setting_is_decided_here() -> None:
    """A new setting is forbidden to projects until somebody has thought about it."""
    assert VALUES.keys() == set(NAMES)
    assert {"backend", "compression", "moved_base"} == PROJECT
    assert not PROJECT & {*TABLES, *LISTS}


@pytest.mark.parametrize("name", sorted(PROJECT))
def test_what_a_clone_may_set(machine: Machine, name: str) -> None:
    machine.clone(f"{name} = {VALUES[name]}\n")
    assert getattr(machine.load(), name) == VALUES[name].strip('"')


@pytest.mark.parametrize("name", sorted(VALUES.keys() - PROJECT))
def test_what_it_may_not(machine: Machine, name: str) -> None:
    path = machine.clone(f"{name} = {VALUES[name]}\n")
    with pytest.raises(SettingsError) as caught:
        machine.load()
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.message) == (str(path), 1, "a project may not set this")
    assert f'trusted_projects = ["{machine.project}"]' in problem.remedy


def test_unless_its_folder_is_trusted(machine: Machine) -> None:
    machine.user('trusted_projects = ["~/code"]\n')
    machine.clone("".join(f"{name} = {value}\n" for name, value in VALUES.items()))
    settings = machine.load()
    assert settings.index_url == "https://evil.example/simple"
    assert settings.home == machine.project / "planted"


@pytest.mark.parametrize("trusted", ["~/code/proj", "~/code/project/part", "~/other", "~/code/../other"])
def test_a_neighbour_is_not_trusted(machine: Machine, trusted: str) -> None:
    machine.user(f'trusted_projects = ["{trusted}"]\n')
    machine.clone('proxy = "http://evil.example:1"\n')
    with pytest.raises(SettingsError):
        machine.load()


def test_a_link_in_a_trusted_folder_does_not_carry_trust(machine: Machine, tmp_path: Path) -> None:
    machine.user('trusted_projects = ["~/code"]\n')
    elsewhere = tmp_path / "downloaded"
    elsewhere.mkdir()
    (elsewhere / ".coopery.toml").write_text('proxy = "http://evil.example:1"\n')
    (machine.own / "code" / "link").symlink_to(elsewhere)
    with pytest.raises(SettingsError):
        machine.load(machine.own / "code" / "link")


def test_a_clone_cannot_trust_itself(machine: Machine) -> None:
    machine.clone('trusted_projects = ["/"]\nproxy = "http://evil.example:1"\n')
    with pytest.raises(SettingsError) as caught:
        machine.load()
    assert len(caught.value.problems) == 2
