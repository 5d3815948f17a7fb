"""The setting ``leases``: a store that agrees on who builds, beside the one that keeps records."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from coopery import Builder
from coopery.cli.root import root
from coopery.errors import SettingsError, UsageError
from coopery.stores.sqlite import SqliteCache
from settings.conftest import Machine


def test_where_it_may_stand(machine: Machine) -> None:
    assert machine.load().leases == ""
    machine.user('leases = "redis://h.example/0"\n')
    assert machine.load().leases == "redis://h.example/0"
    assert machine.load().origins["leases"].endswith("settings.toml:1")
    machine.environ["COOPERY_LEASES"] = "redis://me:canary@other.example"
    assert machine.load().leases == "redis://me:canary@other.example"
    assert "canary" in machine.load().secrets()
    assert "canary" not in repr(machine.load())


def test_a_path_is_relative_to_its_file(machine: Machine) -> None:
    path = machine.user('leases = "sqlite:leases.sqlite"\n')
    assert machine.load().leases == f"sqlite:{path.parent}/leases.sqlite"


@pytest.mark.parametrize("text", ["somewhere", "redis", "", "sqlite: redis://h"])
def test_what_is_no_store(machine: Machine, text: str) -> None:
    machine.user(f'leases = "{text}"\n')
    with pytest.raises(SettingsError, match=r"leases"):
        machine.load()


def test_a_builder_uses_it(machine: Machine, tmp_path: Path) -> None:
    machine.user(f'leases = "sqlite:{tmp_path}/l.sqlite"\n')
    with Builder(settings=machine.load()) as builder:
        assert repr(builder.leases) == f"SqliteCache('{tmp_path}/l.sqlite')"
        assert builder.leases is not builder.cache
    with Builder(settings=machine.load(), leases=f"sqlite:{tmp_path}/other.sqlite") as builder:
        assert "other.sqlite" in repr(builder.leases)
    own = SqliteCache(tmp_path / "own.sqlite")
    with Builder(settings=machine.load(), leases=own) as builder:
        assert builder.leases is own


def test_a_store_without_leases_is_refused(machine: Machine) -> None:
    machine.user('leases = "registry://h.example/a/b"\n')
    with Builder(settings=machine.load()) as builder, pytest.raises(UsageError, match="has no leases"):
        builder.leases  # noqa: B018 - asking is what is tried


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--leases`` beside ``--cache``; the option wins over the variable."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COOPERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COOPERY_LEASES", "nosuch:")
    (tmp_path / "environment.yaml").write_text("base: scratch\nsteps: [{workdir: /work}]\n")
    argv = ["build", str(tmp_path / "environment.yaml"), "--backend", "oci"]
    done = CliRunner().invoke(root, argv)
    assert done.exit_code == 3
    done = CliRunner().invoke(root, [*argv, "--leases", f"sqlite:{tmp_path}/l.sqlite"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "l-leases.sqlite").exists()
    assert not (tmp_path / "home" / "records-leases.sqlite").exists()
