"""Where settings come from, and which of them wins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from settings.conftest import Machine


def test_nothing_set(machine: Machine) -> None:
    settings = machine.load()
    assert settings.home == machine.own / ".cache" / "coopery"
    assert (settings.cache, settings.compression, settings.moved_base) == ("sqlite:", "gzip", "keep")
    assert settings.origins == {}


def test_later_ones_win(machine: Machine) -> None:
    machine.system('backend = "one"\ncompression = "gzip"\nindex_url = "https://system.example/simple"\n')
    machine.user('backend = "two"\ncompression = "gzip"\n')
    machine.clone('backend = "three"\n')
    machine.environ["COOPERY_COMPRESSION"] = "zstd"
    settings = machine.load()
    assert (settings.backend, settings.compression) == ("three", "zstd")
    assert settings.index_url == "https://system.example/simple"
    assert settings.origins == {
        "backend": f"{machine.project}/.coopery.toml:1",
        "compression": "$COOPERY_COMPRESSION",
        "index_url": f"{machine.system_file}:3",
    }


def test_tables_merge_by_key(machine: Machine) -> None:
    machine.system('[channels]\nconda-forge = "https://a.example/cf"\nbioconda = "https://a.example/bio"\n')
    machine.user('[channels]\n\nbioconda = "https://b.example/bio"\n')
    settings = machine.load()
    assert settings.channels == {"conda-forge": "https://a.example/cf", "bioconda": "https://b.example/bio"}
    assert settings.origins == {
        "channels.conda-forge": f"{machine.system_file}:2",
        "channels.bioconda": f"{machine.user_file}:3",
    }


def test_the_nearest_project_alone_counts(machine: Machine) -> None:
    machine.clone('backend = "outer"\ncompression = "zstd"\n')
    machine.clone('backend = "inner"\n', "part")
    settings = machine.load(machine.project / "part")
    assert (settings.backend, settings.compression) == ("inner", "gzip")


def test_xdg_names_the_users_folder(machine: Machine) -> None:
    machine.environ["XDG_CONFIG_HOME"] = str(machine.root / "config")
    (machine.root / "config" / "coopery").mkdir(parents=True)
    (machine.root / "config" / "coopery" / "settings.toml").write_text('backend = "xdg"\n')
    machine.user('backend = "not read"\n')
    assert machine.load().backend == "xdg"


def test_paths_start_from_their_file(machine: Machine) -> None:
    machine.user(
        'home = "../cache"\nca_bundle = "~/ca.pem"\ncache = "sqlite:records.sqlite"\n'
        '[channels]\nours = "./channel"\ntheirs = "~/theirs"\nabsolute = "/srv/channel"\nname = "other/name"\n'
    )
    settings = machine.load()
    config = machine.user_file.parent
    assert settings.home == config.parent / "cache"
    assert settings.ca_bundle == str(machine.own / "ca.pem")
    assert settings.cache == f"sqlite:{config}/records.sqlite"
    assert settings.channels == {
        "ours": str(config / "channel"),
        "theirs": str(machine.own / "theirs"),
        "absolute": "/srv/channel",
        "name": "other/name",
    }


def test_every_form_of_table(machine: Machine) -> None:
    machine.user(
        'channels = {conda-forge = "https://a.example/cf"}\n'
        'indexes."https://index.example.org/simple" = "https://b.example/simple/"\n'
        'plain_http = ["registry.lan:5000"]\n'
        "[registries]\n"
        "'docker.io' = 'mirror.example:5000/hub'\n"
    )
    settings = machine.load()
    assert settings.indexes == {"https://index.example.org/simple": "https://b.example/simple"}
    assert settings.registries == {"docker.io": "mirror.example:5000/hub"}
    assert settings.plain_http == ("registry.lan:5000",)
    assert {name: place.rpartition(":")[2] for name, place in settings.origins.items()} == {
        "channels.conda-forge": "1",
        "indexes.https://index.example.org/simple": "2",
        "plain_http": "3",
        "registries.docker.io": "5",
    }


def test_an_empty_variable_sets_nothing(machine: Machine) -> None:
    machine.user('backend = "mine"\n')
    machine.environ.update({"COOPERY_BACKEND": "", "SSL_CERT_FILE": ""})
    settings = machine.load()
    assert (settings.backend, settings.ca_bundle) == ("mine", "")


def test_a_folder_in_place_of_a_file_is_none(machine: Machine) -> None:
    (machine.project / ".coopery.toml").mkdir()
    assert machine.load().origins == {}


@pytest.mark.processes
def test_a_hit_pays_for_no_toml(machine: Machine) -> None:
    """Where there is no file and variables need no check, neither TOML nor the checks are imported."""
    code = (
        "import sys; from coopery.settings import load; load({'HOME': sys.argv[1], 'COOPERY_HOME': '/x'});"
        "heavy = {'tomllib', 'coopery.settings.file', 'coopery.settings.checks', 'coopery.redact', 'netrc'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(machine.own)], check=True, cwd=machine.project)


def test_a_user_may_have_no_working_files_at_all(machine: Machine, tmp_path: Path) -> None:
    assert machine.load(tmp_path / "nowhere").origins == {}
