"""Tables of the SQLite store, and how a connection to it is set up.

A table's name carries its version: a newer Coopery adds tables beside these and leaves these alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from attrs import frozen

from coopery.errors import CacheError
from coopery.stores.rows import LIMIT

_WAIT_SECONDS: Final = 0.05
"""How long SQLite itself waits for a lock: beyond this it asks only every 100 ms, and starves beside busy writers."""

APPLICATION_ID: Final = 0x434F4F50
"""``COOP``, at byte 68 of the file: tells a database that we damaged from one that was never ours."""


@frozen
class Schema:
    """What one file holds, and how much its last transactions matter when the power fails.

    Attributes:
        tables: name → the rest of its CREATE TABLE statement.
        synchronous: SQLite's setting of that name. EXTRA also syncs the folder once the journal is gone: a record that
            somebody was told of survives. OFF survives a killed process, not a power cut.
    """

    tables: Mapping[str, str]
    synchronous: Literal["EXTRA", "OFF"]


RECORDS: Final = Schema(
    {
        "records_1": "(kind TEXT, name TEXT, data BLOB, seal BLOB, PRIMARY KEY (kind, name)) WITHOUT ROWID",
        # What a newer generation replaced. Apart, so that a damaged newest record never makes an older one look newest.
        "history_1": "(kind TEXT, name TEXT, generation INTEGER, data BLOB, seal BLOB,"
        " PRIMARY KEY (kind, name, generation)) WITHOUT ROWID",
    },
    "EXTRA",
)
LEASES: Final = Schema({"leases_1": "(name TEXT PRIMARY KEY, data BLOB, seal BLOB) WITHOUT ROWID"}, "OFF")
"""A file of its own: no holder outlives a power cut, so that leases need no sync, and never wait for one of records."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database that exists at *path*, which is absolute and has no link in it.

    Raises:
        sqlite3.Error: it cannot be opened.
        CacheError: what was opened is not *path*: a link was put there between the check and now.
    """
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    # mode=rw never creates, so that a link to nowhere makes no file; where writing is forbidden SQLite reads only.
    connection = sqlite3.connect(
        f"file:{quoted}?mode=rw", uri=True, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT)
        connection.execute("PRAGMA cell_size_check=ON")  # notices more damage before it can mislead
        opened = connection.execute("PRAGMA database_list").fetchone()[2]
        if opened != str(path):
            raise CacheError(f"{path}: refused, it leads to {opened}", remedy="look who put that link there")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, schema: Schema) -> None:
    """Make *connection* fit for writing. Within no transaction.

    The journal mode is DELETE for every version of SQLite: versions before 3.51.3 can corrupt a WAL database that
    several processes write, one of them suffices, and a commit here is rare enough not to need WAL.
    """
    mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    if mode != "delete":
        raise CacheError(f"the database of records is in journal mode {mode!r} and cannot leave it")
    connection.execute(f"PRAGMA synchronous={schema.synchronous}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if is_empty(connection):
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        elif not is_ours(connection, schema):
            raise CacheError("refused: this SQLite database was not made by Coopery", remedy="name another file")
        for name, columns in schema.tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether no table was ever made here: a new file, or one whose first writer died."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))


def is_ours(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Whether Coopery made this database, by its stamp or by its tables: damage rarely takes both."""
    if connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,):
        return True
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return not names.isdisjoint(schema.tables)
