from __future__ import annotations

import struct

import pytest

from coopery.facts import elf, libc
from coopery.files import Stat

BANNER = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\nCopyright\0"
AMD64 = "linux/amd64"


def elf_file(interpreter: bytes, *, order: str = "<", bits: int = 2, offset: int = 120, count: int = 1) -> bytes:
    """A program with one program header, PT_INTERP."""
    head = b"\x7fELF" + bytes([bits, 1 if order == "<" else 2]) + bytes(10)
    head += struct.pack(order + "HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    header = struct.pack(order + "IIQQQQQQ", 3, 4, offset, 0, 0, len(interpreter), len(interpreter), 1)
    return (head + header).ljust(120, b"\0") + interpreter


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        (AMD64, "/lib/x86_64-linux-gnu/libc.so.6"),
        (AMD64, "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        (AMD64, "/usr/lib64/libc.so.6"),
        ("linux/arm64", "/usr/lib/aarch64-linux-gnu/libc.so.6"),
        ("linux/s390x", "/lib64/libc.so.6"),
        ("linux/riscv64", "/usr/lib/riscv64-linux-gnu/libc.so.6"),
        ("linux/ppc64le", "/usr/lib/libc.so.6"),
    ],
)
def test_glibc_is_read_from_the_library(image, platform, path):
    assert libc.glibc(image({path: BANNER}), platform) == "2.36"


def test_links_on_the_way_are_followed(image):
    folder = "/usr/lib/x86_64-linux-gnu"
    files = image({"/lib": "usr/lib", f"{folder}/libc.so.6": "libc-2.31.so", f"{folder}/libc-2.31.so": BANNER})
    assert libc.glibc(files, AMD64) == "2.36"


def test_the_name_stands_in_where_the_banner_is_missing(image):
    files = image({"/lib64/libc.so.6": "libc-2.17.so", "/lib64/libc-2.17.so": b"\x7fELF stripped"})
    assert libc.glibc(files, AMD64) == "2.17"


@pytest.mark.parametrize(
    "there",
    [
        {},
        {"/lib/ld-musl-x86_64.so.1": b"musl libc (x86_64)\nVersion 1.2.4\n"},
        {"/lib64/libc.so.6": b"GNU C Library but no more"},
        {"/lib64/libc.so.6": Stat("other", 0o644)},
        {"/lib64/libc.so.6": None},
        {"/lib64/libc.so.6": "libc.so.6"},
        {"/lib/aarch64-linux-gnu/libc.so.6": BANNER},
    ],
    ids=["empty", "musl", "no version", "pipe", "folder", "loop", "other platform"],
)
def test_no_glibc(image, there):
    assert libc.glibc(image(there), AMD64) is None


def test_only_so_much_of_a_library_is_read(image):
    files = image({"/lib64/libc.so.6": BANNER})
    libc.glibc(files, AMD64)
    assert all(limit <= 16 << 20 for _, limit in files.reads)


def test_the_loader_is_what_the_shell_names(image):
    shell = elf_file(b"/lib64/ld-linux-x86-64.so.2\0")
    paths = {"/bin": "usr/bin", "/usr/bin/sh": shell, "/lib64": "usr/lib64", "/usr/lib64/ld-linux-x86-64.so.2": b"x"}
    assert libc.loader(image(paths), AMD64) == "/lib64/ld-linux-x86-64.so.2"
    assert libc.shell(image(paths)) == "/bin/sh"


def test_the_loader_is_at_its_usual_place_without_a_shell(image):
    assert libc.loader(image({"/lib/ld-musl-aarch64.so.1": b"x"}), "linux/arm64") == "/lib/ld-musl-aarch64.so.1"
    assert libc.loader(image({"/bin/sh": elf_file(b"/gone\0")}), AMD64) is None


def test_interpreter_of_a_program():
    assert elf.interpreter(elf_file(b"/lib/ld.so.1\0")) == "/lib/ld.so.1"
    assert elf.interpreter(elf_file(b"/lib/ld.so.1\0", order=">")) == "/lib/ld.so.1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF",
        elf_file(b"/lib/ld.so\0", bits=1),
        elf_file(b"/lib/ld.so\0", offset=1 << 60),
        elf_file(b"relative\0"),
        elf_file(b"/lib/\x01\0"),
        elf_file(b"/lib/ld.so\0", count=65535)[:100],
        b"\x7fELF" + b"\xff" * 200,
    ],
)
def test_what_is_no_dynamic_program_has_no_interpreter(data):
    assert elf.interpreter(data) is None
