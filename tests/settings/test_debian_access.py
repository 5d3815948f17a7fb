"""Debian mirrors by the settings: a login of their own, the proxy, apt's proxy last; nothing of it shown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from coopery.blobs import BlobStore
from coopery.errors import BaseError, NetworkError
from coopery.events import ignore
from coopery.settings import Settings
from coopery_debian.fetch import Fetcher, join
from coopery_debian.mirror import Mirror, choose
from settings.servers import Proxy, proxy, serve

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

CANARY = "c4n4ryV4lue"
DATA = b"package"


@pytest.fixture
def www(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NETRC", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "www" / "debian").mkdir(parents=True)
    (tmp_path / "www" / "debian" / "file").write_bytes(DATA)
    return tmp_path / "www"


def mirror(tmp_path: Path, url: str, apt: str = "") -> Mirror:
    parts = tmp_path / "apt" / "apt.conf.d"
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "proxy").write_text(apt)
    return choose(url, "bookworm", ("main",), tmp_path / "apt")


def get(tmp_path: Path, found: Mirror, **settings: str) -> bytes:
    kept = BlobStore(tmp_path / "files", tmp_path / "staging")
    fetcher: Fetcher = found.fetcher(kept, Settings(home=tmp_path, **settings), ignore, patient=False)  # type: ignore[arg-type]  # strings only
    return fetcher.file(join(found.url, "file"), hashlib.sha256(DATA).hexdigest(), len(DATA)).read_bytes()


def test_a_password_in_the_mirrors_url(www: Path, tmp_path: Path) -> None:
    with serve(www, login=f"ada:{CANARY}") as site:
        found = mirror(tmp_path, site.url("/debian", user=f"ada:{CANARY}"))
        assert get(tmp_path, found) == DATA
        assert found.url == site.url("/debian")
        assert CANARY not in repr(found)


def test_a_wrong_password_is_not_told(www: Path, tmp_path: Path) -> None:
    with serve(www, login="ada:other") as site:
        found = mirror(tmp_path, site.url("/debian", user=f"ada:{CANARY}"))
        with pytest.raises(NetworkError, match="401") as caught:
            get(tmp_path, found)
    assert CANARY not in str(caught.value) + repr(vars(caught.value))
    assert len(site.asked) == 1


def test_a_url_that_is_none_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="debian_mirror") as caught:
        mirror(tmp_path, f"ftp://ada:{CANARY}@h.example/debian")
    assert CANARY not in str(caught.value)


def test_netrc(www: Path, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login ada password {CANARY}\n")
    with serve(www, login=f"ada:{CANARY}") as site:
        assert get(tmp_path, mirror(tmp_path, site.url("/debian"))) == DATA


def test_apts_proxy_counts_last(www: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(www) as site:
        hosts = {"debian.test": site.port}
        with proxy(hosts) as apts, proxy(hosts) as ours, proxy(hosts) as theirs:
            found = mirror(tmp_path, site.url("/debian", host="debian.test"), _apt(apts.url()))
            assert (get(tmp_path, found), _count(apts, ours, theirs)) == (DATA, (1, 0, 0))
            monkeypatch.setenv("http_proxy", theirs.url())
            _forget(tmp_path)
            assert (get(tmp_path, found), _count(apts, ours, theirs)) == (DATA, (1, 0, 1))
            _forget(tmp_path)
            assert (get(tmp_path, found, proxy=ours.url()), _count(apts, ours, theirs)) == (DATA, (1, 1, 1))


def _apt(url: str) -> str:
    return f'Acquire::http::Proxy "{url}";\n'


def _count(*proxies: Proxy) -> tuple[int, ...]:
    return tuple(len(one.asked) for one in proxies)


def _forget(tmp_path: Path) -> None:
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file():
            path.unlink()
