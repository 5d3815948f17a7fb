"""Packages over HTTP: whole and verified, or not there."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conda.desk import Desk, make_desk, union
from conda.maker import Channel, File
from coopery.errors import PackageError
from coopery.settings import Settings
from coopery.target import Provided, Resolved

pytestmark = pytest.mark.processes


def trees(desk: Desk, target: Resolved, *specs: str, **more: Any) -> dict[str, Any]:
    return union(desk.trees(*specs, target=target, **more))


def left_behind(desk: Desk) -> list[str]:
    return sorted(path.name for path in (desk.workshop.home / "staging").iterdir())


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; the first *failures* requests for a package are cut short."""

    failures = 0
    password = ""

    def do_GET(self) -> None:
        if self.path.endswith(".conda") and type(self).failures > 0:
            type(self).failures -= 1
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"cut")
            return
        given = self.headers.get("Authorization", "Basic ").removeprefix("Basic ")
        if type(self).password and base64.b64decode(given) != f"user:{type(self).password}".encode():
            self.send_error(401)
            return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    servers = []

    def start(root: Path, certificate: Path | None = None, failures: int = 0, password: str = "") -> str:
        handler = type("OneHandler", (Handler,), {"failures": failures, "password": password})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_channel_over_http(channel: Channel, desk: Desk, target: Resolved, serve: Callable[..., str]) -> None:
    channel.add("tool", {"share/x": File(os.urandom(3 << 20))})
    expected = {path: one for path, one in trees(desk, target, "tool").items() if "conda-meta" not in path}
    url = serve(channel.root)
    with make_desk(desk.root, desk.root / "second-home") as far:
        found = trees(far, target, "tool", channels=(url,))
    assert {path: one for path, one in found.items() if "conda-meta" not in path} == expected


def test_a_download_that_breaks_off_is_tried_again(
    channel: Channel, desk: Desk, target: Resolved, serve: Callable[..., str]
) -> None:
    channel.add("tool", {"share/x": File(os.urandom(200_000))})
    assert "opt/env/share/x" in trees(desk, target, "tool", channels=(serve(channel.root, failures=1),))


def test_a_channel_that_keeps_its_packages_elsewhere(
    channel: Channel, desk: Desk, target: Resolved, serve: Callable[..., str]
) -> None:
    """Source: CEP 15, ``base_url``. The lock names the channel all the same."""
    channel.add("tool")
    far = desk.root / "far" / "linux-64"
    far.parent.mkdir()
    (channel.root / "linux-64").rename(far)
    (channel.root / "linux-64").mkdir()
    index = json.loads((far / "repodata.json").read_text())
    index["info"]["base_url"] = f"{serve(far)}/"
    (channel.root / "linux-64" / "repodata.json").write_text(json.dumps(index | {"repodata_version": 2}))
    url = serve(channel.root)
    [artifact] = desk.lock("tool", target=target, channels=(url, "./channel"))
    assert artifact.source == url
    assert "opt/env/share/tool" in trees(desk, target, "tool", channels=(url,))


def test_the_password_of_a_channel_is_used_and_kept_nowhere(
    channel: Channel, desk: Desk, target: Resolved, serve: Callable[..., str]
) -> None:
    channel.add("tool")
    url = serve(channel.root, password="canary").replace("://", "://user:canary@")  # noqa: S106 - made up
    artifacts = desk.lock("tool", target=target, channels=(url,))
    section = desk.section("tool", channels=(url,))
    trees = desk.materializer.trees(section, artifacts, target, Provided())
    assert "opt/env/share/tool" in union(trees)
    assert "canary" not in repr(artifacts) + repr([tree.identity for tree in trees]) + repr(union(trees))
    kept = [path for path in desk.workshop.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"canary" in path.read_bytes() or "canary" in path.name]


def test_more_bytes_than_the_lock_says_are_not_taken(
    channel: Channel, desk: Desk, target: Resolved, serve: Callable[..., str]
) -> None:
    path = channel.add("tool")
    url = serve(channel.root)
    artifacts = desk.lock("tool", target=target, channels=(url,))
    path.write_bytes(path.read_bytes() + os.urandom(4 << 20))
    with pytest.raises(PackageError, match=r"tool-1\.0-0\.conda: is longer than the \d+ bytes of the lock"):
        desk.materializer.trees(desk.section("tool", channels=(url,)), artifacts, target, Provided())
    assert left_behind(desk) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_the_ca_bundle_of_the_settings_is_trusted(
    channel: Channel, tmp_path: Path, target: Resolved, serve: Callable[..., str]
) -> None:
    channel.add("tool")
    pem = tmp_path / "both.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv += [
        "-subj",
        "/CN=test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        "key",
        "-out",
        "cert",
    ]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    pem.write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "cert").read_bytes())
    url = serve(channel.root, certificate=pem)
    settings = Settings(home=tmp_path / "home", ca_bundle=str(tmp_path / "cert"))
    with make_desk(tmp_path, settings=settings) as desk:
        assert "opt/env/share/tool" in trees(desk, target, "tool", channels=(url,))
