"""A real Redis server of a test's own: on a Unix socket in its folder, or on a port of loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ports import free_port

_PATIENCE = 20.0


class RealRedis:
    """One server, which can be stopped, killed and started again; it keeps what it knows by AOF where *durable*.

    Args:
        folder: where it keeps its socket, its data and its log.
        options: more words of its command line.
        durable: whether each write is on disk before it is answered; else nothing survives a restart.
        tls: folder with ``both.pem`` (key and certificate): TLS on a port of loopback.
        tcp: a port of loopback, without TLS.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        *,
        durable: bool = True,
        tls: Path | None = None,
        tcp: bool = False,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "s"  # a socket's path may not be longer than 107 bytes
        self.port = free_port() if tls or tcp else 0
        argv = ["redis-server", "--unixsocket", str(self.socket), "--dir", str(folder), "--save", ""]
        argv += ["--port", "0" if tls else str(self.port), "--bind", "127.0.0.1", "--loglevel", "warning"]
        if durable:
            argv += ["--appendonly", "yes", "--appendfsync", "always"]
        if tls:
            both = str(tls / "both.pem")
            argv += ["--tls-port", str(self.port), "--tls-cert-file", both, "--tls-key-file", both]
            argv += ["--tls-ca-cert-file", both, "--tls-auth-clients", "no"]
        self._argv = [*argv, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, namespace: str = "tests") -> str:
        return f"redis:{self.socket}?namespace={namespace}"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"redis-server does not run: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def command(self, *words: str | bytes) -> bytes:
        """The answer of redis-cli, without the line's end."""
        argv: list[str | bytes] = ["redis-cli", "-e", "-s", str(self.socket), *words]
        return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout.removesuffix(b"\n")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64)[:5] in (b"+PONG", b"-NOAU")
            except OSError:
                return False
