"""TLS with a certificate authority of one's own, and the ways out of TLS that are refused."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_server import FakeClock, Reply, Server

from coopery.errors import NetworkError, UsageError
from coopery.registry import Credentials, Registry
from coopery.settings import Settings
from coopery.wire.http import Http
from coopery.wire.trust import bundle

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for this machine, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    path = folder / "both.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.2"]
    argv += ["-keyout", str(path), "-out", str(folder / "ca.pem")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (folder / "ca.pem").read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server("127.0.0.1", context) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, certificate: Path) -> Settings:
    return Settings(home=tmp_path, ca_bundle=str(certificate.parent / "ca.pem"))


def test_a_bundle_of_our_own(settings: Settings, secure: Server, clock: FakeClock) -> None:
    with Http(settings, clock=clock) as http:
        assert http.get(secure.url, limit=10) == b"hello"
        assert http.get(secure.url, limit=10) == b"hello"
    assert secure.connections == 1


def test_a_stranger_is_not_trusted_and_not_asked_twice(
    tmp_path: Path, secure: Server, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with Http(Settings(home=tmp_path), clock=clock) as http, pytest.raises(NetworkError, match="trusted") as caught:
        http.get(secure.url, limit=10, headers={"Authorization": "Bearer canary"})
    assert "ca_bundle" in caught.value.remedy
    assert (secure.requests, clock.slept) == ([], [])


def test_a_certificate_for_another_name(settings: Settings, certificate: Path, clock: FakeClock) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server("127.0.0.3", context) as misnamed, Http(settings, clock=clock) as http:
        with pytest.raises(NetworkError, match="trusted"):
            http.get(misnamed.url, limit=10)
        assert misnamed.requests == []


def test_a_server_that_speaks_no_tls(settings: Settings, server: Server, clock: FakeClock) -> None:
    with Http(settings, clock=clock) as http, pytest.raises(NetworkError) as caught:
        http.get(server.url.replace("http:", "https:"), limit=10)
    assert caught.value.attempts <= 5
    assert server.requests == []


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_bundle_that_is_none(tmp_path: Path, secure: Server, content: str | None) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    with Http(Settings(home=tmp_path, ca_bundle=str(path))) as http, pytest.raises(UsageError, match="CA bundle"):
        http.get(secure.url, limit=10)


def test_where_the_bundle_is_named(tmp_path: Path) -> None:
    environ = {"REQUESTS_CA_BUNDLE": "/requests", "SSL_CERT_FILE": "/openssl"}
    assert bundle(Settings(home=tmp_path, ca_bundle="/ours"), environ) == "/ours"
    assert bundle(Settings(home=tmp_path), environ) == "/openssl"
    assert bundle(Settings(home=tmp_path), {"REQUESTS_CA_BUNDLE": "/requests"}) == "/requests"
    assert bundle(Settings(home=tmp_path), {}) == ""


def test_a_redirect_out_of_tls_is_for_this_machine_only(settings: Settings, secure: Server, clock: FakeClock) -> None:
    secure.script = lambda _: Reply(302, headers={"Location": "http://registry.example/blob"})
    with Http(settings, clock=clock) as http, pytest.raises(NetworkError, match="to plain http") as caught:
        http.get(secure.url, limit=10)
    assert "plain_http" in caught.value.remedy


def test_the_same_host_without_tls_is_another(
    settings: Settings, secure: Server, server: Server, clock: FakeClock
) -> None:
    secure.script = lambda _: Reply(302, headers={"Location": server.url})
    with Http(settings, clock=clock) as http:
        http.get(secure.url, limit=10, headers={"Authorization": "Bearer canary"})
    assert (len(server.requests), server.sent("Authorization")) == (1, [])


@pytest.fixture
def behind_tls(
    settings: Settings, secure: Server, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Registry]:
    """A registry that is spoken to by TLS, though it is on this machine."""
    monkeypatch.setattr("coopery.wire.http.Http.is_plain", lambda *_: False)
    with Http(settings, clock=clock) as http:
        yield Registry(
            http, f"{secure.host}/team/app", settings, Credentials({"HOME": str(settings.home)}), clock=clock
        )


def test_a_realm_out_of_tls_is_not_asked(behind_tls: Registry, secure: Server, server: Server) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
    secure.script = lambda _: Reply(401, headers=challenge)
    with pytest.raises(NetworkError, match="plain http"):
        behind_tls.check_push()
    assert server.requests == []


def test_a_registry_that_does_not_know_that_it_is_behind_tls(behind_tls: Registry, secure: Server) -> None:
    """A proxy in front ends TLS, the registry names itself by http: we go on as we came."""
    secure.replies = [Reply(202, headers={"Location": f"http://{secure.host}/v2/team/app/blobs/uploads/1"}), Reply(204)]
    behind_tls.check_push()
    assert [request.method for request in secure.requests] == ["POST", "DELETE"]


def test_an_upload_out_of_tls_is_refused(behind_tls: Registry, secure: Server) -> None:
    secure.replies = [Reply(202, headers={"Location": "http://other.example/up"})]
    with pytest.raises(NetworkError, match="from https to plain http"):
        behind_tls.check_push()


def test_a_token_server_of_the_same_site_gets_the_login(
    behind_tls: Registry, secure: Server, certificate: Path, settings: Settings
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server("127.0.0.1", context) as tokens, Server("127.0.0.2", context) as hostile:
        login = {"auths": {secure.host: {"username": "me", "password": "canary"}}}
        (settings.home / ".docker").mkdir()
        (settings.home / ".docker" / "config.json").write_text(json.dumps(login))
        for realm, gets in ((tokens, 1), (hostile, 0)):
            realm.script = lambda _: Reply(body=b'{"token":"x"}')
            secure.script = lambda _, url=realm.url: Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{url}"'})
            with pytest.raises(NetworkError, match="401"):
                behind_tls.check_push()
            assert len(realm.requests) >= 1
            assert bool(realm.sent("Authorization")) is bool(gets)
