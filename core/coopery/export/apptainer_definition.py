"""An Apptainer definition file that gives an equal image, with layers and scripts in a folder beside it.

Packages and copied files are unpacked in ``%setup``, on the host, before ``%post`` runs the steps: Apptainer has no
other order for what the image itself may have no tar for. What people wrote stands in files of its own, so that no
line of a script can open a section.

Source: Apptainer user guide, "Definition files".
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.blobs import disk_error
from coopery.errors import UsageError
from coopery.export import folder as _folder
from coopery.export.recipe import comment

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.export.recipe import Part, Recipe
    from coopery.layer import Layer

_STEPS: Final = "/.coopery-steps"
"""Where scripts are in the image while it is built."""

_ROOT: Final = '"${APPTAINER_ROOTFS:-$SINGULARITY_ROOTFS}"'


def write(builder: Builder, recipe: Recipe, path: Path) -> Path:
    """The file *path*, and the folder ``<its stem>.layers`` beside it; returns *path*. Build it from that folder.

    Raises:
        UsageError: one of them is there already, or a value cannot stand in a definition.
        IntegrityError: a layer is missing or damaged.
        CacheError: the disk refused.
    """
    beside = path.with_name(f"{path.stem}.layers")
    if os.path.lexists(path):
        raise UsageError(f"{path}: something is there already", remedy="remove it, or write to another place")
    text_of(recipe, beside.name, {}, "")  # what cannot be written is refused before anything large is
    with _folder.made(beside) as made:
        names = _folder.write_layers(recipe, builder.home.blobs, made)
        base = _folder.write_base(recipe, builder.home.blobs, made)
        _folder.write_sources(recipe.lock, builder.settings, made)
        for name, script in _scripts(recipe):
            (made / name).write_text(script, encoding="utf-8")
    try:
        path.write_text(text_of(recipe, beside.name, names, base), encoding="utf-8")
    except OSError as exc:
        raise disk_error(exc) from exc
    return path


def text_of(recipe: Recipe, beside: str, names: Mapping[Layer, str], base: str) -> str:
    """The definition file; *beside* is the folder of layers and scripts.

    Raises:
        UsageError: a value cannot stand in a definition.
    """
    sections = [_head(recipe), "\n".join(_setup(recipe, beside, names, base))]
    if any(part.kind == "run" for part in recipe.steps):
        sections.append("\n".join(_post(recipe)))
    sections += ["\n".join(_environment(recipe)), "\n".join(_runscript(recipe))]
    return "\n\n".join(sections) + "\n"


def _head(recipe: Recipe) -> str:
    comments = [comment(fact) for fact in recipe.facts]
    comments.append("# written by coopery export; build it in the folder that it is in: apptainer build IMAGE.sif FILE")
    if not recipe.base:
        return "\n".join(("Bootstrap: scratch", *comments))
    name, _, digest = recipe.base.partition("@")
    host, _, rest = name.rpartition("/")
    untagged = f"{host}/{rest.partition(':')[0]}" if host else rest.partition(":")[0]
    return "\n".join(("Bootstrap: docker", f"From: {untagged}@{digest}", *comments))


def _setup(recipe: Recipe, beside: str, names: Mapping[Layer, str], base: str) -> Iterator[str]:
    yield "%setup"
    yield f"    folder={shlex.quote(beside)}"
    yield f"    root={_ROOT}"
    files = [base] if base else []
    stepped = [part.layer for part in recipe.steps if part.kind != "run" and part.layer is not None]
    files += [names[layer] for layer in (*stepped, *recipe.packages) if layer in names]
    for file in files:
        quoted = shlex.quote(file)
        yield f'    tar -x --keep-directory-symlink -f "$folder"/{quoted} -C "$root" || exit 1'
    scripts = [name for name, _ in _scripts(recipe)]
    if scripts:
        yield f'    mkdir "$root"{_STEPS} || exit 1'
    for name in scripts:
        yield f'    cp "$folder"/{shlex.quote(name)} "$root"{_STEPS}/ || exit 1'


def _post(recipe: Recipe) -> Iterator[str]:
    """Steps in order. They run as root: to Apptainer, the user of an image is whoever calls."""
    yield "%post"
    if not recipe.base:
        yield from _exports(recipe.base_env)
    workdir = recipe.settings.get("WorkingDir")
    if workdir and not any(part.kind == "workdir" for part in recipe.steps):
        quoted = _line("workdir", workdir)  # the base's: steps begin there, in a folder that is made where it is not
        yield f"    [ -d {quoted} ] || mkdir -p {quoted}; cd {quoted} || exit 1"
    number = 0
    for part in recipe.steps:
        if part.kind == "env":
            # One command: a variable of the same step is not seen by the others, as in the step itself.
            yield "    export " + " ".join(f"{name}={_expanded(name, value)}" for name, value in part.value.items())
        elif part.kind == "workdir":
            yield f"    cd {_line('workdir', part.value)} || exit 1"
        elif part.kind == "run":
            number += 1
            yield f"    /bin/sh -e {_STEPS}/{number}-run.sh || exit 1"
    yield f"    rm -r {_STEPS}"


def _scripts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    runs = [part for part in recipe.steps if part.kind == "run"]
    for number, part in enumerate(runs, 1):
        if part.secrets:
            raise UsageError(
                f"steps: a definition file cannot give the secret {part.secrets[0]} to a step",
                remedy="export a Dockerfile, or the image itself",
            )
        yield f"{number}-run.sh", _script(part)


def _script(part: Part) -> str:
    return f"{part.value if isinstance(part.value, str) else shlex.join(part.value)}\n"


def _environment(recipe: Recipe) -> Iterator[str]:
    yield "%environment"
    yield from _exports(recipe.env)


def _exports(env: Mapping[str, str]) -> Iterator[str]:
    return (f"    export {name}={_line(name, value)}" for name, value in env.items())


def _runscript(recipe: Recipe) -> Iterator[str]:
    """As Apptainer itself translates an image's entrypoint and command."""
    entry = [_line("entrypoint", word) for word in recipe.settings.get("Entrypoint") or ()]
    command = [_line("cmd", word) for word in recipe.settings.get("Cmd") or ()]
    yield "%runscript"
    if entry or command:
        yield f"    [ $# -gt 0 ] || set -- {' '.join(command)}".rstrip()
    yield f'    exec {" ".join((*entry, ""))}"$@"'


def _line(name: str, value: str) -> str:
    if any(not char.isprintable() and char != "\t" for char in name + value):
        raise UsageError(f"{name}: a definition file cannot hold a line break or control character in a value")
    return shlex.quote(value)


def _expanded(name: str, value: str) -> str:
    """*value* for double quotes of a shell, where what an env step expands stays a variable."""
    from coopery.export.dockerfile import expanding

    return f'"{expanding(name, value)}"'.replace("`", "\\`")
