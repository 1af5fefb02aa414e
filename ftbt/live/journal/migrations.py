"""The steps from an empty file to the journal of this version, each done once, all or nothing.

Statements are SQL as SQLite runs it: triggers that refuse changes are the heart of the schema, and
no library writes them for us. A step that was released is never edited; the next one follows it.
The number of the last step done stands in the header of the file (`user_version`), where it can be
read even when no table can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from ftbt import __version__
from ftbt.live.journal.tables import MIGRATION

# "FTBT": a file with another number is no journal.
APPLICATION_ID = 0x46544254

_REFUSE = "BEGIN SELECT RAISE (ABORT, 'the journal is only added to'); END"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration.

    Attributes:
        number: 1, 2, 3, ...
        name: what it is for.
        statements: SQL, one each.
    """

    number: int
    name: str
    statements: tuple[str, ...]


def _kept(table: str, unless: str) -> tuple[str, ...]:
    """Return the triggers that refuse to change or remove rows, or to add one when *unless*.

    INSERT OR REPLACE removes rows without asking a trigger for removals: so adding is watched too.
    """
    return (
        f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} {_REFUSE}",
        f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} {_REFUSE}",
        f"CREATE TRIGGER {table}_added BEFORE INSERT ON {table} WHEN {unless} {_REFUSE}",
    )


def _follows(table: str, taken: str = "0") -> tuple[str, ...]:
    """Return the triggers of a log, with rows numbered 1, 2, 3, ... and are no *taken*."""
    last = f"SELECT coalesce(max(id), 0) FROM {table}"  # noqa: S608 - names of ours
    same = f"SELECT 1 FROM {table} WHERE {taken}"  # noqa: S608
    return _kept(table, f"NEW.id IS NOT ({last}) + 1 OR EXISTS ({same})")


def _once(table: str, key: str) -> tuple[str, ...]:
    """Return the triggers of a table with one row for each *key*."""
    same = f"SELECT 1 FROM {table} WHERE {key} = NEW.{key}"  # noqa: S608
    return _kept(table, f"EXISTS ({same})")


_TABLES = (
    """CREATE TABLE event (
        id INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, market_ms INTEGER NOT NULL,
        kind TEXT NOT NULL, coin TEXT NOT NULL, body TEXT NOT NULL, chain BLOB NOT NULL)""",
    "CREATE INDEX event_of_kind ON event (kind, id)",
    """CREATE TABLE sent (
        id INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, signer TEXT NOT NULL,
        account TEXT NOT NULL, nonce INTEGER NOT NULL, expires_after INTEGER, kind TEXT NOT NULL,
        cloids TEXT NOT NULL, body BLOB NOT NULL, why TEXT NOT NULL, chain BLOB NOT NULL,
        UNIQUE (signer, nonce))""",
    """CREATE TABLE outcome (
        id INTEGER PRIMARY KEY, sent INTEGER NOT NULL REFERENCES sent (id),
        wall_ms INTEGER NOT NULL, final INTEGER NOT NULL, text TEXT NOT NULL,
        chain BLOB NOT NULL)""",
    "CREATE INDEX outcome_of ON outcome (sent, final)",
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE migration (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, wall_ms INTEGER NOT NULL,
        ftbt TEXT NOT NULL)""",
)
_FIRST = Step(
    1,
    "events, actions and their outcomes",
    (
        *_TABLES,
        *_follows("event"),
        *_follows("sent", "signer = NEW.signer AND nonce = NEW.nonce"),
        *_follows("outcome"),
        *_once("about", "name"),
        *_once("migration", "number"),
    ),
)

STEPS: tuple[Step, ...] = (_FIRST,)


def newest(steps: Sequence[Step] = STEPS) -> int:
    """Return the version that *steps* lead to."""
    return steps[-1].number


def migrate(connection: Connection, wall_ms: int, steps: Sequence[Step] = STEPS) -> None:
    """Do what is missing of *steps*, within the transaction of *connection*."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    for step in steps:
        if step.number <= version:
            continue
        for statement in step.statements:
            connection.exec_driver_sql(statement)
        connection.execute(
            insert(MIGRATION).values(
                number=step.number, name=step.name, wall_ms=wall_ms, ftbt=__version__
            )
        )
        connection.exec_driver_sql(f"PRAGMA user_version = {step.number}")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
