"""What is sourced before a program: found in the image's files, in order, by its best shell."""

from __future__ import annotations

import pytest

from coopery.activation import NOTHING, Activation, folder_of, look
from coopery.files import Stat

ENV = {"CONDA_PREFIX": "/opt/env"}
FOLDER = "opt/env/etc/conda/activate.d"


class Image:
    """Files of an image: paths of regular files, and links."""

    def __init__(self, *files: str, **links: str) -> None:
        self._files = set(files)
        self._links = links

    def lstat(self, path: str) -> Stat | None:
        path = path.strip("/")
        if path in self._links:
            return Stat("symlink", 0o777, target=self._links[path])
        if path in self._files:
            return Stat("file", 0o755)
        return Stat("directory", 0o755) if not path or any(f.startswith(f"{path}/") for f in self._files) else None

    def listdir(self, path: str) -> tuple[str, ...]:
        below = path.strip("/") + "/"
        return tuple({file.removeprefix(below).split("/")[0] for file in self._files if file.startswith(below)})

    def read(self, path: str, limit: int) -> bytes:  # noqa: ARG002 - the protocol's
        raise FileNotFoundError(path)


def test_scripts_are_in_order_and_for_the_best_shell() -> None:
    scripts = [f"{FOLDER}/{name}" for name in ("b.sh", "a b.sh", "c.fish", "z.sh")]
    found = look(Image("usr/bin/sh", "usr/bin/bash", *scripts, bin="usr/bin"), ENV)
    assert found == Activation("/bin/bash", tuple(f"/{FOLDER}/{name}" for name in ("a b.sh", "b.sh", "z.sh")))
    shell, option, script, *words = found.argv(("train", "$(id)"))
    assert (shell, option, words) == ("/bin/bash", "-c", ["activate", "train", "$(id)"])
    assert script.splitlines() == [f". '/{FOLDER}/a b.sh'", f". /{FOLDER}/b.sh", f". /{FOLDER}/z.sh", 'exec "$@"']
    assert look(Image("bin/sh", *scripts), ENV).shell == "/bin/sh"


@pytest.mark.parametrize(
    ("files", "env"),
    [
        ((f"{FOLDER}/a.sh",), ENV),
        (("bin/sh",), ENV),
        (("bin/sh", f"{FOLDER}/a.fish"), ENV),
        (("bin/sh", f"{FOLDER}/a.sh"), {}),
        (("bin/sh", f"{FOLDER}/a.sh"), {"CONDA_PREFIX": "opt/env"}),
    ],
)
def test_where_nothing_can_be_sourced_the_program_stays_as_it_is(files: tuple[str, ...], env: dict[str, str]) -> None:
    found = look(Image(*files), env)
    assert not found.needed
    assert found.argv(("a", "b")) == ("a", "b") == NOTHING.argv(["a", "b"])


def test_the_folder_is_the_prefixs() -> None:
    assert folder_of({"CONDA_PREFIX": "/p/"}) == "/p/etc/conda/activate.d"
    assert folder_of({}) == folder_of({"CONDA_PREFIX": "p"}) == ""
