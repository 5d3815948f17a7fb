"""Imported by every Python of a build, as ``sitecustomize``: it sees the build's tools, not the image's packages.

Standard library only; its text is one file of an errand (`coopery_pip.building`). As pip isolates builds.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig

_ENVIRON = "COOPERY_TOOLS"


def _isolate(tools: str) -> None:
    paths = sysconfig.get_paths()
    gone = {os.path.normpath(path) for path in (paths["purelib"], paths["platlib"], *site.getsitepackages())}
    sys.path[:] = [path for path in sys.path if os.path.normpath(path) not in gone]
    site.addsitedir(tools)


if os.environ.get(_ENVIRON):
    _isolate(os.environ[_ENVIRON])
