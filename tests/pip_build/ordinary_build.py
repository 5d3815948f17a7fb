"""Builds a package from source with Apptainer, as whoever runs this: `ordinary_build.py FOLDER BASE`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from coopery import Builder, Environment
from coopery.place import RunRequest
from pip_build.yard import Yard, project

folder, base = Path(sys.argv[1]), sys.argv[2]
os.environ["NO_PROXY"] = "127.0.0.1"
with Yard(folder / "yard") as yard:
    os.environ["COOPERY_INDEX_URL"] = yard.url
    source = yard.source("sample", yard.commit("sample", project("sample", body="import os; assert os.getuid() == 0")))
    document = {"base": {"rootfs": base}, "pip": [source], "build": {"bytecode": False}}
    with Builder(home=folder / "home", backend="singularity") as builder:
        environment = Environment.from_dict(document, folder)
        builder.build(environment)
        code = "import sample; print('here is', sample.x)"
        sys.exit(builder.run(environment, RunRequest(("/opt/env/bin/python", "-c", code))))
