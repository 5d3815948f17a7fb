"""What an old lock no longer satisfies, in words, without asking an index."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from coopery.definition import Pip
from coopery.lock import Artifact
from coopery.target import Distribution
from coopery_pip.machine import Machine
from coopery_pip.satisfied import Question, unmet

HERE = Machine("3.12.4", "x86_64", 36)
SHA = "0" * 64


def artifact(name: str, version: str, source: str = "pypi", tag: str = "py3-none-any", sha256: str = SHA) -> Artifact:
    return Artifact("pip", name, version, "", "", f"{name.replace('-', '_')}-{version}-{tag}.whl", source, sha256, 1)


A1 = artifact("a", "1.0")
URL = "https://h/a-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("before", "content", "artifacts", "words"),
    [
        (("a",), Pip(("a",)), [A1], None),
        (("a",), Pip(("a>=1",), constraints=("a<2", "z==5")), [A1], None),
        (("a",), Pip(("a",)), [A1, artifact("b", "1.0")], None),
        (("a",), Pip(("a", "b>=1")), [A1, artifact("b", "1.0")], None),
        (None, Pip(("a[x]",)), [A1, artifact("b", "1.0")], None),
        ((), Pip(("a; sys_platform == 'win32'",)), [], None),
        ((), Pip(("numpy>=1",)), [], None),
        (("torch",), Pip(("torch",)), [], None),  # conda's pytorch
        (("torch",), Pip(("torch>=2",)), [], "torch>=2: the lock has none"),
        (("a",), Pip(("a==2",)), [A1], "the lock has 1.0"),
        (("a",), Pip(("a", "b")), [A1], "b: the lock has none"),
        (("a", "b"), Pip(("a",)), [A1, artifact("b", "1.0")], "b is not asked for any more"),
        (("a",), Pip(("a",), constraints=("a>1",)), [A1], "a>1: the lock has 1.0"),
        (("numpy",), Pip(("numpy>=2",)), [], "conda brings 1.26.4"),
        (("a",), Pip(("a",)), [A1, artifact("numpy", "2.0")], "numpy 2.0: conda brings 1.26.4"),
        (("a",), Pip(("a[x]",)), [A1], "other extras"),
        (("a[x,y]",), Pip(("a[X]",)), [A1], "other extras"),
        (
            ("b",),
            Pip(
                (
                    "b",
                    "a[x]",
                )
            ),
            [A1, artifact("b", "1.0")],
            "not asked for with extras",
        ),
        (("a[x,Y]",), Pip(("a[y,x]",)), [A1], None),
        (("a",), Pip(("a",)), [artifact("a", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")], "does not run on"),
        (("a",), Pip(("a",)), [artifact("a", "1.0", tag="cp312-cp312-manylinux_2_38_x86_64")], "does not run on"),
        (("a",), Pip(("a",)), [artifact("a", "1.0", source="https://gone")], "not named any more"),
        (
            ("a",),
            Pip(("a",), index_url="https://own/simple/"),
            [artifact("a", "1.0", source="https://own/simple")],
            None,
        ),
        (("a",), Pip((f"a @ {URL}",)), [artifact("a", "1.0", source=URL)], None),
        (("a",), Pip((f"a @ {URL}",)), [A1], "the lock has 1.0 from pypi"),
        (("a",), Pip((f"a --hash=sha256:{SHA}",)), [A1], None),
        (("a",), Pip((f"a --hash=sha256:{'1' * 64}",)), [A1], "the lock has 1.0"),
        (
            ("a",),
            Pip(("a",), find_links=("no-such-folder",)),
            [artifact("a", "1.0", source="no-such-folder")],
            "or none",
        ),
    ],
)
def test_unmet(before: tuple[str, ...] | None, content: Pip, artifacts: list[Artifact], words: str | None) -> None:
    lines = list(unmet(Question(content, before, artifacts, HERE, [Distribution("NumPy", "1.26.4")])))
    assert (words is None and lines == []) or (words is not None and any(words in line for line in lines)), lines


def test_unmet_reads_folders_of_wheels(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    file = tmp_path / "wheels" / A1.file_name
    file.write_bytes(b"wheel")
    one = artifact("a", "1.0", source="wheels", sha256=hashlib.sha256(b"wheel").hexdigest())
    question = Question(Pip(("a",), find_links=("wheels",)), ("a",), [one], HERE, root=tmp_path)
    assert not list(unmet(question))
    file.write_bytes(b"other")
    assert "other bytes" in next(unmet(question))
