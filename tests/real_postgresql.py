"""A real PostgreSQL cluster of a test's own, on a Unix socket in its folder. Debian's programs, by nobody's leave."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PROGRAMS = Path("/usr/lib/postgresql")
_ORDINARY = "nobody"
"""Whom the server runs as where the tests run as root, which PostgreSQL refuses."""


class RealPostgresql:
    """One cluster, which can be stopped, killed and started again.

    Args:
        folder: where it is made; must be one that an ordinary user can reach. Nothing is on the network.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        versions = sorted(_PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not versions:
            raise FileNotFoundError(f"PostgreSQL is not installed in {_PROGRAMS}")
        self._programs = versions[-1].parent
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam(_ORDINARY)
            os.chown(folder, who.pw_uid, who.pw_gid)
            self._user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}

    def url(self, database: str = "postgres", user: str = "tests") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it; the first time, make it. What it promises of a power cut is left out: no test cuts the power."""
        if not (self.folder / "data").exists():
            self._run("initdb", "--no-sync", "--auth", "trust", "--username", "tests", "--encoding", "UTF8")
        settings = f"-k {self.folder} -c listen_addresses= -c fsync=off -c max_connections=300"
        self._run("pg_ctl", "start", "--wait", "--silent", "--log", str(self.folder / "log"), "-o", settings)

    def stop(self, how: str = "immediate") -> None:
        """Stop it; ``immediate`` is as if it was killed, and it recovers when it starts."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "--silent", "--mode", how)

    def _run(self, program: str, *arguments: str) -> None:
        argv: Sequence[str] = [str(self._programs / program), "--pgdata", str(self.folder / "data"), *arguments]
        with tempfile.TemporaryFile() as out:  # not a pipe: the server that is started would keep it open
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=120, check=False, cwd="/", **self._user
            )
            out.seek(0)
            assert done.returncode == 0, f"{program}: {out.read().decode(errors='replace')}"
