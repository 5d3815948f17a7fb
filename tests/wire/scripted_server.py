"""An HTTP server in this process that does what a test tells it, bad manners included."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from attrs import define, field, frozen


@frozen
class Request:
    """What came. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@frozen
class Reply:
    """What goes back.

    Attributes:
        status: of HTTP.
        body: all of it.
        headers: besides ``Content-Length``, which is that of *body* unless they say another.
        cut: bytes of *body* after which the connection is closed; None: all are sent.
        reset: send nothing and break the connection off.
        pause: seconds between single bytes of the body.
        silent: seconds of nothing before the answer.
        raw: sent as it is, instead of everything else.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    cut: int | None = None
    reset: bool = False
    pause: float = 0.0
    silent: float = 0.0
    raw: bytes | None = None


RESET = Reply(reset=True)
Script = Callable[[Request], Reply]


@define
class FakeClock:
    """Time passes in `sleep` only; chance is what is given, over and over."""

    now: float = 0.0
    chances: tuple[float, ...] = (0.5,)
    slept: list[float] = field(factory=list)
    rolled: int = 0
    lock: Any = field(factory=threading.Lock)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds

    def random(self) -> float:
        with self.lock:
            self.rolled += 1
            return self.chances[self.rolled % len(self.chances)]


class Server:
    """Answers each request by `script`, or with the next of `replies` where there are any. Keeps all requests."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.replies: list[Reply] = []
        self.script: Script = lambda request: Reply(body=b"hello")  # noqa: ARG005 - a default that looks at nothing
        self.requests: list[Request] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._server = _Quiet((address, 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "http" if tls is None else "https"
        self.port = int(self._server.server_address[1])
        self.host = f"{address}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            if self.replies:
                return self.replies.pop(0)
        return self.script(request)

    def connected(self) -> None:
        with self._lock:
            self.connections += 1

    def sent(self, header: str) -> list[str]:
        """The values of *header* that came, in order."""
        return [request.headers[header.lower()] for request in self.requests if header.lower() in request.headers]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break off are what these tests are about."""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connected()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
            """Silent."""

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self._body(headers)
            reply = server.answer(Request(self.command, self.path, headers, body))
            send(self, reply)

        def _body(self, headers: Mapping[str, str]) -> bytes:
            if headers.get("transfer-encoding", "").lower() == "chunked":
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(headers.get("content-length", 0)))

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815 - http.server's

    return Handler


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Give *reply*, as rudely as it says."""
    time.sleep(reply.silent)
    if reply.reset:
        reset(handler)
        return
    if reply.raw is not None:
        handler.wfile.write(reply.raw)
        handler.close_connection = True
        return
    handler.send_response(reply.status)
    headers = dict(reply.headers)
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers and reply.status not in (204, 304):
        headers["Content-Length"] = str(len(reply.body))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "HEAD":
        return
    body = reply.body if reply.cut is None else reply.body[: reply.cut]
    if reply.pause:
        for byte in body:
            handler.wfile.write(bytes([byte]))
            time.sleep(reply.pause)
    else:
        handler.wfile.write(body)
    if reply.cut is not None:
        handler.close_connection = True


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Break the connection off with RST, as a machine that dies does."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
