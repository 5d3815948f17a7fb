"""What a hit asks: one request, one answer, or UNKNOWN."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery.digest import Digest, of_bytes
from coopery.place import Presence
from coopery_docker import glance
from coopery_docker.client import Daemon
from coopery_docker.endpoint import Endpoint
from coopery_docker.place import DockerPlace

ID = of_bytes(b"image")


def place(endpoint: Endpoint) -> DockerPlace:
    return DockerPlace(endpoint, lambda: Daemon(endpoint), lambda _digest, _request: 0)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, json.dumps({"Id": ID}).encode(), Presence.YES),
        (404, b'{"message":"no such image"}', Presence.NO),
        (500, b'{"message":"broken"}', Presence.UNKNOWN),
        (200, b"", Presence.UNKNOWN),
        (200, b"[]", Presence.UNKNOWN),
        (200, b"not json", Presence.UNKNOWN),
        (200, json.dumps({"Id": "sha256:" + "0" * 64}).encode(), Presence.UNKNOWN),
        (301, b"", Presence.UNKNOWN),
    ],
)
def test_only_the_image_itself_is_a_yes(scripted: Any, status: int, body: bytes, expected: Presence) -> None:
    server, endpoint = scripted({f"GET /images/{ID}/json": (status, body)})
    asked = place(endpoint)
    assert asked.exists(ID, ID) is expected
    assert server.seen == [f"GET /images/{ID}/json"]
    assert bool(asked.reason) is bool(asked.remedy) is (expected is Presence.UNKNOWN)


def test_a_hit_says_why_the_daemon_could_not_be_asked(tmp_path: Path) -> None:
    from coopery.errors import CacheError
    from coopery.ledger import Ledger
    from coopery.records import Placement

    gone = Endpoint(f"unix://{tmp_path}/docker.sock", origin="$DOCKER_HOST")
    ledger = Ledger(None, place(gone))  # type: ignore[arg-type]  # no record is read
    with pytest.raises(CacheError, match=r"docker\.sock \(\$DOCKER_HOST\): no daemon is there\n  start it"):
        ledger._has(ID, Placement(gone.place, ID, 1, "coopery:x"))


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Callable[[bytes], Endpoint]]:
    """A socket whose owner sends the given bytes, whatever it is asked, and hangs up."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> Endpoint:
        path = tmp_path / "raw"
        listener = socket.socket(socket.AF_UNIX)
        listeners.append(listener)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1 << 16)
                link.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return Endpoint(f"unix://{path}")

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("answer", [b"", b"garbage", b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0 200\r\n\r\n", b"\xff" * 5000])
def test_what_is_no_answer_is_unknown(silent: Callable[[bytes], Endpoint], answer: bytes) -> None:
    assert place(silent(answer)).exists(ID, ID) is Presence.UNKNOWN


def test_nobody_there_is_unknown(tmp_path: Path) -> None:
    assert place(Endpoint(f"unix://{tmp_path}/absent")).exists(ID, ID) is Presence.UNKNOWN
    assert place(Endpoint("tcp://127.0.0.1:1")).exists(ID, ID) is Presence.UNKNOWN
    assert place(Endpoint("tcp://no-port")).exists(ID, ID) is Presence.UNKNOWN


def test_one_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute"))
        listener.listen()
        with pytest.raises(glance.Unanswered):
            glance.get(Endpoint(f"unix://{tmp_path}/mute"), "/_ping", seconds=0.05)


@pytest.mark.processes
def test_asking_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from coopery.home import Home; from coopery.settings import Settings\n"
        "from coopery.backend import Workshop; from coopery.plugins import Plugins\n"
        "home = Home(Path(sys.argv[1])); settings = Settings(home=home.root)\n"
        "shop = Workshop(home.root, home.staging, home.blobs, settings, None, print)\n"
        "Plugins().backend('docker')(shop).place.exists('sha256:' + '0' * 64, 'sha256:' + '0' * 64)\n"
        "heavy = {'docker', 'requests', 'urllib3', 'http.client', 'ssl', 'click', 'rich', 'rattler'}\n"
        "heavy |= {'coopery.snapshots.on_host', 'coopery.oci.layout', 'coopery.places.layout'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/absent"}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "[]\n"


@pytest.mark.needs("docker")
def test_a_real_daemon_says_no_of_what_it_never_had() -> None:
    from coopery_docker.endpoint import endpoint

    never = Digest("sha256:" + "1" * 64)
    assert place(endpoint()).exists(never, never) is Presence.NO
