"""Why two definitions have two keys: the inputs that differ, in words. Pure; works on what `coopery.key.identity` says.

Package lists are compared by package, so that a changed pin is one change; steps by their order; the rest as values.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any, Final

from attrs import frozen

_PACKAGE_LISTS: Final = frozenset(
    {"conda.dependencies", "pip.requirements", "pip.constraints", "spark.packages", "base.debian.packages"}
)
_UNORDERED: Final = frozenset({"build.secrets"})
_DEFAULTS: Final[Mapping[str, Any]] = {
    "prefix": "/opt/env",
    "target.platform": "linux/amd64",
    "build.bytecode": True,
    "base.dockerfile": "Dockerfile",
    "base.debian.components": ["main"],
    "pip.pre": False,
    "network": True,
    "owner": "0:0",
}
"""What a field means that an identity leaves out; the last two are a step's."""

_LONGEST: Final = 72
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@frozen
class Difference:
    """One input that is not the same on both sides.

    Attributes:
        path: where, as in the identity: ``conda.dependencies``, ``steps[2].run``.
        before: the first side's value, in words; None where it has none.
        after: the second's.
    """

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.path}: {self.change}"

    @property
    def change(self) -> str:
        """Without the path: ``numpy=1.26 → numpy=2.0``, ``+ pandas``, ``- pandas``."""
        if self.before is None:
            return f"+ {self.after}"
        return f"- {self.before}" if self.after is None else f"{self.before} → {self.after}"


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs between two identities, section by section; empty when they are one."""
    order = ("base", "steps", "conda", "pip", "spark", "target", "prefix", "build", "interpreter")
    known = [name for name in order if name in a or name in b]
    others = sorted((a.keys() | b.keys()) - set(order))
    return tuple(found for name in (*known, *others) for found in _value(name, a.get(name), b.get(name)))


def lines(found: Iterable[Difference]) -> tuple[str, ...]:
    """For people: one line for each path, ``conda.dependencies: numpy=1.26 → numpy=2.0; + pandas``."""
    grouped = groupby(found, key=lambda difference: difference.path)
    return tuple(f"{path}: {'; '.join(difference.change for difference in group)}" for path, group in grouped)


def _value(path: str, a: Any, b: Any) -> Iterator[Difference]:
    if a == b:
        return
    if path == "steps":
        yield from _steps(a or [], b or [])
    elif path in _PACKAGE_LISTS:
        yield from _packages(path, a or [], b or [])
    elif path in _UNORDERED:
        yield from _members(path, a or [], b or [])
    elif (isinstance(a, dict) and isinstance(b, dict)) or _is_section(path, a, b):
        yield from _fields(path, a or {}, b or {})
    else:
        yield _difference(path, a, b)


def _is_section(path: str, a: Any, b: Any) -> bool:
    """A section that only one side has is told field by field, unless it is empty there."""
    return path != "base" and bool(isinstance(a or b, dict) and (a or b))


def _fields(path: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    if path == "base" and _kind(a) != _kind(b):
        yield Difference(path, _base(a), _base(b))
        return
    for name in sorted(a.keys() | b.keys()):
        yield from _value(f"{path}.{name}", a.get(name), b.get(name))


def _packages(path: str, a: Sequence[str], b: Sequence[str]) -> Iterator[Difference]:
    """By package name; several requirements for one package are told together."""
    before, after = _by_name(a), _by_name(b)
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, []), after.get(name, [])
        gone = [spec for spec in old if spec not in new]
        come = [spec for spec in new if spec not in old]
        for left, right in zip_longest(gone, come):
            yield Difference(path, left, right)


def _by_name(specs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for spec in specs:
        found.setdefault(package_name(spec), []).append(spec)
    return found


def package_name(spec: str) -> str:
    """Normalized name of what a match spec, requirement or Maven coordinate asks for; the text itself where unclear.

    ``conda-forge::NumPy >=1.2`` and ``numpy`` are ``numpy``; ``git+https://…#egg=x`` is ``x``.
    """
    if egg := re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", spec):
        name = egg[1]
    elif spec.count(":") >= 2 and "::" not in spec and "/" not in spec:
        return spec.rpartition(":")[0]
    else:
        found = _NAME.match(spec.partition("::")[2] or spec)
        if found is None or spec[found.end() :].startswith(("+", "://")):
            return spec
        name = found[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _members(path: str, a: Sequence[str], b: Sequence[str]) -> Iterator[Difference]:
    for name in sorted(set(a) ^ set(b)):
        yield Difference(path, name if name in a else None, name if name in b else None)


def _steps(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """By order: what stays is matched up, so that one inserted step is one difference."""
    left, right = ([json.dumps(step, sort_keys=True) for step in steps] for steps in (a, b))
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        pairs = zip_longest(range(i, i_end), range(j, j_end))
        for old, new in pairs:
            yield from _step(old, new, a, b)


def _step(
    old: int | None, new: int | None, a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    if old is not None and new is not None and _kind(a[old]) == _kind(b[new]):
        path = f"steps[{new}]"
        for name in sorted(a[old].keys() | b[new].keys()):
            before, after = a[old].get(name), b[new].get(name)
            if before != after and isinstance(before, dict) and isinstance(after, dict):
                yield from _fields(f"{path}.{name}", before, after)
            elif before != after:
                yield _difference(f"{path}.{name}", before, after, name)
    else:
        before = None if old is None else _told(a[old])
        after = None if new is None else _told(b[new])
        yield Difference(f"steps[{old if new is None else new}]", before, after)


def _kind(form: Mapping[str, Any]) -> str:
    """Which form of base or step it is. ``dockerfile`` stands beside ``context`` too, and ``to`` beside ``copy``."""
    kinds = ("context", "image", "scratch", "layout", "archive", "rootfs", "sif", "debian", "dockerfile")
    return next((kind for kind in (*kinds, "run", "copy", "env", "workdir", "user") if kind in form), "")


def _base(form: Mapping[str, Any]) -> str:
    kind = _kind(form)
    if kind == "scratch":
        return kind
    return f"{kind} {form[kind]['suite'] if kind == 'debian' else _words(kind, form[kind])}"


def _told(step: Mapping[str, Any]) -> str:
    kind = _kind(step)
    return f"{kind} {_words(kind, step[kind])}{' to ' + step['to'] if kind == 'copy' else ''}"


def _difference(path: str, a: Any, b: Any, name: str = "") -> Difference:
    """Two values in words; where they are long and begin alike, from shortly before they part."""
    before, after = _words(name or path, a), _words(name or path, b)
    if before is not None and before == after:
        old, new = str(a), str(b)
        same = next((at for at, pair in enumerate(zip_longest(old, new)) if pair[0] != pair[1]), 0)
        start = max(0, same - _LONGEST // 3)
        before, after = (f"{'…' if start else ''}{_short(text[start:])}" for text in (old, new))
    return Difference(path, before, after)


def _words(path: str, value: Any) -> str | None:
    """*value* in words; what the field means where there is none; None where it means nothing."""
    if value is None and (value := _DEFAULTS.get(path)) is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path in ("steps.mode", "mode"):
        return f"{value:04o}"
    if isinstance(value, dict):
        return _short(", ".join(f"{name}={text}" for name, text in value.items())) or "(empty)"
    if isinstance(value, list):
        return _short(", ".join(map(str, value))) or "(none)"
    return _short(str(value))


def _short(text: str) -> str:
    if re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        return text[:19]
    text = " ⏎ ".join(text.strip().splitlines())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
