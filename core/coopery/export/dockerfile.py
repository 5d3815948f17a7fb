r"""A Dockerfile that gives an equal image, with the packages as tars beside it: ``docker build``, ``podman build``.

What people wrote never meets Docker's grammar bare: scripts are JSON lists, values are quoted, and what that grammar
has no way to write (a line break in a variable) is refused.

Source: Dockerfile reference, "Parser directives", "Environment replacement", "RUN", "ADD".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import UsageError
from coopery.export import folder as _folder
from coopery.export.recipe import comment

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.export.recipe import Part, Recipe
    from coopery.layer import Layer

LAYERS: Final = "layers"
_VARIABLE: Final = re.compile(r"\\\$|\$[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}")
"""What an env step expands, and its escaped dollar sign: as a Dockerfile has them."""


def write(builder: Builder, recipe: Recipe, path: Path) -> Path:
    """A folder with ``Dockerfile`` and ``layers/``; returns the folder, which is the build's context.

    Raises:
        UsageError: *path* is taken, or a value cannot stand in a Dockerfile.
        IntegrityError: a layer is missing or damaged.
        CacheError: the disk refused.
    """
    with _folder.made(path) as made:
        fill(builder, recipe, made)
    return path


def fill(builder: Builder, recipe: Recipe, made: Path) -> None:
    """Write the same into a folder that is there."""
    text_of(recipe, {})  # what cannot be written is refused before anything large is
    names = _folder.write_layers(recipe, builder.home.blobs, made / LAYERS)
    base = _folder.write_base(recipe, builder.home.blobs, made / LAYERS)
    _folder.write_sources(recipe.lock, builder.settings, made)
    (made / "Dockerfile").write_text(text_of(recipe, names, base), encoding="utf-8")


def text_of(recipe: Recipe, names: Mapping[Layer, str], base: str = _folder.BASE) -> str:
    """The Dockerfile.

    Args:
        recipe: of the image.
        names: of the files in ``layers/``; a layer that is not there is called by its digest.
        base: file of the base, where that is no image of a registry.

    Raises:
        UsageError: a value cannot stand in a Dockerfile.
    """
    return "\n".join(_lines(recipe, names, base)) + "\n"


def _lines(recipe: Recipe, names: Mapping[Layer, str], base: str) -> Iterator[str]:
    yield from map(comment, recipe.facts)
    yield "# written by coopery export; to build it, nothing of Coopery is needed"
    yield from _needs(recipe)
    yield f"FROM --platform={recipe.platform} {recipe.base or 'scratch'}"
    if not recipe.base:
        if recipe.base_layers:
            yield _add(base)
        yield from _env(recipe.base_env)
        yield from _start(recipe)
    for part in recipe.steps:
        yield from _step(part, names)
    if recipe.packages:
        yield "# packages, as Coopery laid them out; explicit.txt and requirements.txt say where they came from"
    for layer in recipe.packages:
        yield _add(names.get(layer) or f"{layer.digest.replace(':', '-')}.tar", layer.created_by)
    yield from _settings(recipe)


def _needs(recipe: Recipe) -> Iterator[str]:
    """What not every builder has, so that its error is understood: Docker's classic one has neither."""
    needed = ["--mount"] * any(part.secrets for part in recipe.steps)
    needed += ["--network"] * any(part.kind == "run" and not part.network for part in recipe.steps)
    if needed:
        yield f"# RUN {' and '.join(needed)}: by docker buildx, or a buildah that has it; the classic builder has not"


def _start(recipe: Recipe) -> Iterator[str]:
    """Where steps begin, and as whom: as the image itself has it, where no step says otherwise."""
    kinds = {part.kind for part in recipe.steps}
    if "run" in kinds and "workdir" not in kinds and recipe.settings.get("WorkingDir"):
        yield f"WORKDIR {_plain('workdir', recipe.settings['WorkingDir'])}"
    if "run" in kinds and "user" not in kinds and recipe.settings.get("User"):
        yield f"USER {_plain('user', recipe.settings['User'])}"


def _step(part: Part, names: Mapping[Layer, str]) -> Iterator[str]:
    if part.kind == "run":
        argv = ["/bin/sh", "-e", "-c", part.value] if isinstance(part.value, str) else list(part.value)
        mounts = "".join(f" --mount=type=secret,id={one},target=/run/secrets/{one}" for one in part.secrets)
        network = "" if part.network else " --network=none"
        yield f"RUN{mounts}{network} {json.dumps(argv)}"
    elif part.kind == "env":
        # One instruction: a variable of the same step is not seen by the others, as in the step itself.
        pairs = (f'{name}="{expanding(name, value)}"' for name, value in part.value.items())
        yield f"ENV {' '.join(pairs)}"
    elif part.kind == "user":
        yield f"USER {_plain('user', part.value)}"
    if part.layer is not None and part.kind != "run":
        yield _add(names.get(part.layer) or f"{part.layer.digest.replace(':', '-')}.tar", part.layer.created_by)
    if part.kind == "workdir":
        yield f"WORKDIR {_plain('workdir', part.value)}"


