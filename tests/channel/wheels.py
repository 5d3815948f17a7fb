"""Wheels from the package index, as the machine's pip is configured, made into conda packages.

Pure ones become ``noarch: python`` packages with entry points in ``link.json``; the others belong to one subdir and
carry their scripts. Source: binary distribution format, PEP 427 and 491; core metadata, PEP 566.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from channel.contents import PYTHON, SITE_PACKAGES, Contents, Subdir
from channel.package import PLACEHOLDER, Recipe

MARKERS = {
    "extra": "",
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.2",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
SCRIPT = """\
#!{python}
import re
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw?|\\.exe)?$", "", sys.argv[0])
    sys.exit({call}())
"""


def download(contents: Contents, subdir: Subdir, folder: Path) -> list[Path]:
    """The wheels of every version, by pip; what is in *folder* already is not asked for again."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(name, version) for name, versions in contents.wheels.items() for version in versions]
    missing = [pin for pin in wanted if not _found(folder, *pin)]
    # pip takes one version of a project at a time.
    for turn in range(max(map(len, contents.wheels.values()))):
        pins = [f"{name}=={version}" for name, version in missing if contents.wheels[name].index(version) == turn]
        if pins:
            _pip(pins, subdir, folder)
    found = [_found(folder, *pin) for pin in wanted]
    return [path for path in found if path is not None]


def _pip(pins: Iterable[str], subdir: Subdir, folder: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
    ]
    argv += ["--python-version", PYTHON, "--implementation", "cp"]
    argv += [word for tag in subdir.wheels for word in ("--platform", tag)]
    ended = subprocess.run([*argv, *pins], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"pip could not download {' '.join(pins)}:\n{ended.stderr}")


def _found(folder: Path, name: str, version: str) -> Path | None:
    for path in sorted(folder.glob("*.whl")):
        project, release, _, _ = parse_wheel_filename(path.name)
        if (project, str(release)) == (name, version):
            return path
    return None


def convert(wheel: Path, contents: Contents, subdir: Subdir, work: Path) -> tuple[Recipe, Path]:
    """The recipe of one wheel, and the folder with its files."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    pure = any(tag.platform == "any" for tag in tags)
    files = work / wheel.stem
    with zipfile.ZipFile(wheel) as archive:
        info = next(one.partition("/")[0] for one in archive.namelist() if one.partition("/")[0].endswith(".dist-info"))
        for member in archive.infolist():
            if not member.is_dir():
                _extract(archive, member, files, pure)
        metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
        scripts = _console_scripts(archive, f"{info}/entry_points.txt")
    packages = files / ("site-packages" if pure else SITE_PACKAGES)
    (packages / info / "INSTALLER").write_text("conda\n", encoding="utf-8")
    if not pure:
        for script in scripts:
            _write_script(script, files / "bin")
    recipe = Recipe(
        name=contents.conda_name(name),
        version=str(version),
        build="py_0" if pure else f"py{PYTHON.replace('.', '')}_0",
        subdir="noarch" if pure else subdir.name,
        depends=_depends(metadata, contents) + ([] if pure else _binary_depends(files, [tag.platform for tag in tags])),
        license=str(metadata.get("License-Expression") or "")[:80],
        noarch=pure,
        entry_points=scripts if pure else [],
    )
    return recipe, files


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, files: Path, pure: bool) -> None:
    path = files / _place(member.filename, pure)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = archive.read(member)
    script = path.parent.name in ("bin", "python-scripts")
    if script:
        data = re.sub(rb"^#!python[^\n]*", f"#!{PLACEHOLDER}/bin/python{PYTHON}".encode(), data)
    path.write_bytes(data)
    path.chmod(0o755 if script or member.external_attr >> 16 & 0o100 else 0o644)


def _place(name: str, pure: bool) -> str:
    """Where a wheel's file goes below the prefix, or for pure wheels below the folders that stand for its places."""
    packages = "site-packages" if pure else SITE_PACKAGES
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return f"{packages}/{name}"
    scheme, _, rest = rest.partition("/")
    folders = {
        "purelib": packages,
        "platlib": packages,
        "scripts": "python-scripts" if pure else "bin",
        "data": "",
        "headers": f"include/python{PYTHON}",
    }
    return f"{folders[scheme]}/{rest}".lstrip("/")


def _console_scripts(archive: zipfile.ZipFile, name: str) -> list[str]:
    if name not in archive.namelist():
        return []
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of scripts keep their case
    parser.read_string(archive.read(name).decode())
    section = parser["console_scripts"] if parser.has_section("console_scripts") else {}
    return [f"{script} = {target.partition('[')[0].strip()}" for script, target in sorted(section.items())]


def _write_script(entry_point: str, folder: Path) -> None:
    script, _, target = entry_point.partition(" = ")
    module, _, call = target.partition(":")
    folder.mkdir(exist_ok=True)
    path = folder / script
    text = SCRIPT.format(
        python=f"{PLACEHOLDER}/bin/python{PYTHON}", module=module, name=call.partition(".")[0], call=call
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _depends(metadata: Message, contents: Contents) -> list[str]:
    """``Requires-Python`` and ``Requires-Dist`` as match specs; extras are not followed."""
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate(MARKERS)]
    python = _spec("python", SpecifierSet(str(metadata.get("Requires-Python") or "")))
    return [python, *(_spec(contents.conda_name(canonicalize_name(one.name)), one.specifier) for one in needed)]


def _spec(name: str, specifiers: SpecifierSet) -> str:
    parts = sorted(
        f"{one.operator}{one.version}".removeprefix("==" if one.version.endswith(".*") else "\0") for one in specifiers
    )
    return f"{name} {','.join(parts)}".strip()


def _binary_depends(files: Path, platforms: Iterable[str]) -> list[str]:
    """What a wheel for one platform needs besides: this Python, a C library of its tag's age, compilers' libraries."""
    minor = int(PYTHON.partition(".")[2])
    glibc = min(re.findall(r"manylinux_2_(\d+)", " ".join(platforms)), key=int, default="17")
    depends = [f"python >={PYTHON},<3.{minor + 1}.0a0", f"__glibc >=2.{glibc}"]
    data = [path.read_bytes() for path in files.rglob("*.so*")]
    for name, library in (("libgcc", b"libgcc_s.so.1\0"), ("libstdcxx", b"libstdc++.so.6\0")):
        if any(library in one for one in data):
            depends.append(name)
    return depends
