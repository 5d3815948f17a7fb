from __future__ import annotations

from pathlib import Path

import pytest

from coopery.errors import ResolveError
from coopery.settings import Settings
from coopery_conda.channels import all_channels, canonical_url, public, spec, subdir_of, url_of

SETTINGS = Settings(home=Path("/home"), channels={"kept": "/srv/kept", "far": "https://mirror.test/far/"})


@pytest.mark.parametrize(
    ("channel", "url"),
    [
        ("conda-forge", "https://conda.anaconda.org/conda-forge"),
        ("conda-forge/label/dev", "https://conda.anaconda.org/conda-forge/label/dev"),
        ("https://user:word@host.test/c/", "https://user:word@host.test/c"),
        ("./folder", "file:///definitions/folder"),
        ("../folder", "file:///folder"),
        ("/abs/a b", "file:///abs/a%20b"),
        ("kept", "file:///srv/kept"),
        ("far", "https://mirror.test/far"),
    ],
)
def test_where_a_channel_is_fetched_from(channel: str, url: str) -> None:
    assert url_of(channel, Path("/definitions"), SETTINGS) == url


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        (" conda-forge ", "conda-forge"),
        ("https://user:word@host.test/t/tk-123/c/", "https://host.test/c"),
        ("https://host.test:8443/c", "https://host.test:8443/c"),
        ("./folder", "./folder"),
    ],
)
def test_a_lock_names_no_credentials(channel: str, name: str) -> None:
    assert public(channel) == name


@pytest.mark.parametrize(
    ("channel", "url"),
    [
        ("conda-forge", "https://conda.anaconda.org/conda-forge"),
        ("https://u:p@host.test/t/tk/c", "https://host.test/c"),
        ("./some/folder", "file:///folder"),
        ("/home/somebody/folder", "file:///folder"),
        ("file:///home/somebody/folder", "file:///folder"),
    ],
)
def test_an_image_names_no_folder_of_the_builder(channel: str, url: str) -> None:
    assert canonical_url(channel) == url


@pytest.mark.parametrize(
    ("text", "channel", "subdir", "with_url"),
    [
        ("numpy >=1.2", None, None, "numpy >=1.2"),
        ("bioconda::bamtools=2.5.2", "bioconda", None, 'bamtools=2.5.2[channel="URL"]'),
        ("conda-forge/linux-64::x", "conda-forge", "linux-64", 'x[channel="URL", subdir="linux-64"]'),
        ("conda-forge/label/dev::x", "conda-forge/label/dev", None, 'x[channel="URL"]'),
        ("https://h.test:8443/c::x=1", "https://h.test:8443/c", None, 'x=1[channel="URL"]'),
        ('x[channel=bioconda, version=">1"]', "bioconda", None, 'x[channel="URL",  version=">1"]'),
        ('x[version=">1,<2", channel="bioconda"]', "bioconda", None, 'x[channel="URL", version=">1,<2"]'),
        ("c::x[build=py*]", "c", None, 'x[channel="URL", build=py*]'),
    ],
)
def test_the_channel_of_a_spec(text: str, channel: str | None, subdir: str | None, with_url: str) -> None:
    found = spec(text)
    assert (found.channel, found.subdir) == (channel, subdir)
    assert found.with_url("URL" if channel else None) == with_url


def test_a_channel_that_only_a_spec_names_comes_last() -> None:
    specs = [spec("z::a"), spec("b::a"), spec("first::a")]
    assert all_channels(["second", "first"], specs) == ("second", "first", "b", "z")


def test_every_platform_that_conda_has() -> None:
    assert subdir_of("linux/arm64") == "linux-aarch64"
    with pytest.raises(ResolveError, match=r"\$\.target\.platform.*'linux/mips'"):
        subdir_of("linux/mips")
