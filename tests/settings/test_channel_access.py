"""Private channels, mirrors, proxies and certificates, with real py-rattler against real servers on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conda.desk import PREFIX, Desk, make_desk, union
from conda.maker import Channel, File
from coopery.digest import of_bytes
from coopery.errors import CooperyError, PackageError, ResolveError
from coopery.lock import Artifact
from coopery.settings import Settings
from coopery.target import Facts, Provided, Resolved
from settings.servers import Site, make_certificate, proxy, serve

pytestmark = pytest.mark.processes

TARGET = Resolved(
    platform="linux/amd64",
    prefix=PREFIX,
    base=of_bytes(b"base"),
    facts=Facts(),
    glibc="2.36",
    archspec="x86_64",
    bytecode=False,
)
CANARY = "c4n4ryV4lue"

MakeDesk = Callable[..., Desk]


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    made = Channel(tmp_path / "www" / "ours")
    made.add("tool")
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDesk]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NETRC", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with ExitStack() as stack:

        def make(name: str = "home", **settings: Any) -> Desk:
            home = tmp_path / name
            return stack.enter_context(make_desk(tmp_path, home, Settings(home=home, **settings)))

        yield make


def build(desk: Desk, channel: str = "ours") -> list[Artifact]:
    """Lock and fetch ``tool``; nothing of it may name where it came from."""
    section = desk.section("tool", channels=(channel,))
    artifacts = desk.lock("tool", target=TARGET, channels=(channel,))
    trees = desk.materializer.trees(section, artifacts, TARGET, Provided())
    assert "opt/env/share/tool" in union(trees)
    assert [artifact.source for artifact in artifacts] == [channel]
    return list(artifacts)


def hidden(desk: Desk, *secrets: str) -> None:
    """Nothing that was written, or reported, has a secret in it."""
    for path in desk.workshop.home.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not any(secret.encode() in data or secret in path.name for secret in secrets), path
    assert not any(secret in repr(event) for secret in secrets for event in desk.events)


@pytest.fixture
def site(channel: Channel) -> Iterator[Site]:
    with serve(channel.root.parent) as found:
        yield found


# --- who may come in ------------------------------------------------------------------------------


def test_a_password_in_the_url_of_the_settings(channel: Channel, desk: MakeDesk) -> None:
    with serve(channel.root.parent, login=f"ada:{CANARY}/@") as site:
        one = desk(channels={"ours": site.url("/ours", user=f"ada:{CANARY}%2F%40")})
        build(one)
        hidden(one, CANARY)


def test_a_password_from_netrc(channel: Channel, desk: MakeDesk, tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ".netrc").write_text(f"machine 127.0.0.1 login ada password {CANARY}\n")
    with serve(channel.root.parent, login=f"ada:{CANARY}") as site:
        one = desk(channels={"ours": site.url("/ours")})
        build(one)
        hidden(one, CANARY)


def test_netrcs_default_is_for_nobody(site: Site, desk: MakeDesk, tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ".netrc").write_text(f"default login ada password {CANARY}\n")
    build(desk(channels={"ours": site.url("/ours")}))
    assert {authorization for _, authorization in site.asked} == {None}


@pytest.mark.parametrize("before", ["", "/get"])
def test_a_token_in_the_url_of_the_settings(channel: Channel, desk: MakeDesk, before: str) -> None:
    """It goes over the wire and is in no file of ours, py-rattler's index of channels included."""
    root = channel.root.parent
    there = root / f"{before}/t/{CANARY}".lstrip("/")
    there.mkdir(parents=True)
    channel.root.rename(there / "ours")
    with serve(root) as site:
        one = desk(channels={"ours": site.url(f"{before}/t/{CANARY}/ours")})
        build(one)
        hidden(one, CANARY)
        assert any(CANARY in path and path.endswith(".conda") for path, _ in site.asked)


@pytest.mark.parametrize("access", ["user", "token"])
def test_a_refusal_names_the_channel_and_no_secret(channel: Channel, desk: MakeDesk, access: str) -> None:
    with serve(channel.root.parent, login="ada:other") as site:
        url = site.url("/ours", user=f"ada:{CANARY}") if access == "user" else site.url(f"/t/{CANARY}/ours")
        one = desk(channels={"ours": url})
        with pytest.raises(ResolveError, match="'ours'") as caught:
            build(one)
    assert "/ours" in str(caught.value)
    assert CANARY not in repr(vars(caught.value)) + str(caught.value) + repr(caught.value.__cause__)
    hidden(one, CANARY)


