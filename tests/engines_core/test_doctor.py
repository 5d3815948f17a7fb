"""What ``coopery doctor`` finds, and how it tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from house import BrokenBackend, HouseBackend

from coopery.cli.root import main
from coopery.engines import machine
from coopery.engines.doctor import diagnose

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


def test_each_backend_is_tried(builder):
    found = diagnose(builder(HouseBackend, BrokenBackend))
    backends = {one.name: one for one in found.findings if one.kind == "backend"}
    assert list(backends) == ["oci", "docker", "house"], "in the order in which they are asked"
    assert (backends["docker"].works, backends["docker"].problem) == (False, "the daemon does not answer")
    assert backends["docker"].remedy == "start it"
    assert backends["house"].abilities == ("run", "registry", "secrets", "gpu")
    assert (found.chosen, found.healthy) == ("oci", True)


def test_the_named_one_decides_the_health(builder):
    found = diagnose(builder(BrokenBackend, backend="docker"))
    assert (found.chosen, found.healthy, found.reason) == ("docker", False, "named by the caller")


def test_one_that_is_not_installed_is_not_found(builder):
    found = diagnose(builder(backend="kubernetes"))
    one = next(one for one in found.findings if one.name == "kubernetes")
    assert (one.found, found.healthy) == (False, False)
    assert "oci" in one.problem


def test_a_backend_that_breaks_in_its_examination_spoils_nothing(builder):
    class Raising(HouseBackend):
        def examine(self):
            raise RuntimeError("boom")

    one = next(one for one in diagnose(builder(Raising)).findings if one.name == "house")
    assert (one.works, one.problem) == (False, "its plugin failed: RuntimeError: boom")


def test_an_engine_without_its_plugin_is_named(builder, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho podman version 4.3.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    one = next(one for one in diagnose(builder()).findings if one.kind == "engine" and one.name == "podman")
    assert (one.found, one.works, one.version) == (True, False, "podman version 4.3.1")
    assert one.remedy == "pip install coopery-podman"


def test_a_program_that_hangs_is_left(builder, tmp_path, monkeypatch):
    from coopery.engines import probe

    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 100\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(probe, "SECONDS", 0.2)
    one = next(one for one in diagnose(builder()).findings if one.kind == "engine" and one.name == "podman")
    assert (one.found, one.version) == (True, "")


def parts(builder) -> dict:
    return {one.name: one for one in diagnose(builder).findings if one.kind == "machine"}


def test_the_machine(builder, tmp_path):
    found = parts(builder())
    assert {"cache folder", "disk", "user namespaces", "subordinate ids", "gpgv", "uv", "network"} <= set(found)
    assert found["cache folder"].details == (f"{tmp_path / 'home'} (made by the first build)",)
    assert not (tmp_path / "home").exists(), "nothing is changed"


def test_a_cache_folder_that_others_can_write_is_told(builder, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    one = parts(builder())["cache folder"]
    assert not one.works
    assert one.remedy.startswith("set COOPERY_HOME")


def test_certificates_that_cannot_be_read_and_a_small_disk_are_told(builder, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "LITTLE", 1 << 80)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    found = parts(builder())
    assert (found["disk"].works, found["network"].works) == (False, False)
    assert "a large environment may not fit" in found["disk"].problem


@pytest.fixture
def coopery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COOPERY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COOPERY_BACKEND", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")

    def run(*args: str) -> tuple[int, str]:
        status = main(args)
        return status, capsys.readouterr().out

    return run


def test_the_command(coopery):
    status, shown = coopery("doctor")
    assert status == 0
    assert shown.startswith("backend")
    assert "oci *" in shown
    assert "without --backend: oci" in shown


def test_the_command_for_scripts_and_its_status(coopery):
    status, shown = coopery("doctor", "--backend", "nobody", "--output", "json")
    document = json.loads(shown)
    assert document["schema"] == "coopery.doctor.v1"
    assert (status, document["healthy"], document["chosen"]) == (3, False, "nobody")
    one = next(one for one in document["findings"] if one["name"] == "nobody")
    assert not one["found"]
    assert one["remedy"]
