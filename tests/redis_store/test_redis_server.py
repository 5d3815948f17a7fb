"""A server that is away, slow, full, strict, or not what it should be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery import faults
from coopery.cache import Record
from coopery.errors import CacheError, StoreFull
from coopery.leases import Outcome
from coopery_redis import server as server_module
from coopery_redis.address import parse
from coopery_redis.store import RedisCache

pytestmark = pytest.mark.needs("redis")

SECRET = "c4n4ry-9"  # noqa: S105 - what must not be shown


def record(name: str = "key", generation: int = 1, text: str = "x") -> Record:
    return Record("resolution", name, generation, {"text": text}, "user@host", 1.5)


@pytest.fixture
def hasty(monkeypatch):
    """Pauses and patience of a test."""
    monkeypatch.setattr(server_module, "_PAUSES", (0.05, 0.1, 0.2, 0.4))
    monkeypatch.setattr(server_module, "_ANSWER_SECONDS", 0.3)


@pytest.fixture
def own(make_server):
    return make_server()


@pytest.fixture
def store(own):
    store = RedisCache(parse(own.url()))
    yield store
    store.close()


# --- away and slow ---------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """The pauses before a server was asked once more. None is made."""
    pauses = []
    monkeypatch.setattr(server_module, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


def test_a_server_that_is_not_there(tmp_path, hasty, asked):
    store = RedisCache(parse(f"redis:{tmp_path}/nobody?namespace=a"))
    for call in (
        lambda: store.get("resolution", "key"),
        lambda: store.put(record(), 0),
        lambda: list(store.list("resolution")),
        lambda: store.delete("resolution", "key"),
        lambda: store.acquire("key", "me", 1.0),
        lambda: store.outcome("key", 0),
    ):
        asked.clear()
        with pytest.raises(CacheError, match=r"nobody.*\(tried 5 times\)") as caught:
            call()
        assert caught.value.exit_code == 6
        assert len(asked) == 4
        assert all(pause <= took <= pause * 1.5 for pause, took in zip((0.05, 0.1, 0.2, 0.4), asked, strict=True))


def test_the_real_bounds_are_under_a_minute():
    pauses = sum(server_module._PAUSES) * 1.5
    assert pauses + 5 * (server_module._CONNECT_SECONDS + 0.1) < 60
    assert len(server_module._PAUSES) == 4


@contextmanager
def later(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """Meanwhile, call *call* after *seconds*; it is over when this is."""
    timer = threading.Timer(seconds, call)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_server_that_comes_back_is_asked_again(own, store):
    store.put(record(), 0)
    own.stop(signal.SIGKILL)
    with later(0.5, own.start):
        assert store.get("resolution", "key") == record()


def test_a_server_that_stands_still(own, store, hasty):
    """What was sent while it stood is done when it goes on, and is done again by who asked twice: to no harm."""
    store.put(record(), 0)
    os.kill(own._process.pid, signal.SIGSTOP)
    with later(0.7, lambda: os.kill(own._process.pid, signal.SIGCONT)):
        assert store.put(record("new"), 0) == record("new")
    os.kill(own._process.pid, signal.SIGSTOP)
    with later(0.7, lambda: os.kill(own._process.pid, signal.SIGCONT)):
        claim = store.acquire("key", "me", 60.0)
    assert claim.lease is not None, "our own lease stands in our way"
    assert store.acquire("key", "other", 60.0).holder == "me"
    assert store.renew(claim.lease, 60.0)
    assert store.put(record("new", 2), 1) == record("new", 2)


def test_somebody_else_s_server(hasty):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(CacheError):
            RedisCache(parse(f"redis://127.0.0.1:{listener.getsockname()[1]}")).get("resolution", "key")


def test_scripts_that_the_server_has_forgotten(own, store):
    store.put(record(), 0)
    own.command("SCRIPT", "FLUSH")
    assert store.put(record(generation=2), 1) == record(generation=2)


# --- strict ----------------------------------------------------------------------------------------


def test_a_password_by_tcp(make_server, monkeypatch, tmp_path, asked):
    server = make_server(["--requirepass", SECRET], tcp=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    for url in (f"redis://127.0.0.1:{server.port}", f"redis://:wrong-{SECRET}@127.0.0.1:{server.port}"):
        with pytest.raises(CacheError, match="does not accept") as caught:
            RedisCache(parse(url)).get("resolution", "key")
        assert not asked, "a refusal is asked once"
        assert SECRET not in f"{caught.value!r}{caught.value}{caught.value.__cause__!r}"
    right = RedisCache(parse(f"redis://:{SECRET}@127.0.0.1:{server.port}"))
    assert right.put(record(), 0) == record()
    right.close()
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 passwort x\n")
    with pytest.raises(CacheError, match="netrc"):
        RedisCache(parse(f"redis://127.0.0.1:{server.port}")).get("resolution", "key")
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login default password {SECRET}\n")
    by_netrc = RedisCache(parse(f"redis://127.0.0.1:{server.port}"))
    assert by_netrc.get("resolution", "key") == record()
    by_netrc.close()
    monkeypatch.setenv("REDISCLI_AUTH", SECRET)
    by_socket = RedisCache(parse(f"redis:{server.socket}"))
    assert by_socket.get("resolution", "key") == record()
    by_socket.close()


def test_users_are_held_to_their_namespace(make_server):
    """The lines of docs/redis.md, on a real server: a team has its own, CI writes what all may read."""
    server = make_server(tcp=True)
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("ACL SETUSER")]
    assert len(lines) == 3
    for line in lines:
        assert server.command(*line.split()) == b"OK", line

    def store(user: str, password: str, namespace: str) -> RedisCache:
        url = f"redis://{user}:{password}@127.0.0.1:{server.port}?namespace={namespace}"
        opened.append(RedisCache(parse(url)))
        return opened[-1]

    opened: list[RedisCache] = []
    mine, theirs = store("team-a", "secret-a", "team-a"), store("team-a", "secret-a", "shared")
    assert mine.put(record(), 0) == record()
    assert list(mine.list("resolution")) == [record()]
    lease = mine.acquire("key", "me", 1.0).lease
    assert lease is not None
    assert mine.renew(lease, 1.0)
    mine.release(lease, Outcome("done", lease.token))
    assert mine.delete("resolution", "key")
    for call in (lambda: theirs.put(record(), 0), lambda: theirs.get("resolution", "key")):
        with pytest.raises(CacheError, match=r"forbids.*\n.*coopery:\{shared\}"):
            call()
    writer, reader = store("ci", "secret-ci", "shared"), store("reader", "secret-reader", "shared")
    writer.put(record(), 0)
    assert reader.get("resolution", "key") == record()
    assert list(reader.list("resolution")) == [record()]
    for call in (
        lambda: reader.put(record("other"), 0),
        lambda: reader.delete("resolution", "key"),
        lambda: reader.acquire("key", "me", 1.0),
    ):
        with pytest.raises(CacheError, match="forbids"):
            call()
    assert list(writer.list("resolution")) == [record()]
    for one in opened:
        one.close()


def test_a_replica(own, store, hasty):
    store.put(record(), 0)
    own.command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(CacheError, match="is a replica"):
        store.put(record("other"), 0)
    assert store.get("resolution", "key") == record()


# --- full ------------------------------------------------------------------------------------------


def test_no_memory_left(own, store):
    store.put(record(), 0)
    own.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreFull, match="no memory left"):
        store.put(record("other"), 0)
    with pytest.raises(StoreFull):
        store.put(record(generation=2), 1)
    assert store.get("resolution", "key") == record()
    own.command("CONFIG", "SET", "maxmemory", "0")
    assert store.get("resolution", "other") is None
    assert [found.name for found in store.list("resolution")] == ["key"]
    assert store.put(record("other"), 0) == record("other")


def test_a_disk_that_the_server_cannot_write(make_server):
    own = make_server(["--enable-protected-configs", "yes"])
    store = RedisCache(parse(own.url()))
    store.put(record(), 0)
    (own.folder / "in-the-way").mkdir()
    own.command("CONFIG", "SET", "dbfilename", "in-the-way")
    own.command("CONFIG", "SET", "save", "3600 1")
    own.command("BGSAVE")
    end = time.monotonic() + 20
    while b"rdb_last_bgsave_status:err" not in own.command("INFO", "persistence"):
        assert time.monotonic() < end
        time.sleep(0.05)
    with pytest.raises(StoreFull, match="cannot write to its disk"):
        store.put(record("other"), 0)
    assert store.get("resolution", "key") == record()
    store.close()


# --- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60, cwd=folder)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "ca.pem").read_text())
    return folder


def test_by_tls(make_server, certificate, monkeypatch, tmp_path, asked):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    server = make_server(tls=certificate)
    url = f"rediss://127.0.0.1:{server.port}/0"
    with pytest.raises(CacheError, match="not trusted") as caught:
        RedisCache(parse(url)).get("resolution", "key")
    assert "ca_bundle" in caught.value.remedy
    assert not asked, "a stranger is asked once"
    trusting = RedisCache(parse(f"{url}?ca={certificate}/ca.pem"))
    assert trusting.put(record(), 0) == record()
    trusting.close()
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}/ca.pem")
    by_variable = RedisCache(parse(url))
    assert by_variable.get("resolution", "key") == record()
    by_variable.close()
    other_name = RedisCache(parse(f"rediss://localhost:{server.port}/0?ca={certificate}/ca.pem"))
    with pytest.raises(CacheError, match="not trusted"):
        other_name.get("resolution", "key")
    with pytest.raises(CacheError, match=r"missing\.pem cannot be read"):
        RedisCache(parse(f"rediss://127.0.0.1:{server.port}/0?ca={tmp_path}/missing.pem")).get("resolution", "key")


# --- killed ----------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize(("point", "stored"), [("record-put", False), ("record-done", True)])
def test_killed_at_a_point(store, point, stored):
    pid = os.fork()
    if pid == 0:
        faults.configure(f"{point}:kill")
        store.put(record(), 0)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert (store.get("resolution", "key") == record()) is stored
    assert store.put(record(text="again"), 0) == record(text="x" if stored else "again")


@pytest.mark.processes
def test_killed_with_a_new_lease(store):
    pid = os.fork()
    if pid == 0:
        faults.configure("claim:kill")
        store.acquire("key", "dead", 0.3)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert store.acquire("key", "next", 0.3).holder == "dead"
    time.sleep(0.35)
    assert store.acquire("key", "next", 0.3).lease is not None


# --- cheap -----------------------------------------------------------------------------------------


def test_asking_imports_little(own, store):
    """No TLS where none is spoken, no asyncio, no client library: a hit by command pays for a socket."""
    store.put(record(), 0)
    code = (
        "import sys\nfrom pathlib import Path\nfrom coopery_redis.store import RedisCache\n"
        f"store = RedisCache.from_url({own.url()!r}, Path('/'), print)\n"
        "assert store.get('resolution', 'key')\nstore.close()\n"
        "assert not {'redis', 'ssl', 'asyncio', 'urllib3'} & sys.modules.keys(), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
