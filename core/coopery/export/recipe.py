"""An image taken apart, by its record: the base, each step with its layer, the packages, what its config says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from coopery import records
from coopery.engines import elsewhere
from coopery.oci.config import platform_of

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Assembled, Image
    from coopery.layer import Layer
    from coopery.lock import Lock
    from coopery.records import Resolution

Kind = Literal["run", "copy", "env", "workdir", "user"]


@frozen
class Part:
    """One step.

    Attributes:
        kind: of the step.
        value: what the definition says: a script or words, variables, a path, a user; for ``copy``, where to.
        layer: what it put on top; None where it put nothing.
        secrets: ids of secrets that it reads.
        network: whether it may use the network.
    """

    kind: Kind
    value: Any = field(hash=False)
    layer: Layer | None = None
    secrets: tuple[str, ...] = ()
    network: bool = True


@frozen
class Recipe:
    """What an image is made of.

    Attributes:
        name: of the definition, or empty.
        facts: lines for people: key, image, lock.
        platform: ``linux/amd64``.
        base: reference of the base, with tag and digest; empty where it is no image of a registry, or has triggers
            (ONBUILD), which what is built from it would run.
        base_layers: the base's, where *base* is empty.
        steps: in order.
        packages: layers of packages, from the bottom up.
        settings: the image's ``config``: Env, Entrypoint, User.
        lock: the exact packages; None where there are none.
        interpreter: path in the image, or None.
    """

    name: str
    facts: tuple[str, ...]
    platform: str
    base: str
    base_layers: tuple[Layer, ...]
    steps: tuple[Part, ...]
    packages: tuple[Layer, ...]
    settings: Mapping[str, Any] = field(hash=False)
    lock: Lock | None = None
    interpreter: str | None = None

    @property
    def env(self) -> dict[str, str]:
        """Variables of the finished image."""
        return dict(text.partition("=")[::2] for text in self.settings.get("Env") or ())

    @property
    def base_env(self) -> dict[str, str]:
        """The base's own variables as far as the finished image shows them: those that no step has set."""
        stepped = {name for part in self.steps if part.kind == "env" for name in part.value}
        return {name: value for name, value in self.env.items() if name not in stepped and name != "PATH"}


def comment(text: str) -> str:
    """*text* as one comment line, whatever is in it."""
    return "# " + " ".join("".join(char if char.isprintable() else " " for char in text).split())


def of_image(builder: Builder, image: Image) -> Recipe:
    """The recipe of *image*; of one that was pulled, all layers are the base's.

    Raises:
        NotFound, IntegrityError: its config or layers are not here, or damaged.
    """
    known = None
    if image.key:
        name = records.resolution_name(image.key, image.under)
        known = records.resolution(builder.cache.get("resolution", name, image.generation))
    return of(elsewhere.assembled(builder, image), known)


def of(image: Assembled, known: Resolution | None) -> Recipe:
    """The recipe of *image*, as *known* tells it; of one that nothing is known of, all layers are the base's."""
    document = image.document
    told = dict(known.identity) if known is not None and known.below else {}
    triggers = (document.get("config") or {}).get("OnBuild")  # a builder would run the base's; a tar has none
    reference = str(told.get("base", {}).get("image", "")) if known is not None and not triggers else ""
    below = known.below if known is not None and told else len(image.layers)
    base_layers = known.base_layers if known is not None and told else len(image.layers)
    facts: tuple[str, ...] = (f"image {image.image_id}",)
    if known is not None:
        named = (f"environment {known.name}",) if known.name else ()
        locked = (f"lock {known.lock.digest}",) if known.lock is not None else ()
        facts = (*named, f"key {known.key}", *facts, *locked)
    return Recipe(
        name=known.name if known is not None else "",
        facts=facts,
        platform=platform_of(document),
        base=_pinned(reference, known.base) if reference and known is not None else "",
        base_layers=() if reference else image.layers[:base_layers],
        steps=tuple(_parts(told.get("steps", ()), image.layers[base_layers:below])),
        packages=image.layers[below:],
        settings=document.get("config") or {},
        lock=known.lock if known is not None else None,
        interpreter=known.interpreter if known is not None else None,
    )


def _pinned(reference: str, digest: str) -> str:
    return reference if "@" in reference else f"{reference}@{digest}"


def _parts(steps: Sequence[Mapping[str, Any]], layers: Sequence[Layer]) -> Iterator[Part]:
    """Each step of an identity with its layer. A workdir has one only where the folder was not there."""
    left = list(layers)
    for step in steps:
        if "run" in step:
            secrets = tuple(step.get("secrets", ()))
            yield Part("run", step["run"], _next(left), secrets, step.get("network", True))
        elif "copy" in step:
            yield Part("copy", step["to"], _next(left))
        elif "env" in step:
            yield Part("env", dict(step["env"]))
        elif "user" in step:
            yield Part("user", step["user"])
        else:
            made = bool(left) and left[0].created_by == f"coopery: workdir {step['workdir']}"
            yield Part("workdir", step["workdir"], left.pop(0) if made else None)


def _next(left: list[Layer]) -> Layer | None:
    return left.pop(0) if left else None
