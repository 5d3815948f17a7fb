"""``coopery diff``: what differs between two environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.compare.comparison import Comparison, PackageChange
    from coopery.compare.side import LayerSeen, Side
    from coopery.definition import Environment

_LAYER: Final = 56
"""Characters of a layer's line of history that are shown, so that a line fits 80 columns."""


@click.command(
    cls=Command,
    name="diff",
    short_help="Show what differs between two environments.",
    examples=(
        "coopery diff environment.yaml changed.yaml",
        "coopery diff environment.lock oci-archive:train.tar --output json",
    ),
    docs="docs/cli.md#coopery-diff",
    twin="Builder.diff",
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--platform", default="", metavar="PLATFORM", help="Of lock files and images for several.")
@click.option("--exit-code", is_flag=True, help="End with 1 where anything differs.")
@session()
def command(session: Session, first: str, second: str, platform: str, exit_code: bool) -> int:
    """Show what differs between A and B: inputs, base, packages, layers, config. Nothing is built.

    Each is a definition, a lock file, a key, or an image: oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE,
    docker://HOST/REPOSITORY:TAG.
    """
    with session.builder() as builder:
        found = builder.diff(_ref(builder, first), _ref(builder, second), platform=platform)
    session.document.update(document(found))
    session.say("\n\n".join(_told(found)))
    return int(exit_code and not found.same)


def _ref(builder: Builder, text: str) -> Environment | str | Path:
    from coopery.cli.refs import known, lock_file
    from coopery.compare.sides import is_image

    if is_image(text):
        return text
    return lock_file(text) or known(builder, text)


def _told(found: Comparison) -> Iterator[str]:
    from coopery.cli import words
    from coopery.why import lines

    yield words.rows([("a", _head(found.a)), ("b", _head(found.b))])
    if found.empty:
        yield "they have nothing in common that could be compared: build or lock them first"
        return
    if found.same:
        yield "the same"
    if found.inputs:
        yield words.clean("\n".join(("inputs", *(f"  {line}" for line in lines(found.inputs)))))
    if found.base:
        yield words.clean(f"base\n  {found.base[0]}\n  {found.base[1]}")
    if found.packages is not None and (found.packages.changes or not found.same):
        yield _packages(found)
    if found.layers is not None and not found.same:
        yield _layers(found)
    if found.config:
        yield words.clean("\n".join(("config", *(f"  {one.path}: {one.change}" for one in found.config))))


def _head(side: Side) -> str:
    from coopery.cli import words

    image = side.image
    parts = [side.what if side.kind != "key" else f"key {side.key[:16]}"]
    if side.kind == "definition":
        parts.append(f"key {side.key[:16]}")
    if side.packages is not None:
        parts.append(words.count(len(side.packages), "package"))
    if image is not None:
        parts.append(f"image {image.id[7:19]}, {words.size(image.size)} in {words.count(len(image.layers), 'layer')}")
    elif side.kind == "definition" and side.packages is None:
        parts.append("never built or locked here")
    return ", ".join(parts)


def _packages(found: Comparison) -> str:
    from coopery.cli import words

    changes = found.packages.changes if found.packages else ()
    same = found.packages.same if found.packages else 0
    head = f"packages: {len(changes)} differ, {same} the same"
    if not changes:
        return head
    kinds = {one.kind for one in changes}
    rows = [(*_package(one), one.kind if len(kinds) > 1 else "") for one in changes]
    return f"{head}\n" + words.indented(words.table(("  package", "a", "b", ""), rows))


def _package(one: PackageChange) -> tuple[str, str, str]:
    mark = "+" if one.before is None else "-" if one.after is None else "~"
    before, after = (str(side) if side is not None else "-" for side in (one.before, one.after))
    if before == after:
        before, after = (f"{side} ({side.sha256[:8]})" if side else "-" for side in (one.before, one.after))
    return f"{mark} {one.name}", before, after


def _layers(found: Comparison) -> str:
    from coopery.cli import words

    if found.layers is None:
        return ""
    groups = (("shared", found.layers.shared), ("only a", found.layers.only_a), ("only b", found.layers.only_b))
    rows = [(name, str(len(layers)), words.size(sum(layer.size for layer in layers))) for name, layers in groups]
    lines = [
        (mark, words.size(layer.size), _line(layer))
        for mark, layers in (("-", found.layers.only_a), ("+", found.layers.only_b))
        for layer in layers
    ]
    told = "layers\n" + words.indented(words.table(("", "count", "size"), rows, right=(1, 2)))
    return told + (f"\n{words.indented(words.table(('', 'size', 'from'), lines, right=(1,)))}" if lines else "")


def _line(layer: LayerSeen) -> str:
    text = " ".join(layer.created_by.split()) or layer.diff_id
    return text if len(text) <= _LAYER else f"{text[: _LAYER - 1]}…"


def document(found: Comparison) -> dict[str, Any]:
    """A comparison as plain data; null where a part could not be compared."""
    parts = asdict(found, recurse=True)
    for side in (parts["a"], parts["b"]):
        side["packages"] = None if side["packages"] is None else len(side["packages"])
        if side["image"] is not None:
            image = side["image"]
            side["image"] = {"id": image["id"], "platform": image["platform"], "layers": len(image["layers"])}
            side["image"]["size"] = sum(layer["size"] for layer in image["layers"])
        del side["identity"]
    return {"same": found.same, **parts}
