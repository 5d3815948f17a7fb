"""Debian packages as parts of conda packages: Python itself, and the libraries that it and the wheels need."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from channel import elf
from channel.contents import PYTHON, SITE_PACKAGES, Contents, Subdir
from channel.package import PLACEHOLDER, Recipe
from coopery.blobs import BlobStore
from coopery.events import ignore
from coopery.layer import Entry
from coopery.settings import load
from coopery_debian.archive import Archive
from coopery_debian.index import Index, Package
from coopery_debian.memo import Memo
from coopery_debian.mirror import choose
from coopery_debian.release import Release
from coopery_debian.unpack import unpack

GLIBC = "__glibc >=2.36"
"""What bookworm's programs were linked with."""

NOT_OURS = re.compile(r"(_test|xxlimited|_xxtestfuzz|nis\.|_dbm\.|_ctypes_test)")
"""Extension modules left out: those of CPython's own tests, and two whose libraries nobody misses."""

DEBIAN_FOLDER = b"dist-packages"


class Debian:
    """The packages of one suite, from the machine's own mirror, kept in *downloads*."""

    def __init__(self, suite: str, downloads: Path) -> None:
        settings = load()
        kept = BlobStore(downloads / "debian", downloads / "staging")
        mirror = choose(settings.debian_mirror, suite, ("main",))
        fetcher = mirror.fetcher(kept, settings, ignore)
        self._archive = Archive(mirror, suite, fetcher, kept, Memo(downloads / "memo", downloads / "staging"), print)
        self._release: Release = self._archive.release()
        self._indexes: dict[str, Index] = {}

    def entries(self, name: str, architecture: str, scratch: Path) -> tuple[Package, tuple[Entry, ...]]:
        """The newest version of *name* and its files; large ones are below *scratch*."""
        if architecture not in self._indexes:
            listed = self._archive.listed(self._release, ("main",), architecture)
            self._indexes[architecture] = self._archive.index(self._release, listed)
        package = self._indexes[architecture].versions(name)[0]
        return package, unpack(self._archive.package(package), name, scratch)


def libraries(debian: Debian, contents: Contents, subdir: Subdir, work: Path) -> Iterator[tuple[Recipe, Path]]:
    """Each library's recipe and folder."""
    for name, packages in contents.libraries.items():
        files = work / subdir.name / name
        version, build = _take(debian, packages, subdir, files)
        for path in files.glob("lib/**/*"):
            if elf.is_elf(path):
                elf.set_rpath(path, "$ORIGIN" + "/.." * (len(path.relative_to(files).parts) - 2))
        needs = {"readline": ["ncurses"], "libstdcxx": ["libgcc"]}.get(name, [])
        yield Recipe(name, version, build, subdir.name, [GLIBC, *needs]), files


def python(debian: Debian, contents: Contents, subdir: Subdir, work: Path) -> tuple[Recipe, Path]:
    """Python's recipe and folder: Debian's interpreter and library, laid out as conda has them."""
    files = work / subdir.name / "python"
    version, build = _take(debian, contents.python, subdir, files)
    library = files / f"lib/python{PYTHON}"
    for path in (library / "EXTERNALLY-MANAGED", library / "sitecustomize.py"):
        path.unlink()
    for path in sorted((library / "lib-dynload").iterdir()):
        if NOT_OURS.match(path.name):
            path.unlink()
        else:
            elf.set_rpath(path, "$ORIGIN/../..")
    # A prefix inside a program, as compiled-in paths are: it must be replaced without moving a byte.
    elf.set_rpath(files / f"bin/python{PYTHON}", f"$ORIGIN/../lib:{PLACEHOLDER}/lib")
    for name in ("python", "python3"):
        (files / "bin" / name).symlink_to(f"python{PYTHON}")
    _undo_dist_packages(files / f"bin/python{PYTHON}", library)
    _own_prefix(library / f"_sysconfigdata__{subdir.triplet}.py")
    readme = files / SITE_PACKAGES / "README.txt"
    readme.parent.mkdir()
    readme.write_text("Where packages go.\n", encoding="utf-8")
    depends = [GLIBC, *(name for name in contents.libraries if name not in ("libgcc", "libstdcxx"))]
    return Recipe("python", version, f"{build}_cpython", subdir.name, depends, license="PSF-2.0"), files


def _take(debian: Debian, packages: Iterable[str], subdir: Subdir, files: Path) -> tuple[str, str]:
    """Lay *packages* out in *files*; returns version and build string, both from the first of them."""
    versions = []
    for name in packages:
        with tempfile.TemporaryDirectory(dir=files.parent.parent) as scratch:
            package, entries = debian.entries(name, subdir.architecture, Path(scratch))
            versions.append(package.version)
            for entry in entries:
                if place := _place(entry.path, subdir.triplet):
                    _write(entry, files / place)
    upstream, _, revision = versions[0].rpartition(":")[2].rpartition("-")
    return re.split(r"[.+~]?(?:dfsg|ds)|[+~]", upstream)[0], re.sub(r"\W+", "_", revision)


def _place(path: str, triplet: str) -> str:
    """Where a path of Debian's goes below a prefix; empty for what is left out."""
    for folder, place in ((f"usr/lib/{triplet}/", "lib/"), (f"usr/lib/python{PYTHON}/", f"lib/python{PYTHON}/")):
        if path.startswith(folder):
            return place + path.removeprefix(folder)
    if path == f"usr/bin/python{PYTHON}":
        return path.removeprefix("usr/")
    if found := re.fullmatch(r"usr/share/doc/([^/]+)/copyright", path):
        return f"share/licenses/{found[1]}"
    return ""


def _write(entry: Entry, path: Path) -> None:
    if entry.kind == "directory":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind == "symlink":
        path.symlink_to(entry.target)
        return
    path.write_bytes(entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes())
    path.chmod(0o755 if entry.mode & 0o100 else 0o644)


def _undo_dist_packages(program: Path, library: Path) -> None:
    """Debian looks for packages in ``dist-packages``; a prefix has ``site-packages``, as Python's own authors have.

    The module `site` is also frozen into the program, and that copy is the one that runs; the words are equally long.
    """
    for path in (program, library / "site.py"):
        data = path.read_bytes()
        if DEBIAN_FOLDER not in data:
            raise SystemExit(f"{path.name} is not the one that this program knows: it does not say {DEBIAN_FOLDER!r}")
        path.write_bytes(data.replace(DEBIAN_FOLDER, b"site-packages"))
    sysconfig = library / "sysconfig.py"
    text = sysconfig.read_text(encoding="utf-8")
    sysconfig.write_text(text.replace("scheme = 'posix_local'", "scheme = 'posix_prefix'"), encoding="utf-8")


def _own_prefix(data: Path) -> None:
    """Let what Python knows of its own build name the prefix, as text that is replaced when it is linked."""
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    foreign = re.compile(r"'(TZPATH|INSTALL\w*|DTRACE|WASM\w*|MODULE\w*)'")
    ours = [line if foreign.search(line) else re.sub(r"/usr(?=[/' ])", PLACEHOLDER, line) for line in lines]
    data.write_text("".join(ours), encoding="utf-8")
