"""Argument vectors, as they stand: behind ``--`` what could be an option, and nothing that a shell would read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.errors import UsageError
from coopery_podman import buildah, podman
from coopery_podman.buildah import Buildah, Isolation, Storage
from coopery_podman.podman import Way

HOSTILE = ["", "-x", "--privileged", "a b", "@f", "a\nb", "a\0b", "é", "$(x)", "`x`", "a;b", "../x", "a\u2028b"]


def test_from() -> None:
    assert buildah.from_("debian:12", name="box") == ("from", "--quiet", "--name", "box", "--", "debian:12")
    assert buildah.from_(buildah.oci("a/b", "t"), pull="never")[-2:] == ("--", "oci:a/b:t")


def test_run() -> None:
    argv = buildah.run(
        "box",
        ["sh", "-c", "echo $HOME"],
        isolation=Isolation("oci", "runc"),
        env={"B": "2 3", "A": "--x"},
        pass_env=["HTTPS_PROXY"],
        workdir="/w",
        user="1:2",
        network="none",
        mounts=[("/secret", "/run/secrets", True), ("/data", "/data", False)],
    )
    assert argv == (
        *("run", "--isolation", "oci", "--runtime", "runc", "--tty=false", "--env", "A=--x", "--env", "B=2 3"),
        *("--env", "HTTPS_PROXY", "--workingdir", "/w", "--user", "1:2", "--network", "none"),
        *("--volume", "/secret:/run/secrets:ro", "--volume", "/data:/data", "--", "box", "sh", "-c", "echo $HOME"),
    )


def test_config() -> None:
    argv = buildah.config("box", env={"A": "1"}, entrypoint=["x", "-y"], cmd=[], labels={"k": "v"}, user="app")
    assert argv == (
        *("config", "--env", "A=1", "--label", "k=v", "--user", "app", "--entrypoint", '["x", "-y"]'),
        *("--cmd", "[]", "--", "box"),
    )


def test_bud() -> None:
    argv = buildah.bud(
        "/ctx",
        "/ctx/Dockerfile",
        arguments={"WHO": "me"},
        secrets={"tok": "/dev/shm/x"},
        platform="linux/arm64",
        isolation=Isolation("chroot"),
        image_id_file="/id",
        network="none",
    )
    assert argv == (
        *("bud", "--isolation", "chroot", "--format", "oci", "--layers=true", "--force-rm", "--build-arg", "WHO=me"),
        *("--secret", "id=tok,src=/dev/shm/x", "--platform", "linux/arm64", "--iidfile", "/id", "--network", "none"),
        *("--file", "/ctx/Dockerfile", "--", "/ctx"),
    )


def test_the_others() -> None:
    assert buildah.commit("box", "mine:1", remove=True, timestamp=0) == (
        *("commit", "--quiet", "--disable-compression", "--timestamp", "0", "--rm", "--", "box", "mine:1"),
    )
    copied = buildah.copy("box", "/a", "/b c", owner="1:2")
    assert copied == ("copy", "--quiet", "--chown", "1:2", "--", "box", "/a", "/b c")
    assert buildah.mount("box") == ("mount", "--", "box")
    assert buildah.umount("box") == ("umount", "--", "box")
    assert buildah.rm("a", "b") == ("rm", "--", "a", "b")
    assert buildah.rmi("mine:1") == ("rmi", "--", "mine:1")
    assert buildah.pull("oci:x:t") == ("pull", "--quiet", "--", "oci:x:t")
    assert buildah.push("mine:1", "docker://reg:5000/x:1") == (
        *("push", "--quiet", "--disable-compression", "--", "mine:1", "docker://reg:5000/x:1"),
    )
    assert buildah.push("mine:1", buildah.docker_archive("/x.tar"), compress=True)[-1] == "docker-archive:/x.tar"
    assert buildah.tag("abc", "mine:1", "mine:2") == ("tag", "--", "abc", "mine:1", "mine:2")
    assert buildah.images() == ("images", "--all", "--json")
    assert buildah.containers() == ("containers", "--json")
    assert buildah.inspect("box", "container") == ("inspect", "--type", "container", "--", "box")
    assert (buildah.info(), buildah.version()) == (("info",), ("version", "--json"))
    assert buildah.unshare(["id", "-u"]) == ("unshare", "--", "id", "-u")


def test_a_storage_of_ones_own_stands_before_the_command() -> None:
    tool = Buildah(storage=Storage("/r", "/rr", "overlay"))
    expected = ("buildah", "--root", "/r", "--runroot", "/rr", "--storage-driver", "overlay", "rm", "--", "x")
    assert tool.argv(buildah.rm("x")) == expected


def test_podman_run() -> None:
    argv = podman.run(
        "abc",
        ["python", "-c", "1"],
        way=Way("runc", "host", ("nofile=1:2",)),
        env={"PATH": "/x"},
        pass_env=["TOKEN"],
        mounts=[("/data", "/in"), ("/other", "/kept")],
        read_only=["/kept"],
        workdir="/w",
        user="app",
        terminal=True,
        devices=["nvidia.com/gpu=all"],
    )
    assert argv[:7] == ("podman", "--runtime", "runc", "run", "--rm", "--interactive", "--pull")
    assert [word for word in argv if word not in podman.init()][7:] == [
        *("never", "--network", "host", "--ulimit", "nofile=1:2", "--tty", "--env", "PATH=/x", "--env", "TOKEN"),
        *(
            "--volume",
            "/data:/in",
            "--volume",
            "/other:/kept:ro",
            "--workdir",
            "/w",
            "--user",
            "app",
            "--device",
            "nvidia.com/gpu=all",
        ),
        *("--entrypoint", '["python"]', "--", "abc", "-c", "1"),
    ]
    assert podman.run("abc", ())[-2:] == ("--", "abc")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_before_anything_is_started(name: str) -> None:
    refused: list[Any] = [
        lambda: buildah.from_("x", name=name or "-"),
        lambda: buildah.run(name, ["true"]),
        lambda: buildah.rm(name),
        lambda: buildah.mount(name),
        lambda: buildah.commit(name, "x"),
        lambda: buildah.run("box", ["true"], env={name: "1"}),
        lambda: buildah.run("box", ["true"], pass_env=[name]),
        lambda: buildah.run("box", ["true"], mounts=[("/x", name, True)]),
        lambda: buildah.bud("/c", "/c/D", arguments={name: "1"}),
        lambda: buildah.bud("/c", "/c/D", secrets={name: "/x"}),
    ]
    refused += [
        lambda: buildah.from_(name),
        lambda: buildah.rmi(name),
        lambda: buildah.tag("x", name),
        lambda: podman.run(name, ()),
        lambda: podman.exists(name),
    ]
    for build in refused:
        with pytest.raises(UsageError):
            build()


@pytest.mark.parametrize("path", ["/a:b", "/a\nb", "relative", "/a\u2028"])
def test_mount_points_that_have_no_form_are_refused(path: str) -> None:
    with pytest.raises(UsageError):
        buildah.run("box", ["true"], mounts=[("/x", path, True)])


def test_host_paths_that_have_no_form_are_refused() -> None:
    for source in ("/a:b", "/a\nb"):
        with pytest.raises(UsageError):
            buildah.run("box", ["true"], mounts=[(source, "/x", True)])
        with pytest.raises(UsageError):
            buildah.oci(source)
    with pytest.raises(UsageError, match="comma"):
        buildah.bud("/c", "/c/D", secrets={"id": "/a,src=/etc/shadow"})


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), min_size=1))
def test_a_command_is_handed_on_word_for_word(argv: list[str]) -> None:
    words = buildah.run("box", argv)
    assert list(words[-len(argv) :]) == argv
    assert words[-len(argv) - 2 : -len(argv)] == ("--", "box")


def test_no_nul_in_a_command() -> None:
    with pytest.raises(UsageError, match="NUL"):
        buildah.run("box", ["a\0b"])


def test_relative_paths_become_absolute_but_for_layouts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert buildah.bud("ctx", "D")[-3:] == (str(tmp_path / "D"), "--", str(tmp_path / "ctx"))
    assert buildah.oci("coopery") == "oci:coopery"  # images are named after it
