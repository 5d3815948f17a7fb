"""Getting in: passwords, tokens, token servers; what is sent, and to whom it is not."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_registry import FakeRegistry
from registry_logins import CANARY, credentials, environment
from scripted_server import FakeClock, Reply, Request, Server
from test_registry_uploads import DATA, DIGEST, opener

from coopery.errors import CooperyError, NetworkError
from coopery.failure import describe
from coopery.registry import Credentials, Registry, upload
from coopery.settings import Settings
from coopery.wire.http import Http


class TokenServer(Server):
    """Gives tokens for what is asked, to who knows the password; tells the registry of each."""

    def __init__(self, registry: FakeRegistry) -> None:
        super().__init__()
        self.registry = registry
        self.given = 0
        self.lives = 300
        self.password = CANARY
        self.script = self.serve

    def serve(self, request: Request) -> Reply:
        query = parse_qs(urlsplit(request.path).query or request.body.decode())
        basic = base64.b64encode(f"me:{self.password}".encode()).decode()
        known = request.headers.get("authorization") == f"Basic {basic}" or query.get("refresh_token") == [CANARY]
        self.given += 1
        token = f"token-{self.given}"
        scopes = [scope for text in query.get("scope", []) for scope in text.split(" ")]
        self.registry.tokens[token] = {
            f"{scope.split(':')[1]}:{action}"
            for scope in scopes
            for action in scope.split(":")[2].split(",")
            if known or action == "pull"
        }
        body = json.dumps({"token": token, "expires_in": self.lives}).encode()
        return Reply(200, body, {"Content-Type": "application/json"})


@pytest.fixture
def tokens(fake: FakeRegistry) -> Iterator[TokenServer]:
    with TokenServer(fake) as running:
        fake.realm = f"{running.url}/token"
        yield running


def client(fake: FakeRegistry, http: Http, logins: Credentials, clock: FakeClock, name: str = "team/app") -> Registry:
    return Registry(http, f"{fake.host}/{name}", http.settings, logins, clock=clock)


def texts(exc: BaseException) -> str:
    """All that could be shown of an error, its causes and fields included."""
    shown = ["".join(traceback.format_exception(exc)), json.dumps(describe(exc))]
    inner: BaseException | None = exc
    while inner is not None:
        shown += [repr(inner), str(inner), repr(vars(inner))]
        inner = inner.__cause__ or inner.__context__
    return "\n".join(shown)


def test_a_password(fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path) -> None:
    fake.login = ("me", CANARY)
    registry = client(fake, http, credentials(tmp_path, {fake.host: fake.login}), clock)
    registry.upload(DIGEST, len(DATA), opener())
    registry.has_blob(DIGEST)
    sent = [request.headers.get("authorization", "") for request in fake.requests]
    assert [bool(text) for text in sent] == [False, True, True, True, True], "only the first request goes without"


def test_no_login_or_a_wrong_one(fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path) -> None:
    """PROMISES 23: one attempt with a login, the error names the registry and not the password."""
    fake.login = ("me", "right")
    with pytest.raises(NetworkError) as caught:
        client(fake, http, credentials(tmp_path, {}), clock).check_push()
    assert len(fake.requests) == 1
    assert f"docker login {fake.host}" in caught.value.remedy
    with pytest.raises(NetworkError) as caught:
        client(fake, http, credentials(tmp_path, {fake.host: ("me", CANARY)}), clock).check_push()
    assert [bool(request.headers.get("authorization")) for request in fake.requests[1:]] == [False, True]
    assert caught.value.status == 401
    assert fake.host in str(caught.value)
    assert str(tmp_path / "config.json") in caught.value.remedy
    assert CANARY not in texts(caught.value)
    assert base64.b64encode(f"me:{CANARY}".encode()).decode() not in texts(caught.value)
    assert clock.slept == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusals_are_not_asked_for_again(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, status: int
) -> None:
    fake.fault("", reply=Reply(status), times=100)
    registry = client(fake, http, credentials(tmp_path, {fake.host: ("me", CANARY)}), clock)
    with pytest.raises(CooperyError) as caught:
        registry.manifest("v1")
    assert len(fake.requests) == 1
    assert CANARY not in texts(caught.value)


def test_a_token(fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer) -> None:
    """The token server on another origin gets the login that is kept for itself."""
    registry = client(fake, http, credentials(tmp_path, {tokens.host: ("me", CANARY)}), clock)
    registry.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}
    asked = [parse_qs(urlsplit(request.path).query) for request in tokens.requests]
    assert asked == [
        {"account": ["me"], "service": ["fake registry, inc."], "scope": ["repository:team/app:pull"]},
        {"account": ["me"], "service": ["fake registry, inc."], "scope": ["repository:team/app:pull,push"]},
    ]
    assert not any("Basic" in request.headers.get("authorization", "") for request in fake.requests)


def test_without_a_login_a_token_is_had_for_reading(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    fake.add_blob(DATA)
    registry = client(fake, http, credentials(tmp_path, {}), clock)
    assert registry.has_blob(DIGEST) == len(DATA)
    assert registry.has_blob(DIGEST) == len(DATA)
    assert len(tokens.requests) == 1
    with pytest.raises(NetworkError, match="401") as caught:
        registry.check_push()
    assert "docker login" in caught.value.remedy
    assert tokens.sent("Authorization") == []


def test_tokens_are_renewed_before_they_end(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    fake.add_blob(DATA)
    registry = client(fake, http, credentials(tmp_path, {}), clock)
    for seconds in (0, 200, 50, 100):
        clock.now += seconds
        registry.has_blob(DIGEST)
    assert tokens.given == 2
    assert len(fake.requests) == 5, "no request was made with an old token"


@pytest.mark.parametrize("nth", [0, 1, 3])
def test_a_token_that_ends_in_the_middle_of_a_push(
    fake: FakeRegistry,
    http: Http,
    clock: FakeClock,
    tmp_path: Path,
    tokens: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
    nth: int,
) -> None:
    monkeypatch.setattr(upload, "SMALL", 100)
    monkeypatch.setattr(upload, "CHUNK", 9_000)

    def forget(reply: Reply) -> Reply:
        fake.tokens.clear()
        return reply

    fake.fault("PATCH", change=forget, after=nth)
    registry = client(fake, http, credentials(tmp_path, {tokens.host: ("me", CANARY)}), clock)
    registry.upload(DIGEST, len(DATA), opener())
    assert fake.blobs == {("team/app", DIGEST): DATA}
    assert tokens.given >= 3


def test_a_right_that_is_withdrawn_for_good(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    registry = client(fake, http, credentials(tmp_path, {tokens.host: ("me", CANARY)}), clock)
    registry.check_push()
    tokens.password += "-changed"
    fake.tokens.clear()
    with pytest.raises(NetworkError, match="401"):
        registry.upload(DIGEST, len(DATA), opener())
    assert len(fake.requests) < 10


def test_an_identity_token(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    entry = {"auths": {tokens.host: {"identitytoken": CANARY}}}
    (tmp_path / "config.json").write_text(json.dumps(entry))
    registry = client(fake, http, Credentials(environment(tmp_path)), clock)
    registry.check_push()
    (request,) = tokens.requests
    form = parse_qs(request.body.decode())
    assert (request.method, form["grant_type"], form["client_id"]) == ("POST", ["refresh_token"], ["coopery"])
    assert CANARY not in request.path


def test_a_registry_token(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.host: {"registrytoken": "mine"}}}))
    fake.tokens["mine"] = {"team/app:push"}
    client(fake, http, Credentials(environment(tmp_path)), clock).check_push()
    assert tokens.requests == []


def test_mounting_asks_for_both_repositories(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer
) -> None:
    fake.add_blob(DATA, "team/base")
    registry = client(fake, http, credentials(tmp_path, {tokens.host: ("me", CANARY)}), clock)
    assert registry.mount(DIGEST, "team/base") is True


# PROMISES 37: logins go to their host only


@pytest.mark.parametrize("challenge", ['Bearer realm="{url}/token",service="x"', 'Bearer realm="{url}"'])
def test_a_hostile_realm_gets_no_login(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, elsewhere: Server, challenge: str
) -> None:
    elsewhere.script = lambda _: Reply(body=b'{"token":"x"}')
    header = {"WWW-Authenticate": challenge.format(url=elsewhere.url)}
    fake.fault("", reply=Reply(401, headers=header), times=100)
    registry = client(fake, http, credentials(tmp_path, {fake.host: ("me", CANARY)}), clock)
    with pytest.raises(NetworkError):
        registry.check_push()
    assert elsewhere.requests
    assert elsewhere.sent("Authorization") == []
    assert CANARY not in "".join(f"{request.path}{request.body!r}" for request in elsewhere.requests)


@pytest.mark.parametrize("kind", ["identitytoken", "registrytoken"])
def test_tokens_are_no_more_given_away_than_passwords(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, elsewhere: Server, kind: str
) -> None:
    elsewhere.script = lambda _: Reply(body=b'{"token":"x"}')
    fake.fault("", reply=Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{elsewhere.url}"'}), times=100)
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.host: {kind: CANARY}}}))
    with pytest.raises(NetworkError):
        client(fake, http, Credentials(environment(tmp_path)), clock).check_push()
    assert CANARY not in repr(elsewhere.requests)


def test_a_token_server_that_redirects_keeps_the_login_to_itself(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer, elsewhere: Server
) -> None:
    tokens.script = lambda _: Reply(302, headers={"Location": elsewhere.url})
    elsewhere.script = lambda _: Reply(body=b'{"token":"x"}')
    with pytest.raises(NetworkError):
        client(fake, http, credentials(tmp_path, {tokens.host: ("me", CANARY)}), clock).check_push()
    assert elsewhere.sent("Authorization") == []


@pytest.mark.parametrize(
    "realm", ["file:///etc/passwd", "ftp://x/", "nothing", "http://a b/", "http://[", "gopher://127.0.0.1:1/x"]
)
def test_a_realm_that_is_no_server(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, realm: str
) -> None:
    fake.fault("", reply=Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'}), times=100)
    with pytest.raises(NetworkError) as caught:
        client(fake, http, credentials(tmp_path, {fake.host: ("me", CANARY)}), clock).check_push()
    assert len(fake.requests) == 1
    assert CANARY not in texts(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"token":""}',
        b'{"token":7}',
        b'{"token":"a\\r\\nX-Injected: 1"}',
        b'{"token":"a b"}',
        b'{"token":"x","token":"y"}',
        b"<html>",
        b'{"a":' * 10_000,
        b'{"token":"' + b"x" * 300_000 + b'"}',
    ],
)
def test_a_token_server_that_talks_nonsense(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer, body: bytes
) -> None:
    tokens.script = lambda _: Reply(body=body)
    with pytest.raises(NetworkError):
        client(fake, http, credentials(tmp_path, {}), clock).check_push()
    assert len(fake.requests) == 1


@pytest.mark.parametrize("lives", [0, -5, 1e300, "soon", None, True, 10**30])
def test_how_long_a_token_lives_is_bounded(
    fake: FakeRegistry, http: Http, clock: FakeClock, tmp_path: Path, tokens: TokenServer, lives: object
) -> None:
    fake.add_blob(DATA)
    tokens.lives = lives  # type: ignore[assignment]  # what a server may say
    registry = client(fake, http, credentials(tmp_path, {}), clock)
    registry.has_blob(DIGEST)
    clock.now += 40
    registry.has_blob(DIGEST)
    assert tokens.given == 1
    clock.now += 3600
    registry.has_blob(DIGEST)
    assert tokens.given == 2


def test_a_settings_file_of_another_user_changes_nothing_here(tmp_path: Path) -> None:
    """Two users with different files: each finds their own."""
    (one := tmp_path / "one").mkdir()
    (two := tmp_path / "two").mkdir()
    first = credentials(one, {"registry.example": ("first", "a")})
    second = credentials(two, {"registry.example": ("second", "b")})
    found = [logins.find("registry.example") for logins in (first, second)]
    assert [login.user for login in found if login] == ["first", "second"]
    assert Settings(home=tmp_path) == Settings(home=tmp_path)
