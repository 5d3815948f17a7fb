"""A package index for tests: real wheels made on the spot, real HTTP on loopback, faults on demand."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from attrs import define, field, frozen
from packaging.utils import canonicalize_name

ANY = "py3-none-any"


@frozen
class Wheel:
    """One wheel, whole."""

    file_name: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def make_wheel(
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    tag: str = ANY,
    build: str = "",
    python: str = "",
) -> Wheel:
    """A wheel with one module in it; equal arguments give equal bytes."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {python}"] if python else []
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {line}" for line in requires]
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{stem}.dist-info/METADATA": "\n".join([*lines, ""]),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, text in (*files.items(), (f"{stem}.dist-info/RECORD", f"{record}{stem}.dist-info/RECORD,,\n")):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return Wheel(f"{stem}{f'-{build}' if build else ''}-{tag}.whl", stream.getvalue())


def make_source(name: str, version: str, setup: str) -> Wheel:
    """A source archive whose ``setup.py`` is *setup*."""
    stem = f"{name}-{version}"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, text in (
            ("setup.py", setup),
            ("PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n"),
        ):
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return Wheel(f"{stem}.tar.gz", stream.getvalue())


def _hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@define
class Shelf:
    """An index. ``url`` is that of its simple API; ``asked`` lists requests as ``METHOD PATH``.

    Attributes:
        form: ``json`` or ``html``.
        hashes: whether pages give sha256.
        sizes: whether JSON pages give sizes.
        user: ``name:password`` that it wants, or empty.
        below: folder that all of it is below, ``/t/<token>``, or empty.
        spoil: changes the body of a file.
        statuses: path → statuses to answer first.
        cut: path → after how many bytes the connection breaks, once.
    """

    form: str = "json"
    hashes: bool = True
    sizes: bool = True
    user: str = ""
    below: str = ""
    spoil: Callable[[bytes], bytes] | None = None
    statuses: dict[str, list[int]] = field(factory=dict)
    cut: dict[str, int] = field(factory=dict)
    asked: list[str] = field(factory=list)
    authorizations: list[str | None] = field(factory=list)
    pages: dict[str, bytes] = field(factory=dict)
    _files: dict[str, dict[str, Wheel]] = field(factory=dict)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Shelf:
        shelf = self

        class Handler(_Handler):
            owner = shelf

        self._server = _Server(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}{self.below}/simple"

    def add(self, *wheels: Wheel) -> None:
        for wheel in wheels:
            name = canonicalize_name(wheel.file_name.partition("-")[0])
            self._files.setdefault(name, {})[wheel.file_name] = wheel

    def wheel(self, name: str, version: str, **more: Any) -> Wheel:
        """Make a wheel and put it here."""
        made = make_wheel(name, version, **more)
        self.add(made)
        return made

    def fill(self, folder: Path) -> None:
        """The same wheels as files."""
        folder.mkdir(parents=True, exist_ok=True)
        for files in self._files.values():
            for wheel in files.values():
                (folder / wheel.file_name).write_bytes(wheel.data)

    def page(self, name: str) -> tuple[str, bytes] | None:
        files = self._files.get(name)
        if files is None:
            return None
        if self.form == "html":
            rows = [
                f'<a href="../../files/{one.file_name}{self._fragment(one)}">{one.file_name}</a>'
                for one in files.values()
            ]
            return "text/html", ("<!DOCTYPE html><html><body>" + "\n".join(rows) + "</body></html>").encode()
        listed = [
            {
                "filename": one.file_name,
                "url": f"../../files/{one.file_name}",
                "hashes": {"sha256": one.sha256} if self.hashes else {},
                **({"size": len(one.data)} if self.sizes else {}),
            }
            for one in files.values()
        ]
        document = {"meta": {"api-version": "1.1"}, "name": name, "files": listed}
        return "application/vnd.pypi.simple.v1+json", json.dumps(document).encode()

    def file(self, name: str) -> bytes | None:
        found = next((files[name] for files in self._files.values() if name in files), None)
        if found is None:
            return None
        return self.spoil(found.data) if self.spoil is not None else found.data

    def _fragment(self, wheel: Wheel) -> str:
        return f"#sha256={wheel.sha256}" if self.hashes else ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """A client that leaves early is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    owner: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shelf = self.owner
        shelf.asked.append(f"{self.command} {self.path}")
        shelf.authorizations.append(self.headers.get("Authorization"))
        wanted = "Basic " + base64.b64encode(shelf.user.encode()).decode()
        if shelf.user and self.headers.get("Authorization") != wanted:
            return self._send(401, "text/plain", b"who are you?", {"WWW-Authenticate": 'Basic realm="shelf"'})
        if shelf.statuses.get(self.path):
            return self._send(shelf.statuses[self.path].pop(0), "text/plain", b"not now")
        if self.path in shelf.pages:
            return self._send(200, "text/html", shelf.pages[self.path])
        below = self.path.startswith(f"{shelf.below}/")
        kind, _, rest = self.path.removeprefix(shelf.below).strip("/").partition("/") if below else ("", "", "")
        found = shelf.page(rest.strip("/")) if kind == "simple" else None
        if kind == "files" and (data := shelf.file(rest)) is not None:
            found = "application/octet-stream", data
        if found is None:
            return self._send(404, "text/plain", b"nothing here")
        return self._ranged(*found)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _ranged(self, kind: str, data: bytes) -> None:
        start = self.headers.get("Range", "")
        first, _, last = start.removeprefix("bytes=").partition("-")
        if not start or not first:
            return self._send(200, kind, data, {"Accept-Ranges": "bytes"})
        end = int(last) + 1 if last else len(data)
        span = f"bytes {first}-{min(end, len(data)) - 1}/{len(data)}"
        return self._send(206, kind, data[int(first) : end], {"Content-Range": span})

    def _send(self, status: int, kind: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.owner.cut.pop(self.path, None) if status in (200, 206) else None
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_args: object) -> None:
        """Say nothing."""