def test_a_password_is_not_sent_to_another_channel(channel: Channel, desk: MakeDesk, tmp_path: Path) -> None:
    other = Channel(tmp_path / "other" / "theirs")
    other.add("dependency")
    with serve(channel.root.parent, login=f"ada:{CANARY}") as ours, serve(other.root.parent) as theirs:
        one = desk(channels={"ours": ours.url("/ours", user=f"ada:{CANARY}"), "theirs": theirs.url("/theirs")})
        one.lock("tool", "dependency", target=TARGET, channels=("ours", "theirs"))
        assert theirs.asked
        assert {authorization for _, authorization in theirs.asked} == {None}


def test_two_ports_of_one_host_are_not_confused(channel: Channel, site: Site, desk: MakeDesk) -> None:
    with serve(channel.root.parent, login=f"ada:{CANARY}") as ours:
        one = desk(channels={"ours": ours.url("/ours", user=f"ada:{CANARY}"), "theirs": site.url("/ours")})
        with pytest.raises(ResolveError, match="would also go to"):
            one.lock("tool", target=TARGET, channels=("ours", "theirs"))
    assert site.asked == []


def test_a_redirect_takes_no_password_along(channel: Channel, desk: MakeDesk) -> None:
    with (
        serve(channel.root.parent) as far,
        serve(channel.root.parent, login=f"ada:{CANARY}", moved_to=far.url(host="127.0.0.1")) as near,
    ):
        build(desk(channels={"ours": near.url("/ours", user=f"ada:{CANARY}")}))
        assert far.asked
        assert {authorization for _, authorization in far.asked} == {None}


# --- mirrors --------------------------------------------------------------------------------------


def test_a_mirror_gives_the_same_lock(channel: Channel, site: Site, desk: MakeDesk, tmp_path: Path) -> None:
    shutil.copytree(channel.root, tmp_path / "mirror")
    by_http = build(desk("first", channels={"ours": site.url("/ours")}))
    by_folder = build(desk("second", channels={"ours": str(tmp_path / "mirror")}))
    assert by_http == by_folder


def test_a_mirror_with_another_package_is_refused_after_a_lock(
    channel: Channel, site: Site, desk: MakeDesk, tmp_path: Path
) -> None:
    """The lock has the sha256 of the channel; a mirror that has other bytes under that name gives nothing."""
    artifacts = build(desk("first", channels={"ours": site.url("/ours")}))
    other = Channel(tmp_path / "mirror")
    other.add("tool", {"share/tool": File(b"other bytes")})
    two = desk("second", channels={"ours": str(tmp_path / "mirror")})
    with pytest.raises(PackageError, match=r"tool-1\.0-0\.conda: .*(sha256|longer)"):
        two.materializer.trees(two.section("tool", channels=("ours",)), artifacts, TARGET, Provided())
    assert not [path for path in (two.workshop.home / "packages").rglob("*") if path.is_file()]


# --- proxies and certificates ---------------------------------------------------------------------


def test_a_proxy_of_the_settings(channel: Channel, site: Site, desk: MakeDesk) -> None:
    with proxy({"conda.test": site.port}, login=f"ada:{CANARY}") as between:
        one = desk(proxy=between.url(f"ada:{CANARY}"), channels={"ours": site.url("/ours", host="conda.test")})
        build(one)
        assert any(target.startswith("http://conda.test/ours/") for _, target, _ in between.asked)
        hidden(one, CANARY)


def test_no_proxy_of_the_settings(site: Site, desk: MakeDesk) -> None:
    """This machine itself is reached directly."""
    with proxy({}) as between:
        build(desk(proxy=between.url(), channels={"ours": site.url("/ours")}))
        assert between.asked == []


def test_a_tunnel_and_a_certificate_of_ones_own(channel: Channel, desk: MakeDesk, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    both, certificate = make_certificate(tmp_path, "conda.test")
    with (
        serve(channel.root.parent, certificate=both, login=f"ada:{CANARY}") as site,
        proxy({"conda.test": site.port}) as between,
    ):
        url = site.url("/ours", host="conda.test", user=f"ada:{CANARY}")
        one = desk(proxy=between.url(), ca_bundle=str(certificate), channels={"ours": url})
        build(one)
        assert {(method, target) for method, target, _ in between.asked} == {("CONNECT", "conda.test:443")}
        hidden(one, CANARY, "certificate.pem", str(between.port))
        stranger = desk("stranger", proxy=between.url(), channels={"ours": url})
        with pytest.raises(CooperyError, match="certificate"):
            build(stranger)


def test_a_proxy_that_wants_a_password_is_named_without_it(site: Site, desk: MakeDesk) -> None:
    with proxy({"conda.test": site.port}, login="ada:other") as between:
        one = desk(proxy=between.url(f"ada:{CANARY}"), channels={"ours": site.url("/ours", host="conda.test")})
        with pytest.raises(ResolveError) as caught:
            build(one)
    assert CANARY not in repr(vars(caught.value)) + str(caught.value)
