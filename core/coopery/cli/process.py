"""Options of commands that run a process: mounts, variables, user, folder, GPUs. Spelt as Docker spells them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from coopery.place import RunRequest

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "-v",
        "--mount",
        "mounts",
        multiple=True,
        metavar="HOST:PATH[:ro]",
        help="Show a host path in the image, to be written too unless ro. Repeatable.",
    ),
    click.option(
        "-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable, or pass it on."
    ),
    click.option(
        "--env-file", "files", multiple=True, metavar="FILE", help="Set the variables in a file, a line for each."
    ),
    click.option("-w", "--workdir", default="", metavar="PATH", help="Start in this folder of the image."),
    click.option("-u", "--user", default="", metavar="USER", help="Run as this user of the image."),
    click.option("--gpus", type=click.Choice(["all"]), help="Pass the host's GPUs in."),
    click.option("--gpu", is_flag=True, help="The same as --gpus all."),
]


def process(command: F) -> F:
    """The options that `request` reads."""
    decorated: Any = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return] # click's options keep the type of what they decorate


def request(argv: Sequence[str], options: Mapping[str, Any]) -> RunRequest:
    """What those options ask for.

    Raises:
        UsageError: one of them has another form, or names what is not on this machine.
    """
    from coopery.place import RunRequest

    mounts, read_only = _mounts(options["mounts"])
    env = {**_from_files(options["files"]), **_variables(options["variables"])}
    gpu = bool(options["gpu"] or options["gpus"])
    return RunRequest(tuple(argv), env, mounts, options["workdir"], options["user"], gpu, read_only)


def _mounts(texts: Iterable[str]) -> tuple[list[tuple[Path, str]], list[str]]:
    """``HOST:PATH[:ro|:rw]``: pairs with the host's path made absolute, and the paths that are not to be written.

    Raises:
        UsageError: another form, nothing at the host's path, or a path in the image that is not absolute.
    """
    from coopery.errors import UsageError

    found, read_only = [], []
    for text in texts:
        rest, _, mode = text.rpartition(":")
        spelt = rest if mode in ("ro", "rw") else text
        host, colon, inside = spelt.rpartition(":")
        if not colon or not host or not inside.startswith("/") or ".." in inside.split("/"):
            raise UsageError(
                f"--mount {text!r}: expected HOST:PATH[:ro], PATH absolute and without ..", remedy="as in ./data:/data"
            )
        if not os.path.exists(host):
            raise UsageError(f"--mount {text!r}: nothing is at {host} on this machine")
        found.append((Path(host).absolute(), inside))
        read_only += [inside] if mode == "ro" else []
    return found, read_only


def _from_files(paths: Iterable[str]) -> dict[str, str]:
    """Variables in files: ``NAME=VALUE`` or ``NAME`` on each line; empty lines and those that begin with # are none.

    Raises:
        UsageError: a file cannot be read, or a line has another form.
    """
    from coopery.errors import UsageError

    found: dict[str, str] = {}
    for path in paths:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"--env-file {path}: it cannot be read: {exc}") from exc
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                found |= _variable(line.lstrip(), f"{path}:{number}")
    return found


def _variables(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE``, or ``NAME`` to pass on this process's own.

    Raises:
        UsageError: no name, or a variable to pass on that is not set here.
    """
    found: dict[str, str] = {}
    for text in texts:
        found |= _variable(text, "-e")
    return found


def _variable(text: str, place: str) -> dict[str, str]:
    from coopery.errors import UsageError

    name, equals, value = text.partition("=")
    if not name or name != name.strip():
        raise UsageError(f"{place}: {name + equals!r}…: expected NAME=VALUE")
    if not equals and name not in os.environ:
        raise UsageError(f"{place} {name}: it is not set here", remedy=f"write {name}=VALUE")
    return {name: value if equals else os.environ[name]}
