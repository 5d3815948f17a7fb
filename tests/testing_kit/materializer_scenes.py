"""Small indexes in folders, and what the kit is to ask of them: jars, conda packages, wheels."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from attrs import evolve

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "materializer"))
from coopery_jars.materializer import JarsMaterializer

from conda.maker import Channel, text
from coopery.definition import Conda, Pip, Spark
from coopery.target import Provided
from coopery.testing import MaterializerScene
from coopery.testing.materializer.scene import OpenMaterializer, target
from coopery_conda.materializer import CondaMaterializer
from coopery_pip.materializer import PipMaterializer
from pip_wheels.wheels import make

MAVEN = "https://maven.example/maven2"


def jars(folder: Path, open_materializer: OpenMaterializer = JarsMaterializer) -> MaterializerScene:
    """The example: two jars in a repository that settings put into a folder."""
    for coordinate in ("org.a:one:1.0", "org.b:two:2.0"):
        group, name, version = coordinate.split(":")
        path = folder.joinpath("maven", *group.split("."), name, version, f"{name}-{version}.jar")
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), f"Title: {coordinate}\n")
    return MaterializerScene(
        open_materializer,
        content=Spark(("org.a:one:1.0", "org.b:two:2.0"), (MAVEN,)),
        other=Spark(("org.b:two:2.0",), (MAVEN,)),
        impossible=Spark(("org.a:one:9.9",), (MAVEN,)),
        settings={"channels": {MAVEN: str(folder / "maven")}},
    )


def conda(folder: Path) -> MaterializerScene:
    """Two packages, one of which names the prefix and needs the other."""
    channel = Channel(folder / "channel")
    channel.add("first", {"lib/who": text("first at @PREFIX@\n")}, noarch="generic")
    channel.add("second", {"bin/tool": text("#!/bin/sh\n", 0o755)}, depends=["first"], noarch="generic")
    channel.add("third", {"share/third": text("third\n")}, noarch="generic")
    return MaterializerScene(
        CondaMaterializer,
        content=Conda(("small",), ("second",)),
        other=Conda(("small",), ("third",)),
        impossible=Conda(("small",), ("second", "nowhere >=2")),
        settings={"channels": {"small": channel.root.as_uri()}},
    )


def pip(folder: Path) -> MaterializerScene:
    """Two wheels, one with a script, for a Python that conda would bring."""
    index = folder / "simple"
    for name in ("one", "two"):
        page = index / name
        page.mkdir(parents=True)
        scripts = f"[console_scripts]\n{name} = {name}:main\n"
        artifact, path = make(page, {f"{name}.py": "def main():\n    pass\n"}, name=name, entry_points=scripts)
        link = f'<a href="{path.name}#sha256={artifact.sha256}">{path.name}</a>'
        (page / "index.html").write_text(link, encoding="utf-8")
    python = Provided("3.12.4", "/opt/env/bin/python", "/opt/env/lib/python3.12/site-packages")
    return MaterializerScene(
        PipMaterializer,
        content=Pip(("one",)),
        other=Pip(("two",)),
        impossible=Pip(("one", "nowhere>=2")),
        root=folder,
        settings={"index_url": index.as_uri()},
        provided=python,
        target=evolve(target(), bytecode=False),
    )
