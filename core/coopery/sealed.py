"""A sealed definition: every file that it copies or starts from has been read once and is named by its digest.

Sealing is done by `coopery.seal`; these are only the values. Host paths in them are no part of equality.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from coopery.definition import Base, Environment, Step
from coopery.digest import Digest


@frozen
class SealedBase:
    """A base with the digest of whatever local content it names.

    Attributes:
        base: as the definition has it.
        content: digest of the layout's manifest, the archive, the tar, the Dockerfile or the context; None where
            nothing is local.
        path: absolute host path of that content; None where nothing is local.
        pinned: manifest digest, for the target's platform, that a lock or a record says the reference had. It is
            fetched instead of what a tag names today. No part of the key.
        arguments: build arguments of a Dockerfile; in the key by the definition's build options.
        secrets: ids of the build secrets that a Dockerfile may mount; likewise.
        fresh: a rebuild: what a Dockerfile gave before is not taken again. No part of the key.
    """

    base: Base
    content: Digest | None = None
    path: Path | None = field(default=None, eq=False)
    pinned: Digest | None = field(default=None, eq=False)
    arguments: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    fresh: bool = field(default=False, eq=False)


@frozen
class SealedStep:
    """A step with the digest of what it copies.

    Attributes:
        step: as the definition has it.
        content: digest of the copied tree, None for other steps.
        path: absolute host path of what is copied.
        field_path: ``$.steps[2]``, for messages.
    """

    step: Step
    content: Digest | None = None
    path: Path | None = field(default=None, eq=False)
    field_path: str = field(default="", eq=False)


@frozen
class SealedLinks:
    """A folder of wheels on this machine that ``pip.find_links`` names, with the digest of the wheels in it.

    Attributes:
        content: digest of their names and bytes.
        path: absolute host path of the folder.
        field_path: ``$.pip.find_links[0]``, for messages.
    """

    content: Digest
    path: Path = field(eq=False)
    field_path: str = field(default="", eq=False)


@frozen
class Sealed:
    """A definition whose key can be computed: nothing in it can change under our feet unnoticed."""

    environment: Environment
    base: SealedBase
    steps: tuple[SealedStep, ...] = ()
    links: tuple[SealedLinks, ...] = ()
