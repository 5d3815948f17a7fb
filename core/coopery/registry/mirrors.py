"""Where the content of a registry is kept as well, by the settings."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from coopery.errors import UsageError
from coopery.registry.reference import Reference, parse
from coopery.settings import Settings
from coopery.wire.origin import origin_of

_ANY_HOST: Final = "registry.invalid"


def mirror_of(reference: Reference, settings: Settings) -> Reference | None:
    """The repository of the mirror that has the same content as that of *reference*; None where there is no mirror.

    ``registries = {"docker.io" = "mirror.example:5000/hub"}`` makes ``docker.io/library/debian``
    ``mirror.example:5000/hub/library/debian``.

    Raises:
        UsageError: what is set is no ``host[:port][/path]``.
    """
    setting = settings.registries.get(reference.host, "").rstrip("/")
    if not setting:
        return None
    host, _, path = setting.lower().partition("/")
    repository = f"{path}/{reference.repository}" if path else reference.repository
    try:
        origin_of("https", host)
        parse(f"{_ANY_HOST}/{repository}")
    except (ValueError, UsageError) as exc:
        raise UsageError(
            f"the mirror for {reference.host}: expected host[:port][/path], got {setting.rpartition('@')[2]!r}",
            remedy="it is the setting registries; logins for a mirror are kept where those for registries are",
        ) from exc
    return evolve(reference, host=host, repository=repository)
