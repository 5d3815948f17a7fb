"""Runs in the image that is being made: unpacks a source and has its own build backend make a wheel of it.

Standard library only, and nothing that an older Python than ours lacks: its text is one file of an errand
(`coopery_pip.building`), and is never imported on this machine. Source: PEP 517 for the hooks.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tarfile
import zipfile
from typing import Any

_HERE = "/.coopery"
_OUT = _HERE + "/out"
_WORK = _HERE + "/work"


def _unpack(job: dict[str, Any]) -> str:
    """Unpack the source; the folder of the project."""
    source = _HERE + "/" + job["source"]
    if source.endswith(".zip"):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(_WORK)  # noqa: S202 - in a container that is thrown away
    else:
        with tarfile.open(source) as archive:
            _extract(archive)
    names = os.listdir(_WORK)
    alone = len(names) == 1 and os.path.isdir(os.path.join(_WORK, names[0]))
    return os.path.join(_WORK, names[0] if alone else "", job["subdirectory"])


def _extract(archive: tarfile.TarFile) -> None:
    """Without the owners that a stranger's archive states: they may be none of this container's."""
    members = []
    for member in archive:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        members.append(member)
    more: Any = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
    archive.extractall(_WORK, members, **more)  # noqa: S202 - as above


def _backend(job: dict[str, Any]) -> Any:
    module, _, path = job["backend"].partition(":")
    found = importlib.import_module(module)
    for name in filter(None, path.split(".")):
        found = getattr(found, name)
    return found


def _missing(job: dict[str, Any], backend: Any) -> list[str]:
    """What the build asks for besides, once it is asked itself; nothing where it must do with what is there."""
    if job["known"] is None or not hasattr(backend, "get_requires_for_build_wheel"):
        return []
    known = [text.strip() for text in job["known"]]
    return [text for text in backend.get_requires_for_build_wheel({}) if text.strip() not in known]


def _main() -> None:
    with open(_HERE + "/job.json", encoding="utf-8") as stream:
        job = json.load(stream)
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _HERE]
    os.environ["PATH"] = _HERE + "/tools/bin:" + os.environ.get("PATH", os.defpath)
    os.makedirs(_WORK)
    project = _unpack(job)
    os.chdir(project)
    sys.path[:0] = [os.path.join(project, folder) for folder in job["backend_path"]]
    backend = _backend(job)
    missing = _missing(job, backend)
    if missing:
        with open(_OUT + "/needs.json", "w", encoding="utf-8") as stream:
            json.dump(missing, stream)
    else:
        backend.build_wheel(_OUT, {})
    os.chdir(_HERE)
    shutil.rmtree(_WORK, ignore_errors=True)


if __name__ == "__main__":
    _main()
