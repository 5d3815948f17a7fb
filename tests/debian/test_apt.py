from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import BaseError
from coopery_debian.apt import Source, read_proxies, read_sources
from coopery_debian.mirror import choose


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "apt.conf.d").mkdir()
    return tmp_path


def write(apt: Path, name: str, text: str) -> None:
    (apt / name).write_text(text, encoding="utf-8")


def test_one_line_form(apt: Path) -> None:
    write(
        apt,
        "sources.list",
        "# comment\n"
        "deb-src http://m.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://m.example/debian/ bookworm main contrib # why\n"
        "deb cdrom:[Debian]/ bookworm main\n",
    )
    assert read_sources(apt)[0] == Source(
        "http://m.example/debian", ("bookworm",), ("main", "contrib"), "/k/a.gpg /k/b.gpg"
    )


def test_deb822_form(apt: Path) -> None:
    write(
        apt,
        "sources.list.d/debian.sources",
        "Types: deb deb-src\n# a comment\nURIs: http://m.example/debian http://n.example/debian\nSuites: bookworm\n"
        " bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\nTypes: deb-src\nURIs: http://src.example/\n"
        "Suites: x\nComponents: main\n\nEnabled: no\nTypes: deb\nURIs: http://off.example/\nSuites: x\n"
        "Components: main\n",
    )
    assert [source.uri for source in read_sources(apt)] == ["http://m.example/debian", "http://n.example/debian"]
    assert read_sources(apt)[0].suites == ("bookworm", "bookworm-updates")


def test_mirror_list(apt: Path) -> None:
    write(apt, "list", "# cloud images\nhttps://m.example/debian/ priority:1\n")
    write(apt, "sources.list", f"deb mirror+file:{apt}/list trixie main\n")
    assert read_sources(apt) == (Source("https://m.example/debian", ("trixie",), ("main",)),)


def test_suite_that_is_listed_goes_first(apt: Path) -> None:
    write(
        apt,
        "sources.list",
        "deb http://other.example/tools stable main\n"
        "deb http://m.example/debian-security bookworm-security main\n"
        "deb http://m.example/debian bookworm main\n"
        "deb http://t.example/anything trixie main\n",
    )
    assert choose("", "bookworm", ("main",), apt).url == "http://m.example/debian"
    assert choose("", "trixie", ("main",), apt).url == "http://t.example/anything"
    assert choose("", "sid", ("main",), apt).url == "http://m.example/debian"
    assert choose("", "bookworm-security", ("main",), apt).url == "http://m.example/debian-security"


def test_setting_wins_and_keeps_the_key_of_its_entry(apt: Path) -> None:
    write(apt, "sources.list", "deb [signed-by=/k.gpg] https://m.example/debian bookworm main\n")
    assert choose("https://m.example/debian/", "bookworm", ("main",), apt).signed_by == "/k.gpg"
    assert choose("https://n.example/debian", "bookworm", ("main",), apt).signed_by == ""


def test_no_mirror_names_the_setting(apt: Path) -> None:
    write(apt, "sources.list", "deb http://m.example/debian bookworm contrib\n")
    with pytest.raises(BaseError, match="COOPERY_DEBIAN_MIRROR"):
        choose("", "bookworm", ("main",), apt)


@pytest.mark.parametrize("url", ["m.example/debian", "ftp://m.example/debian", "/srv/debian", "javascript:x"])
def test_a_mirror_that_is_no_url_is_refused(apt: Path, url: str) -> None:
    with pytest.raises(BaseError, match="expected"):
        choose(url, "bookworm", ("main",), apt)


def test_proxies(apt: Path) -> None:
    write(apt, "apt.conf.d/80proxy", 'Acquire::http::Proxy "http://p.example:3142";\nacquire::https::proxy "DIRECT";\n')
    write(apt, "apt.conf.d/90other", '// Acquire::http::Proxy "http://no.example";\n')
    assert read_proxies(apt) == {"http": "http://p.example:3142"}


def test_a_machine_without_apt(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "none") == ()
    assert read_proxies(tmp_path / "none") == {}
