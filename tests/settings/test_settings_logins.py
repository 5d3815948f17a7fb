"""Users and passwords: from a URL, netrc, the keyring, for their own host alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from coopery.errors import SettingsError
from coopery.settings import Settings
from coopery.wire import keyring
from coopery.wire.child_env import child_env
from coopery.wire.login import Credential, Logins, in_netrc
from coopery.wire.origin import parse

NETRC = """\
machine one.example login ada password first
machine two.example
  login "grace hopper"
  password "sec ond"
default login anybody password nobody
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "netrc").write_text(NETRC)
    return {"NETRC": str(tmp_path / "netrc"), "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("https://one.example/simple", ("ada", "first")),
        ("https://ONE.example:8443/simple", ("ada", "first")),
        ("https://two.example/", ("grace hopper", "sec ond")),
        ("https://ada@one.example/", ("ada", "first")),
        ("https://bob@one.example/", ("bob", "")),
        ("https://bob:own@one.example/", ("bob", "own")),
        ("https://b%40b:p%2Fw@one.example/", ("b@b", "p/w")),
        ("https://sub.one.example/", None),
        ("https://one.example.evil/", None),
        ("https://other.example/", None),
    ],
)
def test_whose_password(environ: dict[str, str], url: str, user: tuple[str, str] | None) -> None:
    found = Logins(environ, keyring=False).find(url)
    assert (found and (found.user, found.password)) == user


def test_a_url_speaks_for_its_origin_alone(environ: dict[str, str]) -> None:
    logins = Logins(environ, keyring=False, urls=("https://ada:canary@h.example/debian",))
    assert logins("https://h.example/other") == Credential("ada", "canary").authorization
    for other in ("http://h.example/debian", "https://h.example:444/debian", "https://i.example/debian"):
        assert logins(other) is None


def test_nothing_shows_a_password(environ: dict[str, str]) -> None:
    credential = Logins(environ, keyring=False).find("https://one.example/")
    assert credential is not None
    assert "first" not in repr(credential)
    assert credential.found == environ["NETRC"]


def test_the_file_in_the_users_folder(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine h login u password p\n")
    found = in_netrc("h", "", {"HOME": str(tmp_path)})
    assert found == Credential("u", "p", str(tmp_path / ".netrc"))


@pytest.mark.parametrize("text", [b"machine h login u passwd canary\n", b"machine h\nlogin u canary\n", b"\xff canary"])
def test_a_netrc_that_is_none_is_named_and_not_quoted(tmp_path: Path, text: bytes) -> None:
    (tmp_path / ".netrc").write_bytes(text)
    with pytest.raises(SettingsError, match=r"\.netrc") as caught:
        Logins({"HOME": str(tmp_path)}, keyring=False).find("https://h/")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "NETRC=/dev/null" in str(caught.value)


# --- the keyring ----------------------------------------------------------------------------------

BACKEND = """
import time, sys
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential

class Fake(KeyringBackend):
    priority = 9
    def get_password(self, service, user):
        return {("https://h.example", "ada"): "by user"}.get((service, user))
    def get_credential(self, service, user):
        if service.startswith("https://slow"):
            time.sleep(60)
        if service.startswith("https://breaks"):
            raise RuntimeError("canary")
        if service.startswith("https://prompts"):
            return SimpleCredential(input("user? "), "x")
        return SimpleCredential("grace", "by host") if service == "h.example:8443" else None
    def set_password(self, *a): raise NotImplementedError
    def delete_password(self, *a): raise NotImplementedError
"""


@pytest.fixture
def fake_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keyring")
    (tmp_path / "fake_keyring_backend.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "fake_keyring_backend.Fake")


@pytest.mark.processes
@pytest.mark.usefixtures("fake_keyring")
def test_the_keyring_is_asked_by_origin_and_by_host(environ: dict[str, str]) -> None:
    logins = Logins(environ)
    assert logins.find("https://ada@h.example/simple") == Credential("ada", "by user", "the keyring")
    assert logins.find("https://h.example:8443/simple") == Credential("grace", "by host", "the keyring")
    assert logins.find("https://bob@h.example/simple") == Credential("bob", "", "its URL")


@pytest.mark.processes
@pytest.mark.usefixtures("fake_keyring")
def test_a_keyring_that_breaks_prompts_or_hangs_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "_SECONDS", 2.0)
    for host in ("breaks.example", "prompts.example", "slow.example"):
        assert keyring.ask(parse(f"https://{host}/").origin) is None


@pytest.mark.processes
def test_without_the_library_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert keyring.ask(parse("https://h/").origin) is None


# --- children -------------------------------------------------------------------------------------


def test_children_are_told_only_what_is_set(tmp_path: Path) -> None:
    assert child_env(Settings(home=tmp_path), os.environ) == {}
    assert child_env(Settings(home=tmp_path, no_proxy="a"), {}) == {"NO_PROXY": "a", "no_proxy": "a"}


def test_children_are_told_in_every_spelling(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, proxy="http://p:1", ca_bundle="/ca.pem")
    told = child_env(settings, {"no_proxy": "corp.example"})
    assert {name for name, value in told.items() if value == "http://p:1"} == {
        name for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (upper, upper.lower())
    }
    assert told["no_proxy"] == told["NO_PROXY"] == "corp.example,localhost,127.0.0.1,::1"
    assert told["SSL_CERT_FILE"] == "/ca.pem"
