"""Sources for tests: real repositories and archives, served on loopback; projects that build themselves."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType

from attrs import define, field

BACKEND = """
import base64, hashlib, os, zipfile
NAME, VERSION, TAG, REQUIRES = {name!r}, {version!r}, {tag!r}, {requires!r}

def build_wheel(folder, settings=None, metadata=None):
    {body}
    stem = NAME.replace("-", "_") + "-" + VERSION
    text = "Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: " + VERSION + "\\n"
    text += "".join("Requires-Dist: " + one + "\\n" for one in REQUIRES)
    wheel = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: " + TAG + "\\n"
    files = {{stem + ".dist-info/METADATA": text, stem + ".dist-info/WHEEL": wheel}}
    files[NAME.replace("-", "_") + ".py"] = {module}
    record = ""
    for path, content in files.items():
        found = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
        record += path + ",sha256=" + found + "," + str(len(content.encode())) + "\\n"
    files[stem + ".dist-info/RECORD"] = record + stem + ".dist-info/RECORD,,\\n"
    name = stem + "-" + TAG + ".whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    return name
{more}
"""
"""A build backend that a project has within itself: it needs no tools, and so no index."""


def project(
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    tools: tuple[str, ...] = (),
    body: str = "pass",
    module: str = "'x = 1\\n'",
    more: str = "",
    tag: str = "py3-none-any",
) -> dict[str, str]:
    """The files of a project. *body* runs as it is built; *module* is an expression: the text of its one module."""
    listed = ", ".join(f'"{one}"' for one in tools)
    system = f'[build-system]\nrequires = [{listed}]\nbuild-backend = "intree"\nbackend-path = ["."]\n'
    code = BACKEND.format(name=name, version=version, tag=tag, requires=requires, module=module, more=more, body=body)
    return {"pyproject.toml": system, "intree.py": code}


class _Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Authorization', '')}".strip())
        wanted = self.server.login  # type: ignore[attr-defined]  # set below
        if wanted and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="yard"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@define
class Yard:
    """Repositories and archives in a folder, served. *asked*: paths, with what they were authorized by."""

    root: Path
    asked: list[str] = field(factory=list)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Yard:
        www = self.root / "www"
        www.mkdir(parents=True)
        handler = type("Handler", (_Handler,), {"asked": self.asked})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(www)))
        self._server.login = ""  # type: ignore[attr-defined]  # read by the handler
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def lock(self, authorization: str) -> None:
        """From now on this header is asked for."""
        self._server.login = authorization  # type: ignore[union-attr]  # entered

    def git(self, name: str, *words: str) -> str:
        env = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.root), "GIT_COMMITTER_DATE": "1700000000 +0000"}
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
        argv = ["git", *who, *words]
        return subprocess.run(
            argv, cwd=self.root / name, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, name: str, files: Mapping[str, str], *tags: str, links: Mapping[str, str] | None = None) -> str:
        """Commit *files* to the repository *name*, which is made; its full name."""
        folder = self.root / name
        if not folder.is_dir():
            folder.mkdir()
            self.git(name, "init", "--quiet", "--initial-branch=main")
        self.write(name, files)
        for path, target in (links or {}).items():
            (folder / path).symlink_to(target)
        self.git(name, "add", "--all")
        self.git(name, "commit", "--quiet", "--allow-empty", "-m", "one")
        for tag in tags:
            self.git(name, "tag", tag)
        self.publish(name)
        return self.git(name, "rev-parse", "HEAD")

    def write(self, name: str, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            place = self.root / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def publish(self, name: str) -> None:
        """What is served is a copy: any server of files will do for git."""
        bare = self.root / "www" / f"{name}.git"
        if not bare.is_dir():
            self.git(name, "clone", "--quiet", "--bare", ".", str(bare))
        else:
            self.git(name, "push", "--quiet", "--force", "--mirror", str(bare))
        self.git(f"www/{name}.git", "update-server-info")

    def source(self, name: str, reference: str) -> str:
        """What a requirement says of a repository."""
        return f"git+{self.url}/{name}.git@{reference}"

    def serve(self, file_name: str, data: bytes) -> str:
        """The URL of a file, with its sha256."""
        (self.root / "www" / file_name).write_bytes(data)
        return f"{self.url}/{file_name}#sha256={hashlib.sha256(data).hexdigest()}"


def packed(top: str, files: Mapping[str, str], mode: str = "w:gz") -> bytes:
    """*files* as a tar, below *top*."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]  # a mode that there is
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size, member.uid, member.uname = len(text.encode()), 4_000_000, "stranger"
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def zipped(top: str, files: Mapping[str, str]) -> bytes:
    """The same as a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, text in files.items():
            archive.writestr(f"{top}/{path}", text)
    return stream.getvalue()
