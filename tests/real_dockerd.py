"""A Docker daemon of our own, with its own data: it may be killed, filled and thrown away."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from coopery_docker.endpoint import Endpoint

_LOOPBACK = 'ip link set lo up && exec "$@"'


class Dockerd:
    """A daemon of our own, in a network namespace of its own: a second one would take the first one's bridge.

    Args:
        folder: for its data, its socket and its log.
        options: for ``dockerd``.
        size: of a file system in memory for its data; empty: on disk.
        programs: folder with ``bin`` and ``sbin`` to prefer to the machine's.
        alone: in a namespace of its own; else the caller is in one, which it shares.
    """

    def __init__(
        self, folder: Path, *options: str, size: str = "", programs: Path | None = None, alone: bool = True
    ) -> None:
        self.folder = folder
        found = os.environ["PATH"]
        self.path = f"{programs}/bin:{programs}/sbin:{found}" if programs else found
        self._options = options
        self._size = size
        self._alone = alone
        self.endpoint = Endpoint(f"unix://{folder}/docker.sock", origin="a test")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Dockerd:
        root = self.folder / "root"
        if not root.exists():
            root.mkdir(parents=True)
            if self._size:
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "coopery-test", root], check=True)
        argv = [
            *(("unshare", "--net", "sh", "-c", _LOOPBACK, "sh") if self._alone else ()),
            *("dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"),
            *(f"--host={self.endpoint.host}", f"--data-root={root}", f"--exec-root={self.folder}/exec"),
            *(f"--pidfile={self.folder}/pid", *self._options),
        ]
        with (self.folder / "log").open("ab") as log:
            env = {**os.environ, "PATH": self.path}
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, env=env)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            if _answers(self.endpoint):
                return self
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    @property
    def pid(self) -> int:
        """Of the daemon, whose network is its own."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As the kernel does where memory runs out. What it leaves of itself is what a new boot would not have."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._end_the_rest()
        (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_the_rest()
        told = Path("/proc/self/mounts").read_text().splitlines()
        for mount in reversed([line.split()[1] for line in told if f" {self.folder}/" in line]):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)

    def _end_the_rest(self) -> None:
        """Its containerd and the keepers of its containers, which are told by our own folder in their arguments."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and entry.name != str(os.getpid()):
                with suppress(OSError):
                    told = (entry / "cmdline").read_bytes()
                    if b"containerd" in told and bytes(self.folder) in told:
                        os.kill(int(entry.name), signal.SIGKILL)


def _answers(there: Endpoint) -> bool:
    from coopery_docker import glance

    try:
        return glance.get(there, "/_ping")[0] == 200
    except OSError:
        return False
