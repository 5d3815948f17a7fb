"""The sweep finds what was planted: each form, in each place. A sweep that finds nothing anywhere proves nothing."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import zstandard
from sweep import Canary, Watch, found, wait_for, words

FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": str.encode,
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "percent": lambda text: quote(text, safe="").encode(),
    "plus": lambda text: quote_plus(text).encode(),
    "json": lambda text: json.dumps(text).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 after 1": lambda text: base64.b64encode(b"x" + text.encode()),
    "base64 after 2": lambda text: base64.b64encode(b"xy" + text.encode() + b"z"),
    "basic": lambda text: base64.b64encode(f"ada:{text}".encode()),
    "url-safe": lambda text: base64.urlsafe_b64encode(f"u:{text}".encode()),
    "cut": lambda text: text[:16].encode(),
}


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("etc/pip.conf")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", data)
    return buffer.getvalue()


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: b"before " + data + b" after",
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zip": _zip,
    "tar": _tar,
    "tar.gz": lambda data: gzip.compress(_tar(data)),
    "tar.zst in zip": lambda data: _zip(zstandard.ZstdCompressor().compress(_tar(data))),
    "two gzip members": lambda data: gzip.compress(b"first") + gzip.compress(data),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_a_text(form: str) -> None:
    canary = Canary.make()
    assert found(canary, texts={"log": b"a line\n" + FORMS[form](canary.text) + b"\n"}) == ["log"]
    assert found(Canary.make(), texts={"log": FORMS[form](canary.text)}) == []


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_in_a_file(tmp_path: Path, wrapping: str) -> None:
    canary = Canary.make()
    path = tmp_path / "a" / "blob"
    path.parent.mkdir()
    path.write_bytes(WRAPPINGS[wrapping](canary.text.encode()))
    assert found(canary, folders=[tmp_path]) == [str(path)]
    assert found(Canary.make(), folders=[tmp_path]) == []


def test_a_row_of_a_database(tmp_path: Path) -> None:
    canary = Canary.make()
    with sqlite3.connect(tmp_path / "records.sqlite") as database:
        database.execute("CREATE TABLE t (a, b BLOB)")
        filler = "x" * 5000  # the row spans pages
        database.execute("INSERT INTO t VALUES (?, ?)", (filler + canary.text + filler, b""))
        database.execute("INSERT INTO t VALUES (?, ?)", ("", b"nothing"))
    database.close()
    assert found(canary, folders=[tmp_path]) == [str(tmp_path / "records.sqlite")]


def test_names_and_links(tmp_path: Path) -> None:
    canary = Canary("abcdef0123456789")
    (tmp_path / f"x-{canary.text}").mkdir()
    (tmp_path / "link").symlink_to(f"/nowhere/{canary.text}")
    assert len(found(canary, folders=[tmp_path])) == 2


def test_exceptions_with_their_causes() -> None:
    canary = Canary.make()
    error = RuntimeError("clean")
    error.__cause__ = ValueError(canary.text)
    assert found(canary, texts={"error": words(error)}) == ["error"]


@pytest.mark.processes
def test_command_lines_of_children_and_theirs() -> None:
    canary, argv = Canary.make(), [sys.executable, "-c", "import time; time.sleep(30)"]
    outer = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    with Watch() as watch:
        running = subprocess.Popen([sys.executable, "-c", outer, *argv, canary.text], start_new_session=True)
        wait_for(watch, canary.text, 2)
        os.killpg(running.pid, 9)
        running.wait()
    assert found(canary, watched=watch) == ["command line"]
    assert len(watch.processes) >= 2


def test_files_that_come_and_go(tmp_path: Path) -> None:
    canary = Canary.make()
    with Watch(folders=[tmp_path]) as watch:
        path = tmp_path / "passing"
        path.write_text(canary.text)
        wait_for(watch, canary.text, 1)
        path.unlink()
    assert f"passing file {path}" in found(canary, watched=watch)


def test_what_the_redactor_masks_the_sweep_does_not_find() -> None:
    from coopery.redact import Redactor

    for _ in range(50):
        canary = Canary.make()
        mask = Redactor([canary.text])
        texts = {form: mask(code(canary.text).decode()) for form, code in FORMS.items() if form not in ("cut", "plus")}
        assert found(canary, texts=texts) == []
