from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attrs import define, field

from coopery.blobs import BlobStore
from coopery.errors import BaseError, NetworkError, UsageError
from coopery.settings import Settings
from coopery.wire.http import Http
from coopery_debian.fetch import Absent, Fetcher, join

DATA = b"package" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@define
class Server:
    """Answers each request with the next of *plan*: a status, or bytes to send of a body that claims to be DATA."""

    plan: list[int | bytes] = field(factory=list)
    asked: list[dict[str, str]] = field(factory=list)
    headers: dict[str, str] = field(factory=dict)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(dict(self.headers))
            step = state.plan.pop(0) if state.plan else DATA
            self.send_response(step if isinstance(step, int) else 200)
            for name, value in state.headers.items():
                self.send_header(name, value)
            if isinstance(step, bytes):
                self.send_header("Content-Length", str(max(len(DATA), len(step))))
            self.end_headers()
            if isinstance(step, bytes):
                self.wfile.write(step)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{httpd.server_port}/x.deb"
        yield state
        httpd.shutdown()
        thread.join()


@define
class Clock:
    """Time that passes by sleeping only; chance is always the middle."""

    waits: list[float] = field(factory=list)

    def monotonic(self) -> float:
        return sum(self.waits)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def random(self) -> float:
        return 0.5


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def fetcher(tmp_path: Path, waits: list[float]) -> Iterator[Fetcher]:
    with Http(Settings(home=tmp_path), clock=Clock(waits)) as http:
        yield Fetcher(BlobStore(tmp_path / "files", tmp_path / "staging"), http)


def nothing_kept(tmp_path: Path) -> bool:
    return not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_is_fetched_once(server: Server, fetcher: Fetcher) -> None:
    for _ in range(2):
        assert fetcher.file(server.url, SHA256, len(DATA)).read_bytes() == DATA
    assert len(server.asked) == 1


def test_a_file_that_was_damaged_on_disk_is_fetched_again(server: Server, fetcher: Fetcher) -> None:
    path = fetcher.file(server.url, SHA256, len(DATA))
    path.write_bytes(b"X" + DATA[1:])
    assert fetcher.file(server.url, SHA256, len(DATA)).read_bytes() == DATA
    assert len(server.asked) == 2


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 429, 408, DATA[:100], b""])
def test_passing_faults_are_tried_again(
    server: Server, fetcher: Fetcher, waits: list[float], fault: int | bytes
) -> None:
    server.plan = [fault] * 4
    assert fetcher.file(server.url, SHA256, len(DATA)).read_bytes() == DATA
    assert len(server.asked) == 5
    assert len(waits) == 4
    assert waits == sorted(waits)


def test_lasting_faults_end(server: Server, fetcher: Fetcher, waits: list[float], tmp_path: Path) -> None:
    server.plan = [503] * 9
    with pytest.raises(NetworkError, match=r"503 .*tried 5 times"):
        fetcher.file(server.url, SHA256, len(DATA))
    assert (len(server.asked), len(waits)) == (5, 4)
    assert nothing_kept(tmp_path)


def test_retry_after_is_honoured_within_bounds(server: Server, fetcher: Fetcher, waits: list[float]) -> None:
    server.plan, server.headers = [429], {"Retry-After": "4000"}
    fetcher.file(server.url, SHA256, len(DATA))
    assert 30 <= waits[0] <= 35


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refusals_are_not_tried_again(server: Server, fetcher: Fetcher, status: int) -> None:
    server.plan = [status] * 5
    with pytest.raises(NetworkError, match=str(status)):
        fetcher.file(server.url, SHA256, len(DATA))
    assert len(server.asked) == 1


def test_what_is_not_there(server: Server, fetcher: Fetcher) -> None:
    server.plan = [404]
    with pytest.raises(Absent):
        fetcher.file(server.url, SHA256, len(DATA))
    with pytest.raises(Absent):
        fetcher.document("file:///nonexistent/InRelease", 100)


@pytest.mark.parametrize("data", [b"X" + DATA[1:], DATA + b"more"])
def test_other_bytes_are_not_kept(server: Server, fetcher: Fetcher, tmp_path: Path, data: bytes) -> None:
    server.plan = [data] * 5
    with pytest.raises(BaseError, match="another file than its signed index names"):
        fetcher.file(server.url, SHA256, len(DATA))
    assert nothing_kept(tmp_path)


def test_unchanged_documents_cost_no_bytes(server: Server, fetcher: Fetcher) -> None:
    server.headers = {"ETag": '"1"', "Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
    first = fetcher.document(server.url, 10_000)
    assert first.data == DATA
    server.plan = [304]
    assert fetcher.document(server.url, 10_000, first.validators).data is None
    assert server.asked[1]["If-None-Match"] == '"1"'


def test_a_document_has_a_limit(server: Server, fetcher: Fetcher) -> None:
    with pytest.raises(BaseError, match="larger than 100 bytes"):
        fetcher.document(server.url, 100)


def test_nobody_listens(fetcher: Fetcher, waits: list[float]) -> None:
    with pytest.raises(NetworkError, match="tried 5 times") as caught:
        fetcher.file("http://user:canary@127.0.0.1:1/x.deb", SHA256, len(DATA))
    assert "canary" not in str(caught.value)
    assert "COOPERY_DEBIAN_MIRROR" in caught.value.remedy
    assert len(waits) == 4


def test_a_ca_bundle_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="ascii")
    settings = Settings(home=tmp_path, ca_bundle=str(tmp_path / "ca.pem"))
    with Http(settings) as http, pytest.raises(UsageError, match=r"ca\.pem"):
        Fetcher(None, http).document("https://127.0.0.1:1/", 1)


def test_urls_are_quoted() -> None:
    assert join("http://m/debian", "pool/a_1%3a2 +~b.deb") == "http://m/debian/pool/a_1%253a2%20+~b.deb"