def _settings(recipe: Recipe) -> Iterator[str]:
    """What the finished image's config says. Where the base is an image, all but variables comes from there."""
    written = {} if recipe.base else recipe.base_env
    for part in recipe.steps:
        if part.kind == "env":
            written |= {name: value for name, value in part.value.items() if "$" not in value}
    yield from _env({name: value for name, value in recipe.env.items() if written.get(name) != value})
    if recipe.base:
        return
    settings = recipe.settings
    for name, word in (("Entrypoint", "ENTRYPOINT"), ("Cmd", "CMD"), ("Volumes", "VOLUME")):
        if value := settings.get(name):
            yield f"{word} {json.dumps(list(value))}"
    if settings.get("WorkingDir"):
        yield f"WORKDIR {_plain('workdir', settings['WorkingDir'])}"
    if settings.get("User"):
        yield f"USER {_plain('user', settings['User'])}"
    yield from (f"EXPOSE {_plain('port', port)}" for port in settings.get("ExposedPorts") or ())
    for name, value in (settings.get("Labels") or {}).items():
        yield f'LABEL "{_quoted(name, name)}"="{_quoted(name, value)}"'
    if settings.get("StopSignal"):
        yield f"STOPSIGNAL {_plain('signal', settings['StopSignal'])}"
    if isinstance(told := settings.get("Healthcheck"), Mapping):
        yield from _healthcheck(told)
    if settings.get("Shell"):
        yield f"SHELL {json.dumps(list(settings['Shell']))}"
    yield from (f"ONBUILD {_checked('onbuild', line)}" for line in settings.get("OnBuild") or ())


def _healthcheck(told: Mapping[str, Any]) -> Iterator[str]:
    """Docker's own form of it. Source: Docker image spec v1.2, "Healthcheck"; its times are nanoseconds.

    It comes from a base's config, which may hold anything.
    """
    test = told.get("Test")
    kind, *words = map(str, test) if isinstance(test, list) and test else ("",)
    options = (("Interval", "interval"), ("Timeout", "timeout"), ("StartPeriod", "start-period"))
    spelled = [f"--{option}={told[name]}ns" for name, option in options if _is_count(told.get(name))]
    spelled += [f"--retries={told['Retries']}"] if _is_count(told.get("Retries")) else []
    if kind == "NONE":
        yield "HEALTHCHECK NONE"
    elif kind == "CMD":
        yield " ".join(("HEALTHCHECK", *spelled, "CMD", json.dumps(words)))
    elif kind == "CMD-SHELL":
        yield " ".join(("HEALTHCHECK", *spelled, "CMD", _checked("healthcheck", " ".join(words))))


def _add(name: str, what: str = "") -> str:
    said = f"{comment(what.removeprefix('coopery: '))}\n" if what else ""
    return f"{said}ADD {json.dumps([f'{LAYERS}/{name}', '/'])}"


def _env(env: Mapping[str, str]) -> Iterator[str]:
    return (f'ENV {name}="{_quoted(name, value)}"' for name, value in env.items())


def _quoted(name: str, value: str) -> str:
    """*value* for double quotes, nothing in it expanded."""
    _check_line(name, value)
    return re.sub(r'([\\"$])', r"\\\1", value)


def expanding(name: str, value: str) -> str:
    """*value* for double quotes, where what an env step expands stays a variable."""
    _check_line(name, value)
    found, at = [], 0
    for match in _VARIABLE.finditer(value):
        found += [_quoted(name, value[at : match.start()]), match[0]]
        at = match.end()
    return "".join((*found, _quoted(name, value[at:])))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


def _checked(name: str, value: str) -> str:
    """*value* as it stands: a shell's, or an instruction."""
    _check_line(name, value)
    return value


def _plain(name: str, value: str) -> str:
    _check_line(name, value)
    return re.sub(r"([\\$])", r"\\\1", value)


def _check_line(name: str, value: str) -> None:
    if any(not char.isprintable() and char != "\t" for char in name + value):
        raise UsageError(f"{name}: a Dockerfile cannot hold a line break or control character in a value")
