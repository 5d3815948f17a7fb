"""Activation scripts of conda packages: sourced before the program, on every engine alike.

``<prefix>/etc/conda/activate.d/*.sh``, in the order that conda sources them. They run where an image runs and never in
a build; an image without them, or without a shell, is started as it is. Source: conda, "Deep dive: activation".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from coopery.facts import find
from coopery.files import Files

SHELLS: Final = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh")
"""Shells that source them, the best first: packages write for bash."""


@frozen
class Activation:
    """What is to be sourced in an image.

    Attributes:
        shell: the best shell that it has; empty where there is none, or where nobody looked.
        scripts: absolute paths, in order.
    """

    shell: str = ""
    scripts: tuple[str, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether there is anything to source, and a shell to do it."""
        return bool(self.shell and self.scripts)

    def argv(self, words: Sequence[str]) -> tuple[str, ...]:
        """*words*, behind the shell that sources the scripts; as they are where there is nothing to source."""
        return through(self.shell, self.scripts, words) if self.needed else tuple(words)


NOTHING: Final = Activation()
"""Nothing to source."""


def look(files: Files, env: Mapping[str, str]) -> Activation:
    """What is to be sourced in the image with *files* and the variables *env*."""
    folder = folder_of(env)
    found = find(files, folder) if folder else None
    names = files.listdir(found.path) if found is not None else ()
    shell = next((path for path in SHELLS if find(files, path) is not None), "")
    return Activation(shell, scripts(found.path, names) if found is not None else ())


def folder_of(env: Mapping[str, str]) -> str:
    """Where the scripts of an image with the variables *env* would be; empty where it has no conda environment."""
    prefix = env.get("CONDA_PREFIX", "")
    return f"{prefix.rstrip('/')}/etc/conda/activate.d" if prefix.startswith("/") else ""


def scripts(folder: str, names: Iterable[str]) -> tuple[str, ...]:
    """The scripts among the files called *names* in *folder*, in order."""
    return tuple(f"{folder}/{name}" for name in sorted(names) if name.endswith(".sh"))


def through(shell: str, sourced: Iterable[str], words: Sequence[str]) -> tuple[str, ...]:
    """*words* behind *shell*, which sources *sourced* first and then becomes the program."""
    return (shell, "-c", "\n".join([*sourcing(sourced), 'exec "$@"']), "activate", *words)


def sourcing(sourced: Iterable[str]) -> list[str]:
    """One line of shell for each of *sourced*."""
    return [f". {shlex.quote(path)}" for path in sourced]
