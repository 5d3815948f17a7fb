"""Finding and loading plugins: entry points in the group ``coopery``, built-ins by the same door as strangers.

No global: a `Plugins` belongs to one `Builder`. A name clash, a misspelt hook or a plugin that cannot be imported is
an error that names the distributions, never a silent choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

import pluggy
from attrs import frozen

from coopery import hookspecs
from coopery.entries import Entry, entries
from coopery.errors import PluginError
from coopery.shelf import Shelf, shelves_of

if TYPE_CHECKING:
    from coopery.backend import Backend
    from coopery.base_source import BaseSource
    from coopery.cache import Cache
    from coopery.events import Event
    from coopery.materializer import Materializer

GROUP: Final = "coopery"
PluginKind = Literal["backend", "materializer", "base source", "cache"]

_HOOKS: Final[dict[PluginKind, tuple[str, str]]] = {
    "backend": ("coopery_register_backend", "name"),
    "materializer": ("coopery_register_materializer", "name"),
    "base source": ("coopery_register_base_source", "name"),
    "cache": ("coopery_register_cache", "scheme"),
}

_DISTRIBUTIONS: Final = {
    "docker": "coopery-docker",
    "podman": "coopery-podman",
    "singularity": "coopery-singularity",
    "oci": "coopery-oci",
    "conda": "coopery-conda",
    "pip": "coopery-pip",
    "spark": "coopery-spark",
    "debian": "coopery-debian",
    "redis": "coopery-redis",
}
"""Distributions that are known to provide a name and no other: for advice, and so as not to import them for another."""


@frozen
class PluginInfo:
    """One registered thing, as ``coopery plugins`` shows it."""

    kind: PluginKind
    name: str
    distribution: str
    version: str
    abilities: tuple[str, ...] = ()


@frozen
class _Registered:
    thing: Any
    distribution: str
    version: str


class Plugins:
    """The plugins of one builder, loaded when first asked for.

    Args:
        modules: further plugin modules or objects, as ``(name, module)``, for tests and embedders.
        discover: also load the entry points that are installed.
    """

    def __init__(self, modules: Iterable[tuple[str, object]] = (), *, discover: bool = True) -> None:
        self._modules = tuple(modules)
        self._discover = discover

    def backend(self, name: str) -> type[Backend]:
        """The backend class called *name*.

        Raises:
            PluginError: none is installed under that name; says what to install.
        """
        backend: type[Backend] = self._pick("backend", name)
        return backend

    def backends(self) -> dict[str, type[Backend]]:
        """All backend classes by name."""
        return {name: found.thing for name, found in self._registered("backend").items()}

    def materializers(self, only: Iterable[str] | None = None) -> dict[str, type[Materializer]]:
        """The materializer classes by name.

        Args:
            only: these names matter. Plugins of ours that are known to bring others are not imported for that.
        """
        found = self._registered("materializer") if only is None else self._collect("materializer", frozenset(only))
        return {name: one.thing for name, one in found.items()}

    def base_source(self, name: str) -> type[BaseSource]:
        """The base source called *name*; PluginError when there is none."""
        source: type[BaseSource] = self._pick("base source", name)
        return source

    def caches(self) -> dict[str, type[Cache]]:
        """The cache stores that plugins bring, by scheme; core's own are not among them."""
        return {name: found.thing for name, found in self._registered("cache").items()}

    def shelves(self) -> tuple[Shelf, ...]:
        """The folders below the cache folder that backends, materializers and base sources keep things in."""
        kinds: tuple[PluginKind, ...] = ("backend", "materializer", "base source")
        found = (found.thing for kind in kinds for found in self._registered(kind).values())
        return tuple(dict.fromkeys(shelf for thing in found for shelf in shelves_of(thing)))

    def infos(self) -> tuple[PluginInfo, ...]:
        """Everything registered, by kind and name."""
        return tuple(
            PluginInfo(kind, name, found.distribution, found.version, _abilities(found.thing))
            for kind in _HOOKS
            for name, found in sorted(self._registered(kind).items())
        )

    def observe(self, event: Event) -> None:
        """Hand *event* to every observer. What one of them raises is logged, and keeps nobody else from seeing it."""
        for observer in self._manager.hook.coopery_observe_event.get_hookimpls():
            try:
                observer.function(*((event,) if observer.argnames else ()))
            except Exception:
                _log_failure(self._origins[observer.plugin_name][0])

    @property
    def observed(self) -> bool:
        """Whether any plugin observes events; when none does, nobody needs to be called."""
        return bool(self._manager.hook.coopery_observe_event.get_hookimpls())

    def _pick(self, kind: PluginKind, name: str) -> Any:
        found = self._namesake(kind, name) or self._registered(kind).get(name)
        if found is not None:
            return found.thing
        there = ", ".join(sorted(self._registered(kind))) or "none"
        distribution = _DISTRIBUTIONS.get(name)
        remedy = f"pip install {distribution}" if distribution else "check the spelling, or install the plugin"
        raise PluginError(f"no {kind} called {name!r} is installed (installed: {there})", remedy=remedy)

    def _namesake(self, kind: PluginKind, name: str) -> _Registered | None:
        """What the one entry point called *name* registers under that name, so that a hit imports no other plugin.

        That another plugin has the name too is found when all are asked, as each build that makes something does.
        """
        if kind in self._found or self._modules:
            return None
        hook, attribute = _HOOKS[kind]
        known = getattr(self._manager.hook, hook).get_hookimpls()
        called = [one for one in known if one.plugin_name.endswith(f":{name}")]
        if len(called) != 1:
            return None
        thing = called[0].function()
        distribution, version = self._origins[called[0].plugin_name]
        return _Registered(thing, distribution, version) if getattr(thing, attribute) == name else None

    def _registered(self, kind: PluginKind) -> dict[str, _Registered]:
        """What is registered of one kind: only that kind's hooks are called, so that no other plugin is imported."""
        if kind not in self._found:
            self._found[kind] = self._collect(kind)
        return self._found[kind]

    @cached_property
    def _found(self) -> dict[PluginKind, dict[str, _Registered]]:
        return {}

    def _collect(self, kind: PluginKind, only: frozenset[str] | None = None) -> dict[str, _Registered]:
        hook, attribute = _HOOKS[kind]
        found: dict[str, _Registered] = {}
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if only is not None and _brings_another(implementation.plugin_name, only):
                continue
            distribution, version = self._origins[implementation.plugin_name]
            name = getattr(thing := implementation.function(), attribute)
            if name in found:
                raise PluginError(
                    f"two plugins register the {kind} {name!r}: {found[name].distribution} and {distribution}",
                    remedy="uninstall one of them",
                )
            found[name] = _Registered(thing, distribution, version)
        return found

    @cached_property
    def _manager(self) -> pluggy.PluginManager:
        manager = pluggy.PluginManager("coopery")
        manager.add_hookspecs(hookspecs)
        for name, module in self._modules:
            self._origins[name] = (name, "")
            manager.register(module, name)
        for entry in entries(GROUP) if self._discover else ():
            self._register(manager, entry)
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as exc:
            origin = self._origins.get(_name_of(manager, exc.plugin), ("a plugin", ""))[0]
            raise PluginError(f"{origin}: {exc}", remedy="correct the name of the hook, or update Coopery") from exc
        return manager

    @cached_property
    def _origins(self) -> dict[str, tuple[str, str]]:
        return {}

    def _register(self, manager: pluggy.PluginManager, entry: Entry) -> None:
        name = f"{entry.distribution}:{entry.name}"
        if name in self._origins:
            return  # the same distribution found twice on the path, as editable installs are
        self._origins[name] = (entry.distribution, entry.version)
        manager.register(_import(entry), name)


def _brings_another(plugin: str, names: frozenset[str]) -> bool:
    """Whether *plugin* is one of ours, which register what they are called and nothing else, and called otherwise."""
    distribution, _, name = plugin.rpartition(":")
    return _DISTRIBUTIONS.get(name) == distribution and name not in names


def _import(entry: Entry) -> ModuleType:
    try:
        return import_module(entry.value)
    except Exception as exc:
        raise PluginError(
            f"plugin {entry.name!r} of {entry.distribution} cannot be imported: {type(exc).__name__}: {exc}",
            remedy=f"reinstall or uninstall {entry.distribution}",
        ) from exc


def _log_failure(distribution: str) -> None:
    import logging  # only where something is wrong: an ordinary build needs none

    logging.getLogger("coopery.plugins").exception("%s: its observer of events failed", distribution)


def _name_of(manager: pluggy.PluginManager, plugin: object) -> str:
    return manager.get_name(plugin) or ""


def _abilities(thing: Any) -> tuple[str, ...]:
    abilities = getattr(thing, "abilities", None)
    if abilities is None:
        return ()
    return tuple(name for name in abilities.__slots__ if getattr(abilities, name, False) is True)
