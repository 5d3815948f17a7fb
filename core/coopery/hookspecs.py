"""Every hook of Coopery, on one screen. Behaviour lives in the protocols; hooks only register or observe.

A plugin is an entry point in the group ``coopery`` that names a module with functions marked by `hookimpl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from coopery.backend import Backend
    from coopery.base_source import BaseSource
    from coopery.cache import Cache
    from coopery.events import Event
    from coopery.materializer import Materializer

hookspec = pluggy.HookspecMarker("coopery")
hookimpl = pluggy.HookimplMarker("coopery")


@hookspec
def coopery_register_backend() -> type[Backend]:  # type: ignore[empty-body]  # pluggy never calls a spec
    """Register one backend class under its ``name``.

    Called once per plugin, when backends are first looked up. Must be cheap: no daemon, network or subprocess. Two
    plugins with one name is an error naming both distributions; core never picks.
    """


@hookspec
def coopery_register_materializer() -> type[Materializer]:  # type: ignore[empty-body]  # pluggy never calls a spec
    """Register one materializer class under its ``name``, the section of the definition that it answers for.

    Called once per plugin, when a definition with packages is first built. Must be cheap. Two with one name is an
    error naming both distributions.
    """


@hookspec
def coopery_register_base_source() -> type[BaseSource]:  # type: ignore[empty-body]  # pluggy never calls a spec
    """Register one source of engine-free bases, such as Debian packages, under its ``name``.

    Called once per plugin, when a base is first fetched. Must be cheap. Two with one name is an error.
    """


@hookspec
def coopery_register_cache() -> type[Cache]:  # type: ignore[empty-body]  # pluggy never calls a spec
    """Register one cache store class under its ``scheme``, as in ``Builder(cache="scheme:…")``.

    Called once per plugin, when a store that core does not know is asked for. Must be cheap: no connection.
    """


@hookspec
def coopery_observe_event(event: Event) -> None:
    """See one event of a build. Cannot change it.

    Called in the thread that caused the event, often. Must return promptly; an exception is logged and forgotten.
    """
