"""Environments → plain data in the form of the YAML file. What is at its default is left out, as in the key."""

from __future__ import annotations

from typing import Any, Final

import attrs

from coopery.definition import Base, DebianBase, Environment, Pip, ScratchBase, Step

_SECTIONS: Final = ("spark", "target", "build", "runtime")
_MAPPINGS: Final = ("env", "arguments", "tags")
_NOT_HERE: Final = ("root",)
_TEXTS: Final = ("name", "version", "description", "prefix")


def document(environment: Environment) -> dict[str, Any]:
    """*environment* as `coopery.read.from_dict` takes it, keys in the order of the reference."""
    fields = _changed(environment)
    out: dict[str, Any] = {name: fields[name] for name in _TEXTS[:3] if name in fields}
    if environment.tags:
        out["tags"] = dict(environment.tags)
    out["base"] = _base(environment.base)
    if environment.steps:
        out["steps"] = [_step(step) for step in environment.steps]
    if environment.conda is not None:
        out["conda"] = _changed(environment.conda)
    if environment.pip is not None:
        out["pip"] = _pip(environment.pip)
    if environment.interpreter is not None:
        out["python"] = {"user_managed": True, "interpreter": environment.interpreter}
    out.update({name: _changed(fields[name]) for name in _SECTIONS if fields.get(name) is not None})
    if "prefix" in fields:
        out["prefix"] = environment.prefix
    return out


def _changed(value: Any) -> dict[str, Any]:
    """Fields of an attrs value that are not at their defaults, as plain data."""
    fields = ((field.name, getattr(value, field.name), field.default) for field in attrs.fields(type(value)))
    return {
        name: _plain(name, current) for name, current, default in fields if name not in _NOT_HERE and current != default
    }


def _plain(name: str, value: Any) -> Any:
    if name in _MAPPINGS:
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _base(base: Base) -> Any:
    if isinstance(base, ScratchBase):
        return {"scratch": True}
    if isinstance(base, DebianBase):
        return {"debian": _changed(base)}
    return _changed(base)


def _step(step: Step) -> dict[str, Any]:
    fields = _changed(step)
    if fields.get("mode") is not None:
        fields["mode"] = f"{fields['mode']:04o}"
    return fields


def _pip(pip: Pip) -> Any:
    fields = _changed(pip)
    return fields["requirements"] if list(fields) == ["requirements"] else fields
