"""Bases that cannot carry what is asked of them, and those that only look so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conda.maker import Channel, text
from coopery import Builder, Environment, platform
from coopery.errors import BaseError, DefinitionError, IntegrityError, ResolveError
from coopery.place import RunRequest
from trunk import health, rootfs, small

pytestmark = pytest.mark.processes

Define = Callable[..., Environment]


@pytest.fixture
def on(tmp_path: Path) -> Callable[..., Environment]:
    """A definition of small packages on a base; the target states no glibc."""
    small.fill(Channel(tmp_path / "channel"))

    def make(base: dict[str, Any], *dependencies: str, **changes: Any) -> Environment:
        return Environment.from_dict(small.document(*dependencies, base=base, **{"target": None, **changes}), tmp_path)

    return make


@pytest.mark.parametrize("transport", ["layout", "archive"])
def test_a_base_for_another_platform(builder: Builder, define: Define, tmp_path: Path, transport: str) -> None:
    other = builder.build(define(target={"platform": "linux/arm64"}))
    builder.export(other, f"{'oci' if transport == 'layout' else 'oci-archive'}:{tmp_path / 'base'}:v1")
    base = {transport: str(tmp_path / "base"), "tag": "v1"}
    with pytest.raises(BaseError, match=r"linux/arm64") as caught:
        builder.build(define(base=base))
    assert "linux/amd64" in str(caught.value)
    assert builder.build(define(base=base, target={"platform": "linux/arm64"})).platform == "linux/arm64"


def test_a_glibc_older_than_a_package_needs(
    builder: Builder, on: Callable[..., Environment], tmp_path: Path, home: Path
) -> None:
    Channel(tmp_path / "channel", small.index(tmp_path / "channel")).add("modern", depends=["__glibc >=2.28"])
    old = rootfs.pack(tmp_path / "old.tar", {rootfs.LIBC: rootfs.banner("2.17")}, rootfs.MERGED)
    new = rootfs.pack(tmp_path / "new.tar", {rootfs.LIBC: rootfs.banner("2.36")}, rootfs.MERGED)
    with pytest.raises(ResolveError) as caught:
        builder.build(on({"rootfs": old.name}, "modern"))
    said = str(caught.value)
    assert "modern" in said
    assert "__glibc >=2.28" in said
    assert builder.list() == ()
    assert builder.build(on({"rootfs": new.name}, "modern")).lock is not None
    health.check(home)


def test_a_glibc_that_the_definition_states_wins(
    builder: Builder, on: Callable[..., Environment], tmp_path: Path
) -> None:
    Channel(tmp_path / "channel", small.index(tmp_path / "channel")).add("modern", depends=["__glibc >=2.28"])
    old = rootfs.pack(tmp_path / "old.tar", {rootfs.LIBC: rootfs.banner("2.17")}, rootfs.MERGED)
    assert builder.build(on({"rootfs": old.name}, "modern", target={"glibc": "2.28"})).lock is not None


@pytest.mark.skipif(platform.of_host() != "linux/amd64", reason="the base has this machine's shell, for amd64")
def test_a_prefix_behind_a_symlink_moves_to_where_it_leads(
    builder: Builder,
    on: Callable[..., Environment],
    tmp_path: Path,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = "#!/bin/sh\nread -r line < @PREFIX@/etc/word\necho $line\n"
    say = {"etc/word": text("@PREFIX@\n"), "bin/say": text(script, 0o755)}
    Channel(tmp_path / "channel", small.index(tmp_path / "channel")).add("say", say)
    files = {**rootfs.shell(), "usr/opt/kept": b"kept"}
    base = rootfs.pack(tmp_path / "linked.tar", files, {**rootfs.MERGED, "opt": "usr/opt"})
    image = builder.build(on({"rootfs": base.name}, "say"))
    assert image.prefix == "/usr/opt/env"
    health.check(home)
    script = "say; test -h /opt && test -f /opt/kept && echo link stays; echo $CONDA_PREFIX"
    assert builder.run(image.key, RunRequest(["sh", "-c", script])) == 0
    assert capfd.readouterr().out == "/usr/opt/env\nlink stays\n/usr/opt/env\n"


@pytest.mark.parametrize(
    ("files", "links", "said"),
    [
        ({"opt/env/lib/thing": b""}, {}, r"/opt/env exists in the base and is not empty"),
        ({"opt/env": b""}, {}, r"the base has a file at /opt/env"),
        ({"usr/opt/env/thing": b""}, {"opt": "usr/opt"}, r"/usr/opt/env exists in the base"),
        ({"etc/x": b""}, {"opt": "missing"}, r"the symlink /opt names /missing"),
        ({"etc/x": b""}, {"opt": "opt"}, r"symlinks, which is a loop"),
        ({"opt": b""}, {}, r"/opt.*a folder is needed"),
    ],
    ids=["occupied", "a file", "occupied behind a link", "dangling", "loop", "file above"],
)
def test_a_prefix_that_cannot_be_used(
    builder: Builder,
    on: Callable[..., Environment],
    tmp_path: Path,
    home: Path,
    files: dict[str, bytes],
    links: dict[str, str],
    said: str,
) -> None:
    base = rootfs.pack(tmp_path / "base.tar", files, links)
    with pytest.raises(BaseError, match=said) as caught:
        builder.build(on({"rootfs": base.name}, "tool"))
    assert caught.value.remedy
    assert health.check(home) == 0


def test_an_empty_folder_at_the_prefix_is_no_obstacle(
    builder: Builder, on: Callable[..., Environment], tmp_path: Path
) -> None:
    base = rootfs.pack(tmp_path / "base.tar", {}, folders=["opt", "opt/env"])
    assert builder.build(on({"rootfs": base.name}, "tool")).prefix == "/opt/env"


def test_another_prefix_is_the_way_out(builder: Builder, on: Callable[..., Environment], tmp_path: Path) -> None:
    base = rootfs.pack(tmp_path / "base.tar", {"opt/env/thing": b""})
    assert builder.build(on({"rootfs": base.name}, "tool", prefix="/opt/other")).prefix == "/opt/other"


def test_a_damaged_base_is_refused_and_leaves_nothing(
    builder: Builder, on: Callable[..., Environment], tmp_path: Path, home: Path
) -> None:
    base = rootfs.pack(tmp_path / "base.tar", {"etc/x": b"x" * 2000}, {})
    base.write_bytes(base.read_bytes()[:2000])
    with pytest.raises(IntegrityError, match=r"base\.tar"):
        builder.build(on({"rootfs": base.name}, "tool"))
    assert health.check(home) == 0
    health.check_tidy(home)


def test_nothing_on_nothing_is_the_users_mistake(builder: Builder, home: Path) -> None:
    with pytest.raises(DefinitionError, match=r"\$\.base: scratch, with no files and no packages"):
        builder.build(Environment.from_dict({"base": "scratch", "steps": [{"env": {"A": "b"}}]}))
    assert not home.exists()
