"""Records and leases in PostgreSQL: every promise is one statement, which the database runs whole or not at all."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from attrs import asdict

from coopery.cache import Kind, Record, StoreAbilities
from coopery.errors import CacheError, UsageError
from coopery.leases import Claim, Lease, Outcome
from coopery.redact import masked

# The lock keeps two first users from making tables at once. Names sort by their bytes in every database.
TABLES = """
SELECT pg_advisory_xact_lock(6083431);
CREATE TABLE IF NOT EXISTS coopery_records (kind text, name text COLLATE "C", generation int,
    body json, writer text, written float, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS coopery_leases (name text COLLATE "C" PRIMARY KEY, token bigint, owner text,
    ttl float, beat int, held bool, outcome json);
"""
SELECT = "SELECT kind, name, generation, body, writer, written FROM coopery_records WHERE kind = %s"
INSERT = """INSERT INTO coopery_records (generation, body, writer, written, kind, name)
    VALUES (1, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1"""
UPDATE = """UPDATE coopery_records SET generation = generation + 1, body = %s, writer = %s, written = %s
    WHERE kind = %s AND name = %s AND generation = %s RETURNING 1"""


class PostgresqlCache:
    """One database of a PostgreSQL server; a connection for each process, made by its first question."""

    scheme: ClassVar[str] = "postgresql"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(leases=True, history=False)

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: dict[int, psycopg.Connection] = {}
        self._locks: dict[int, threading.Lock] = {}
        self._seen: dict[str, tuple[tuple[int, int], float, float]] = {}

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> PostgresqlCache:  # noqa: ARG003
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            raise UsageError(f"{masked(url)}: no URL of a PostgreSQL database") from None  # it may quote a password
        return cls(url)

    def close(self) -> None:
        if connection := self._opened.pop(os.getpid(), None):  # one from before a fork stays open: it is the parent's
            connection.close()

    def _connection(self) -> psycopg.Connection:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            connection = self._opened.get(os.getpid())
            if connection is None or connection.closed:
                connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
                with suppress(psycopg.errors.InsufficientPrivilege):  # of a role that may only read: others made them
                    connection.execute(TABLES)
                self._opened[os.getpid()] = connection
        return connection

    def _ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of *statement*. One whose connection broke is run again: each here may be run twice."""
        for pause in (0.2, 1.0, 3.0, None):
            try:
                cursor = self._connection().execute(statement, values)
                return cursor.fetchall() if cursor.description else []
            except (psycopg.Error, UnicodeEncodeError) as exc:
                if pause is None or not isinstance(exc, psycopg.OperationalError):
                    raise CacheError(f"{masked(self._url)}: {exc}", remedy="see that it runs and lets you") from exc
                time.sleep(pause)
        raise AssertionError("not reached")

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        rows = self._ask(f"{SELECT} AND name = %s", kind, name)
        return Record(*rows[0]) if rows and generation in (None, rows[0][2]) else None

    def put(self, record: Record, expected: int) -> Record:
        try:
            if record.generation != expected + 1:
                raise ValueError(f"generation {record.generation} cannot follow {expected}")
            row = (json.dumps(record.body, allow_nan=False), record.writer, record.written, record.kind, record.name)
        except (TypeError, ValueError) as exc:
            raise CacheError(f"{record.name}: {exc}") from exc
        stored = self._ask(UPDATE, *row, expected) if expected else self._ask(INSERT, *row)
        winner = record if stored else self.get(record.kind, record.name)
        if winner is None:
            raise CacheError(f"{record.name}: generation {expected} was deleted meanwhile", remedy="build again")
        return winner

    def delete(self, kind: Kind, name: str) -> bool:
        return bool(self._ask("DELETE FROM coopery_records WHERE kind = %s AND name = %s RETURNING 1", kind, name))

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        rows = self._ask(f"{SELECT} AND starts_with(name, %s) ORDER BY name", kind, prefix)
        return (Record(*row) for row in rows)

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        pulse, since, its_ttl = self._seen.get(name, ((0, 0), 0.0, 0.0))
        # A holder is over that we have seen unchanged, by our own clock, for as long as it said that it would live.
        over = pulse if time.monotonic() - since >= its_ttl else (0, 0)
        claim = """INSERT INTO coopery_leases AS l VALUES (%s, 1, %s, %s, 0, true)
            ON CONFLICT (name) DO UPDATE SET (token, owner, ttl, beat, held) = (l.token + 1, excluded.owner,
            excluded.ttl, 0, true) WHERE NOT l.held OR (l.token, l.beat) = (%s, %s) RETURNING token, outcome"""
        if rows := self._ask(claim, name, owner, ttl, *over):
            return Claim(Lease(name, rows[0][0], owner), outcome=_outcome(rows[0][1]))
        query = "SELECT token, beat, owner, outcome, ttl FROM coopery_leases WHERE name = %s"
        ((token, beat, holder, left, its_ttl),) = self._ask(query, name)
        if pulse != (token, beat):
            self._seen[name] = ((token, beat), time.monotonic(), its_ttl)
        return Claim(None, holder, _outcome(left), token)

    def renew(self, lease: Lease, ttl: float) -> bool:
        beat = "UPDATE coopery_leases SET beat = beat + 1, ttl = %s WHERE name = %s AND token = %s AND held RETURNING 1"
        return bool(self._ask(beat, ttl, lease.name, lease.token))

    def release(self, lease: Lease, outcome: Outcome) -> None:
        change = "UPDATE coopery_leases SET held = false, outcome = %s WHERE name = %s AND token = %s AND held"
        self._ask(change, json.dumps(asdict(outcome)), lease.name, lease.token)

    def outcome(self, name: str, after: int) -> Outcome | None:
        rows = self._ask("SELECT outcome FROM coopery_leases WHERE name = %s", name)
        left = _outcome(rows[0][0]) if rows else None
        return left if left is not None and left.token >= after else None


def _outcome(left: dict[str, Any] | None) -> Outcome | None:
    return Outcome(**left) if left else None
