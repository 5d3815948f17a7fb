"""Which daemon is meant: the docker command line's own rule."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from coopery.errors import BackendError
from coopery_docker.endpoint import DEFAULT_HOST, Endpoint, endpoint


def environ(folder: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(folder), "DOCKER_CONFIG": str(folder), **variables}


def context(folder: Path, name: str, **told: Any) -> None:
    number = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / number
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": told}}))


def test_nothing_said_is_the_usual_socket(tmp_path: Path) -> None:
    found = endpoint(environ(tmp_path))
    assert (found.host, found.place) == (DEFAULT_HOST, "docker:")


def test_docker_host_comes_first(tmp_path: Path) -> None:
    context(tmp_path, "far", Host="ssh://far")
    found = endpoint(environ(tmp_path, DOCKER_HOST="unix:///run/x.sock", DOCKER_CONTEXT="far"))
    assert (found.host, found.place, found.socket) == ("unix:///run/x.sock", "docker:unix:///run/x.sock", "/run/x.sock")


def test_docker_host_without_a_scheme_is_tcp(tmp_path: Path) -> None:
    assert endpoint(environ(tmp_path, DOCKER_HOST="far:2375")).host == "tcp://far:2375"


def test_tls_by_variables(tmp_path: Path) -> None:
    found = endpoint(environ(tmp_path, DOCKER_HOST="tcp://far:2376", DOCKER_TLS_VERIFY="1"))
    assert (found.certificates, found.verify) == (str(tmp_path), True)


def test_context_by_variable_before_the_current_one(tmp_path: Path) -> None:
    context(tmp_path, "one", Host="tcp://one:1")
    context(tmp_path, "two", Host="tcp://two:2", SkipTLSVerify=True)
    (tmp_path / "config.json").write_text('{"currentContext": "one"}')
    assert endpoint(environ(tmp_path)).host == "tcp://one:1"
    named = endpoint(environ(tmp_path, DOCKER_CONTEXT="two"))
    assert (named.host, named.verify, named.origin) == ("tcp://two:2", False, "context two")
    assert endpoint(environ(tmp_path, DOCKER_CONTEXT="default")) == Endpoint()


def test_context_keeps_its_certificates_beside(tmp_path: Path) -> None:
    context(tmp_path, "one", Host="tcp://one:1")
    keys = tmp_path / "contexts" / "tls" / hashlib.sha256(b"one").hexdigest() / "docker"
    keys.mkdir(parents=True)
    assert endpoint(environ(tmp_path, DOCKER_CONTEXT="one")).certificates == str(keys)


@pytest.mark.parametrize("name", ["absent", "../..", "-x", "a\nb"])
def test_an_absent_context_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackendError) as caught:
        endpoint(environ(tmp_path, DOCKER_CONTEXT=name))
    assert repr(name) in caught.value.message
    assert caught.value.backend == "docker"


def test_a_damaged_configuration_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BackendError, match=r"config\.json"):
        endpoint(environ(tmp_path))
