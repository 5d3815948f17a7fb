"""A site behind a login, and a proxy that resolves names: real sockets on loopback that keep what they were sent."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field


@define
class Site:
    """One web server. ``asked`` has path and ``Authorization`` of every request."""

    port: int = 0
    tls: bool = False
    asked: list[tuple[str, str | None]] = field(factory=list)

    def url(self, path: str = "", *, user: str = "", host: str = "127.0.0.1") -> str:
        where = f"{host}:{self.port}" if host == "127.0.0.1" else host
        return f"{'https' if self.tls else 'http'}://{f'{user}@' if user else ''}{where}{path}"


@contextmanager
def serve(root: Path, *, login: str = "", moved_to: str = "", certificate: Path | None = None) -> Iterator[Site]:
    """Serve the folder *root*.

    Args:
        root: the folder.
        login: ``user:password`` that every request must have.
        moved_to: answer everything with a redirect to the same path there.
        certificate: key and certificate, for https.
    """
    site = Site(tls=certificate is not None)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(super().do_GET)

        def do_HEAD(self) -> None:
            self._answer(super().do_HEAD)

        def _answer(self, give: Any) -> None:
            given = self.headers.get("Authorization")
            site.asked.append((self.path, given))
            if login and given != "Basic " + base64.b64encode(login.encode()).decode():
                self.send_error(401)
            elif moved_to:
                self.send_response(302)
                self.send_header("Location", moved_to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                give()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with _running(partial(Handler, directory=str(root)), certificate) as port:
        site.port = port
        yield site


@define
class Proxy:
    """``asked`` has method, target and ``Proxy-Authorization`` of every request."""

    port: int = 0
    asked: list[tuple[str, str, str | None]] = field(factory=list)

    def url(self, user: str = "") -> str:
        return f"http://{f'{user}@' if user else ''}127.0.0.1:{self.port}"


@contextmanager
def proxy(hosts: dict[str, int], *, login: str = "") -> Iterator[Proxy]:
    """A forward proxy: absolute targets, and CONNECT for tunnels. *hosts*: name → port on loopback."""
    state = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _let_in(self) -> bool:
            given = self.headers.get("Proxy-Authorization")
            state.asked.append((self.command, self.path, given))
            if not login or given == "Basic " + base64.b64encode(login.encode()).decode():
                return True
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            return False

        def do_CONNECT(self) -> None:
            name = self.path.rpartition(":")[0]
            if not self._let_in():
                return
            with socket.create_connection(("127.0.0.1", hosts[name])) as there:
                self.send_response(200)
                self.end_headers()
                _tunnel(self.connection, there)
            self.close_connection = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if not self._let_in():
                return
            far = http.client.HTTPConnection("127.0.0.1", hosts[parts.hostname or ""])
            headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
            far.request(self.command, parts.path, headers=headers)
            answer = far.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "ETag", "Last-Modified"):
                if value := answer.headers.get(name):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(answer.headers.get("Content-Length", len(data))))
            self.end_headers()
            self.wfile.write(data)
            far.close()

        do_HEAD = do_GET  # noqa: N815 - the base class looks for methods of such names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with _running(Handler) as port:
        state.port = port
        yield state


@contextmanager
def _running(handler: Any, certificate: Path | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is no news
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tunnel(one: socket.socket, other: socket.socket) -> None:
    pair = [one, other]
    with suppress(OSError):
        while True:
            for ready in select.select(pair, [], [], 30)[0]:
                data = ready.recv(1 << 16)
                if not data:
                    return
                (other if ready is one else one).sendall(data)


def make_certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate of our own making for *names* and 127.0.0.1.

    Returns:
        What a server loads, and what a client must trust.
    """
    both, certificate = folder / "both.pem", folder / "certificate.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    wanted = ",".join(("IP:127.0.0.1", *(f"DNS:{name}" for name in names)))
    argv += [
        "-subj",
        "/CN=test",
        "-addext",
        f"subjectAltName={wanted}",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]
    argv += ["-keyout", "key.pem", "-out", certificate.name]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    both.write_bytes((folder / "key.pem").read_bytes() + certificate.read_bytes())
    return both, certificate
