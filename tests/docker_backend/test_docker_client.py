"""A daemon's failures, however it tells of them: a scripted socket says what real ones say."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest

from coopery_docker.answers import Refused, Unreachable
from coopery_docker.client import Daemon
from coopery_docker.endpoint import Endpoint


def load(scripted: Any, answer: bytes) -> None:
    _, endpoint = scripted({"POST /images/load": (200, answer)})
    client = Daemon(endpoint)
    try:
        client.load([b"some", b"bytes"])
    finally:
        client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b'{"stream":"Loaded image: x\\n"}\n{"errorDetail":{"message":"broken layer"},"error":"broken layer"}\n',
        b'{"error":"broken layer"}',
        b'{"errorDetail":{"message":"broken layer"}}\n',
        b'{"message":"broken layer"}\n',
        b'{"status":"Loading","progressDetail":{}}{"error":"broken layer"}{"stream":"Loaded image: x"}',
    ],
)
def test_an_error_behind_a_status_of_200_is_an_error(scripted: Any, answer: bytes) -> None:
    with pytest.raises(Refused, match="broken layer") as caught:
        load(scripted, answer)
    assert caught.value.backend == "docker"


@pytest.mark.parametrize("answer", [b'"text"', b"[1]", b"12 "])
def test_an_answer_that_is_no_object_is_an_error(scripted: Any, answer: bytes) -> None:
    with pytest.raises(Refused, match="no JSON"):
        load(scripted, answer)


@pytest.mark.parametrize(
    "answer", [b"", b'{"stream":"Loaded image: x\\n"}\n', b'{"status":"Loading","progressDetail":{}}']
)
def test_progress_is_no_error(scripted: Any, answer: bytes) -> None:
    load(scripted, answer)


def test_a_refusal_carries_the_daemons_words(scripted: Any) -> None:
    _, endpoint = scripted({"GET /info": (500, b'{"message":"disk on fire"}')})
    client = Daemon(endpoint)
    with pytest.raises(Refused, match="disk on fire"):
        _ = client.info
    client.close()


def test_what_could_not_be_connected_is_closed(scripted: Any, tmp_path: Any) -> None:
    server, endpoint = scripted({"GET /info": (200, b"{}")})
    client = Daemon(endpoint)
    assert client.info == {}
    server.shutdown()
    server.server_close()
    (tmp_path / "s0").unlink()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for asked in (client, Daemon(endpoint), Daemon(Endpoint(f"unix://{tmp_path}/absent"))):
            with pytest.raises(Unreachable):
                asked.images()
            asked.close()
        del asked
        gc.collect()
    assert [str(one.message) for one in seen if one.category is ResourceWarning] == []


def test_nobody_there_says_where_and_what_to_do(tmp_path: Any) -> None:
    with pytest.raises(Unreachable) as caught:
        _ = Daemon(Endpoint(f"unix://{tmp_path}/absent", origin="$DOCKER_HOST")).info
    assert "absent ($DOCKER_HOST): no daemon is there" in caught.value.message
    assert "systemctl start docker" in caught.value.remedy


def test_one_that_is_too_old_is_named(scripted: Any) -> None:
    _, endpoint = scripted({"GET /version": (200, b'{"ApiVersion":"1.12"}')})
    with pytest.raises(Unreachable) as caught:
        _ = Daemon(endpoint).info
    assert "update the daemon" in caught.value.remedy


@pytest.mark.parametrize(("status", "expected"), [(204, True), (404, False)])
def test_removing_says_whether_it_was_there(scripted: Any, status: int, expected: bool) -> None:
    _, endpoint = scripted({"DELETE /containers/x": (status, b"")})
    client = Daemon(endpoint)
    assert client.remove("x") is expected
    client.close()


def test_by_manifest_is_containerds_store(scripted: Any) -> None:
    for told, expected in (
        (b'[["driver-type","io.containerd.snapshotter.v1"]]', True),
        (b'[["Backing","ext"]]', False),
    ):
        _, endpoint = scripted({"GET /info": (200, b'{"DriverStatus":%b}' % told)})
        client = Daemon(endpoint)
        assert client.by_manifest is expected
        client.close()
