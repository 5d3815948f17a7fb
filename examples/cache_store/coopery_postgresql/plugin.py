"""The door: registers the store, and imports it only when somebody asks."""

from coopery.hookspecs import hookimpl


@hookimpl
def coopery_register_cache():
    """``Builder(cache="postgresql://…")``."""
    from coopery_postgresql.store import PostgresqlCache

    return PostgresqlCache
