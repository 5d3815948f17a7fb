"""Command lines and requests, pure: whatever a name is, it stays one word, behind what it belongs to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.definition import ContextBase, Environment
from coopery.errors import BackendError, IntegrityError
from coopery.layers.header import FIXED_TIME
from coopery.place import RunRequest
from coopery.seal import seal
from coopery.sealed import SealedBase
from coopery.snapshots.build_context import Context, laid_out
from coopery.snapshots.running import SECRETS, SUPPORT, Running
from coopery_docker import dockerfile, run, steps
from coopery_docker.builders import Builder
from coopery_docker.client import Daemon
from coopery_docker.network import network

HOSTILE = ("-x", "--privileged", "a b", "@f", "oci:..", "a\nRUN touch /pwned", "$(id)", "`id`", "'\"", "\u2028", "a\\")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_build_has_one_word_for_each_value(text: str) -> None:
    base = SealedBase(ContextBase("."), arguments=(("NAME", text),))
    context = Context(Path("/staging/context"), Path("/staging/context") / text, text)
    argv = dockerfile._argv(Builder("", ("docker", "build"), {}), base, context, "coopery-step:x", "linux/amd64", {})
    assert argv == (
        "docker",
        "build",
        "--progress=plain",
        "--tag=coopery-step:x",
        "--platform=linux/amd64",
        f"--file=/staging/context/{text}",
        f"--build-arg=NAME={text}",
        "--",
        "/staging/context",
    )


def told(**info: Any) -> Any:
    return SimpleNamespace(info=info, endpoint=SimpleNamespace(socket="/run/docker.sock"))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_run_has_one_word_for_each_value(text: str) -> None:
    request = RunRequest((text, text), {}, [(Path("/data"), "/mnt")], text, text)
    options = run._options(told(), request, (text, text))
    assert [word for word in options if not word.startswith("--label=")] == [
        "--rm",
        "--interactive",
        "--mount=type=bind,source=/data,target=/mnt",
        f"--workdir={text}",
        f"--user={text}",
        f"--entrypoint={text}",
    ]


def test_a_comma_or_a_quote_in_a_path_stays_in_it() -> None:
    assert run._mount(Path('/a,"b'), "/c d", ()) == 'type=bind,"source=/a,""b",target=/c d'
    assert run._mount(Path("/a"), "/c", ("/c",)) == "type=bind,source=/a,target=/c,readonly"


def running(*mounts: tuple[Path, str], **env: str) -> Running:
    return Running(("true",), env, "/", "", True, mounts, 0.0, "$.steps[0]")


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("", "bridge"),
        ("http://proxy.example:80", "bridge"),
        ("http://user@127.0.0.1:80", "host"),
        ("http://[::1]:8", "host"),
    ],
)
def test_the_network_is_the_bridge_unless_the_proxy_is_on_loopback(scripted: Any, proxy: str, expected: str) -> None:
    _, endpoint = scripted({"GET /networks": (200, b'[{"Name": "bridge"}]')})
    daemon = Daemon(endpoint)
    assert network(daemon, {"https_proxy": proxy, "NO_PROXY": "//127.0.0.1"}) == expected
    daemon.close()


def test_a_daemon_without_a_bridge_gives_its_own_network(scripted: Any) -> None:
    _, endpoint = scripted({"GET /networks": (200, b'[{"Name": "host"}]')})
    daemon = Daemon(endpoint)
    assert network(daemon, {}) == "host"
    daemon.close()


def test_a_daemon_elsewhere_gets_certificates_and_never_secrets(tmp_path: Path) -> None:
    import io
    import tarfile

    (tmp_path / "ca-certificates.crt").write_text("certificates")
    with tarfile.open(fileobj=io.BytesIO(steps._sent(running((tmp_path, SUPPORT))))) as tar:
        assert "run/coopery/ca-certificates.crt" in tar.getnames()
    with pytest.raises(BackendError, match="to its disk"):
        steps._sent(running((tmp_path, SUPPORT), (tmp_path, SECRETS)))


@pytest.fixture
def sealed(tmp_path: Path) -> SealedBase:
    top = tmp_path / "ctx"
    (top / "deep").mkdir(parents=True)
    (top / "Dockerfile").write_text("FROM scratch\n")
    (top / ".dockerignore").write_text("Dockerfile\n*.log\n")
    (top / "deep" / "tool").write_text("#!/bin/sh\n")
    (top / "deep" / "tool").chmod(0o700)
    (top / "deep" / "link").symlink_to("tool")
    (top / "a.log").write_text("no")
    return seal(Environment(base=ContextBase("ctx"), root=tmp_path)).base


def test_a_context_is_what_was_digested(workshop: Workshop, sealed: SealedBase) -> None:
    with laid_out(workshop, sealed) as context:
        found = {path.relative_to(context.folder).as_posix() for path in context.folder.rglob("*")}
        assert found == {".dockerignore", "deep", "deep/tool", "deep/link"}
        assert context.dockerfile.read_text() == "FROM scratch\n"
        assert context.folder not in context.dockerfile.parents
        status = (context.folder / "deep" / "tool").stat()
        assert (status.st_mode & 0o7777, status.st_mtime) == (0o755, FIXED_TIME)
        assert (context.folder / "deep").stat().st_mtime == FIXED_TIME
        assert (context.folder / "deep" / "link").readlink() == Path("tool")
    assert not context.folder.exists()


@pytest.mark.parametrize("name", ["Dockerfile", "deep/tool"])
def test_a_context_that_changed_is_refused(workshop: Workshop, sealed: SealedBase, name: str) -> None:
    assert sealed.path is not None
    (sealed.path / name).write_text("changed")
    with pytest.raises(IntegrityError), laid_out(workshop, evolve(sealed)):
        pass
