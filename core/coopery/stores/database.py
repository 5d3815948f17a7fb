"""One SQLite file, shared by threads, forks and processes: opened late, checked always, replaced when damaged.

Callers hand in functions of a connection. Each runs alone in this process, in a transaction of its own when it
writes, and may be run again on a fresh database: it must have no effect outside the connection.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from coopery import private
from coopery.blobs import disk_error
from coopery.errors import CacheError, StoreFull
from coopery.stores import forks, network_fs, quarantine, schema
from coopery.stores.schema import Schema

T = TypeVar("T")

# Our statements are fixed: where SQLite finds them wrong, the file is not what we wrote.
_DAMAGED: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
    }
)
_FAILED: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's failures arrive as; the second where its own message quotes a damaged text."""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_ATTEMPTS: Final = 4

BUSY_SECONDS: Final = 10.0
"""How long to wait for other processes' transactions, which take milliseconds each."""


_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, kept from being closed in this one."""


class _Replaced(Exception):  # noqa: N818 - says the state, and never leaves this module
    """The file that we have open is no longer the one at its path: open that one and start again."""


class Database:
    """The database file at *path*.

    Args:
        path: absolute.
        holds: what is kept in it.
        notice: told in a sentence when the database was damaged and set aside.
        own_folder: the folder is Coopery's own, and is kept from others; a folder that a person named is only checked.
        allow_network_fs: the person who says so knows that only one machine uses it.
    """

    def __init__(
        self,
        path: Path,
        holds: Schema,
        notice: Callable[[str], None],
        *,
        own_folder: bool = False,
        allow_network_fs: bool = False,
    ) -> None:
        self.path = path
        self._holds = holds
        self.notice = notice
        self._own_folder = own_folder
        self._allow_network_fs = allow_network_fs
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._prepared = False
        forks.watch(self)

    def read(self, query: Callable[[sqlite3.Connection], T], absent: T) -> T:
        """The result of *query*; *absent* when there is no database, or a damaged one, which is then set aside.

        Raises:
            CacheError: it cannot be read.
        """

        def look() -> T:
            connection = self._connected(create=False)
            try:
                return absent if connection is None else query(connection)
            except _FAILED:
                if self._is_new():
                    return absent
                raise

        with self._lock:
            for _ in range(_ATTEMPTS):
                try:
                    return _patiently(look)
                except _Replaced:
                    continue
                except _FAILED as exc:
                    self._recover(exc, writing=False)
            return absent

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """The result of *change*, run in one transaction that nobody else's can overlap, and synced.

        Raises:
            StoreFull, CacheError: nothing was changed.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                try:
                    return _patiently(lambda: self._transact(change))
                except _Replaced:
                    continue
                except _FAILED as exc:
                    self._recover(exc, writing=True)
                except OSError as exc:
                    raise disk_error(exc) from exc
        raise CacheError(f"{self.path}: damaged again each time that it is made anew", remedy="check the disk")

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._prepared = False
            if connection is not None:
                connection.close()

    # --- forks: see `coopery.stores.forks` ----------------------------------------------------------

    def hold(self) -> None:
        """Wait until no transaction is open."""
        self._lock.acquire()

    def let_go(self) -> None:
        """Go on."""
        self._lock.release()

    def forget(self) -> None:
        """Leave the connection to the parent; the next use opens another."""
        self._lock = threading.RLock()
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection, self._prepared = None, False

    # --- opening ------------------------------------------------------------------------------------

    def _connected(self, *, create: bool) -> sqlite3.Connection | None:
        """A connection to what is at the path now; None when nothing is, unless *create*."""
        if self._connection is not None and self._inode_now() == self._inode:
            return self._connection
        self.close()
        if create:
            if self._own_folder:
                private.tighten_folder(self.path.parent)
            private.make_folder(self.path.parent)
        if not private.check_folder(self.path.parent):
            return None
        if not self._allow_network_fs:
            network_fs.refuse(self.path.parent)
        if create:
            private.make_file(self.path)
        found = private.check_file(self.path)
        if found is None or (found.st_size == 0 and not create):
            return None
        self._inode = found.st_ino
        connection = schema.connect(self._resolved())
        if self._inode_now() != self._inode:
            connection.close()
            raise _Replaced
        self._connection = connection
        return connection

    def _resolved(self) -> Path:
        """The path as SQLite will report it: links above the folder followed, the file itself never."""
        return Path(os.path.realpath(self.path.parent), self.path.name)

    def _inode_now(self) -> int | None:
        try:
            return os.lstat(self.path).st_ino
        except OSError:
            return None

    def _is_new(self) -> bool:
        """Whether a statement failed only because nobody has made the tables yet."""
        try:
            return self._connection is not None and schema.is_empty(self._connection)
        except _FAILED:
            return False

    # --- writing ------------------------------------------------------------------------------------

    def _transact(self, change: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connected(create=True)
        if connection is None:
            raise _Replaced
        if not self._prepared:
            schema.prepare(connection, self._holds)
            self._prepared = True
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = change(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return result

    # --- when SQLite fails --------------------------------------------------------------------------

    def _recover(self, exc: sqlite3.Error | UnicodeDecodeError, *, writing: bool) -> None:
        """Return when it is worth trying again.

        Raises:
            CacheError: the disk or somebody else is in the way.
        """
        # What has no code comes from the sqlite3 module itself: text that is not UTF-8, or a call that is our mistake.
        mistaken = isinstance(exc, sqlite3.ProgrammingError)
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_MISUSE if mistaken else sqlite3.SQLITE_CORRUPT)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:  # set aside by another process while we waited for its lock
            self.close()
        elif code & 0xFF in _DAMAGED or (code & 0xFF == sqlite3.SQLITE_READONLY and self._may_write()):
            self._set_aside(exc, writing=writing)
        else:
            raise self._translated(exc, code & 0xFF) from exc

    def _may_write(self) -> bool:
        """Whether nothing but the file's own (damaged) header can be what forbids writing."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK | os.X_OK)

    def _set_aside(self, exc: Exception, *, writing: bool) -> None:
        self._refuse_strangers()
        self.close()
        try:
            aside = quarantine.set_aside(self.path, self._inode)
        except OSError as failure:
            if writing:
                raise disk_error(failure) from exc
            self.notice(f"{self.path}: damaged ({exc}) and cannot be set aside: {failure.strerror}")
            return
        if aside is not None:
            self.notice(f"{self.path}: damaged ({exc}); set aside as {aside.name}, what it knew starts anew")

    def _refuse_strangers(self) -> None:
        """A whole database of somebody else's is not ours to rename: somebody named the wrong file."""
        if self._connection is None:
            return
        try:
            stranger = not schema.is_ours(self._connection, self._holds)
        except _FAILED:
            return
        if stranger:
            raise CacheError(f"{self.path}: this SQLite database was not made by Coopery", remedy="name another file")

    def _translated(self, exc: Exception, code: int) -> CacheError:
        where = f"the database {self.path}"
        if code == sqlite3.SQLITE_FULL:
            remedy = "free some space, or set COOPERY_HOME to a larger disk"
            return StoreFull(f"no space left for {where}", remedy=remedy)
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return CacheError(
                f"{where} cannot be written or opened: {exc}", remedy="set COOPERY_HOME to a folder that you can write"
            )
        if code in _BUSY:
            return CacheError(
                f"{where} was locked for {BUSY_SECONDS:.0f} s by another process",
                remedy="a stopped process may hold it: continue or end it",
            )
        return CacheError(f"{where} failed: {exc}")


def _patiently(attempt: Callable[[], T]) -> T:
    """The result of *attempt*, made again while other processes hold the lock, for `BUSY_SECONDS` at most."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _BUSY or time.monotonic() >= end:
                raise
