"""A real registry on loopback: Debian's docker-registry, on a port of its own, with or without passwords."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ports import free_port

_PATIENCE = 20.0


@frozen
class RealRegistry:
    """One running registry.

    Attributes:
        host: ``127.0.0.1:PORT``, as references name it.
        storage: the folder in which it keeps its blobs.
        log: file of its output; every request is a line of it.
    """

    host: str
    storage: Path
    log: Path


@contextlib.contextmanager
def real_registry(
    folder: Path, *, login: tuple[str, str] | None = None, tokens: tuple[str, Path] | None = None
) -> Iterator[RealRegistry]:
    """Run one that keeps its data below *folder*; with *login*, it asks everybody for that name and password.

    With *tokens*, it wants tokens of the server at that URL, which signs with the key of that certificate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [
        "version: 0.1",
        "storage:",
        "  filesystem:",
        f"    rootdirectory: {folder / 'storage'}",
        "  delete:",
        "    enabled: true",
        "http:",
        f"  addr: 127.0.0.1:{port}",
    ]
    if login:
        hashed = subprocess.run(
            ["htpasswd", "-nbB", *login], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        (folder / "htpasswd").write_text(hashed)
        lines += ["auth:", "  htpasswd:", "    realm: tests", f"    path: {folder / 'htpasswd'}"]
    if tokens:
        realm, certificate = tokens
        lines += ["auth:", "  token:", f"    realm: {realm}", "    service: tests", "    issuer: tests"]
        lines += [f"    rootcertbundle: {certificate}"]
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    program = shutil.which("docker-registry") or "docker-registry"
    log = folder / "registry.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _wait(port, process, log)
        yield RealRegistry(f"127.0.0.1:{port}", folder / "storage", log)
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"the registry ended: {log.read_text(errors='replace')[-500:]}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry did not answer")
