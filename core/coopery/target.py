"""What is known of the machine that will run the image, and of the base underneath it.

``Facts`` are read from a base or a snapshot; ``Resolved`` is what the solver is told: every virtual package stated,
none detected on the builder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import asdict, field, frozen

from coopery import platform as _platform
from coopery.definition import Environment, Target
from coopery.digest import Digest

DIRECTORY_MODE: Final = 0o755


@frozen
class Parent:
    """One directory above the prefix, as the base has it. Layers repeat it exactly, so that no engine changes it."""

    path: str
    mode: int = DIRECTORY_MODE
    uid: int = 0
    gid: int = 0


@frozen
class Facts:
    """What a base or snapshot says of itself. Absent facts are None or empty: an empty base has none.

    Attributes:
        platform: ``linux/amd64``, from the image's config.
        glibc: ``2.36``, from the C library file in the image; None for musl or none at all.
        cuda: driver version that ``NVIDIA_REQUIRE_CUDA`` asks for, ``12.4``.
        loader: path of the program interpreter, ``/lib64/ld-linux-x86-64.so.2``.
        python: path of the base's own interpreter, for pip without conda.
        python_version: its ``major.minor``, from its standard library's folder name.
        python_release: all of its version, ``3.11.2``, from the program or its library; None where they do not say.
        shell: path of a shell, or empty.
        user: USER of the config.
        env: ENV of the config.
        prefix: where the prefix really is once symlinks in its parents are followed (``/usr/opt/env``).
        prefix_occupied: True when something already lives there.
        parents: directories above ``prefix`` that exist, from ``/`` downwards, ``/`` itself left out.
    """

    platform: str = _platform.DEFAULT
    glibc: str | None = None
    cuda: str | None = None
    loader: str | None = None
    python: str | None = None
    python_version: str | None = None
    python_release: str | None = None
    shell: str = ""
    user: str = ""
    env: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    prefix_occupied: bool = False
    parents: tuple[Parent, ...] = ()


@frozen
class Resolved:
    """The target, once the definition and the base's facts have been put together. Everything is stated.

    Attributes:
        platform: ``linux/amd64``.
        prefix: absolute path in the image, symlinks of the base followed.
        glibc, cuda: version ceilings, None when the machine has none.
        archspec: microarchitecture, ``x86_64``.
        linux: kernel version stated to solvers.
        base: digest of the base.
        facts: all facts of the snapshot that packages are put upon.
        bytecode: whether ``.pyc`` files are made.
        python: version of the base's Python, as far as that tells it, where packages stand on it; else None.
    """

    platform: str
    prefix: str
    base: Digest
    facts: Facts
    glibc: str | None = None
    cuda: str | None = None
    archspec: str | None = None
    linux: str = "5.10"
    bytecode: bool = True
    python: str | None = None

    def used(self) -> dict[str, str]:
        """The facts that go into a lock: those a solver sees. Two bases that agree on these may share a solve."""
        stated = {
            "glibc": self.glibc,
            "cuda": self.cuda,
            "archspec": self.archspec,
            "linux": self.linux,
            "python": self.python,
        }
        return {name: value for name, value in stated.items() if value is not None}


_ARCHSPEC: Final = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


def of(environment: Environment, facts: Facts, base: Digest) -> Resolved:
    """What *environment* is resolved for on a base with *facts* and the digest *base*."""
    python = (facts.python_release or facts.python_version) if environment.on_bases_python else None
    return resolve(environment.target, facts, base, environment.prefix, environment.build.bytecode, python)


def resolve(
    target: Target, facts: Facts, base: Digest, prefix: str, bytecode: bool, python: str | None = None
) -> Resolved:
    """Put *target* (what the definition states) over *facts* (what the base has). What is stated wins."""
    return Resolved(
        platform=target.platform,
        prefix=facts.prefix or prefix,
        base=base,
        facts=facts,
        glibc=target.glibc or facts.glibc,
        cuda=target.cuda or facts.cuda,
        archspec=target.archspec or _ARCHSPEC.get(_platform.architecture(target.platform)),
        bytecode=bytecode,
        python=python,
    )


@frozen
class Distribution:
    """One Python distribution that an earlier materializer put below the prefix.

    Attributes:
        name, version: as its own metadata write them; where only a lock was read, as the package is called there.
        extras: names of its extras (core metadata, ``Provides-Extra``).
        requires: what its extras need (``Requires-Dist`` lines whose marker names an extra).
    """

    name: str
    version: str
    extras: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@frozen
class Provided:
    """What one materializer hands to the next.

    Attributes:
        python: full version, ``3.12.4``; None when there is no Python yet.
        interpreter: path in the image.
        site_packages: path in the image.
        distributions: what is importable already, as far as the lock alone says.
        survey: reads the same from the packages themselves, fetching those that are missing, for whoever must know
            the names that Python has for them (conda's ``pytorch`` is ``torch``); None: *distributions* is exact. It
            gives the same for equal artifacts, whatever was fetched before.
    """

    python: str | None = None
    interpreter: str | None = None
    site_packages: str | None = None
    distributions: tuple[Distribution, ...] = field(default=())
    survey: Callable[[], tuple[Distribution, ...]] | None = field(default=None, eq=False, repr=False)

    def surveyed(self) -> tuple[Distribution, ...]:
        """What is importable already, exactly.

        Raises:
            PackageError: a package cannot be had.
        """
        return self.survey() if self.survey is not None else self.distributions

    def to_json(self) -> dict[str, Any]:
        """Plain data, for records."""
        return asdict(self, filter=lambda attribute, _value: attribute.name != "survey")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Provided:
        """The inverse of `to_json`."""
        distributions = tuple(map(_distribution, data.get("distributions", ())))
        return cls(**{**data, "distributions": distributions})


def _distribution(data: dict[str, Any]) -> Distribution:
    extras, requires = (tuple(data.get(name, ())) for name in ("extras", "requires"))
    return Distribution(data["name"], data["version"], extras, requires)
