"""Opening the file, and what its errors mean.

One connection writes; every other one is read-only. SQLite before 3.51.3 can damage a file that
two connections write to or tidy (checkpoint) at the same instant: here no second one ever does.
Nothing of this process may open the live file in another way than through SQLite: closing it
would give away the locks that SQLite holds on it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    NullPool,
    StaticPool,
    Table,
    create_engine,
    event,
    insert,
)  # fmt: skip
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, ResourceClosedError

from ftbt.errors import InputError, StorageDamaged, StorageError, StorageFull
from ftbt.live.journal.migrations import APPLICATION_ID, STEPS, Step, newest

# Somebody's SQLite shell may hold the file for a moment; orders can't wait longer.
_BUSY_SECONDS = 2.0
# Folder of the backups, beside the journal.
BACKUPS = "backups"
# Pages of 4 KiB in the write-ahead log that make SQLite tidy up within a commit; `tidy` does it
# before, at a moment when no order waits.
_LONG_LOG = 8192
_PRIMARY = 0xFF
# Not every system knows each of them.
_NO_ROOM = {getattr(errno, name, 0) for name in ("ENOSPC", "EDQUOT", "EFBIG")} - {0}
_NO_FILE_LARGER = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

# Damage that has no code of its own: of a text column, of the file's header.
_STRANGE = ("Could not decode to UTF-8", "unsupported file format")


@contextmanager
def storage_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of SQLite and the file system into ours; *doing*: `write`, `read`, ...

    Raises:
        StorageFull: no room. StorageDamaged: not what was written. StorageError: anything else.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # Python's driver, about the message of SQLite itself
        raise StorageDamaged(f"cannot {doing} the journal {path}; {how_back(path)}") from error
    except (DBAPIError, ResourceClosedError, sqlite3.Error, OSError) as error:
        raise storage_error(path, doing, error) from error


def storage_error(path: Path, doing: str, error: Exception) -> StorageError:
    """Return our error for *error*, which came when *path* was used."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    line = f"cannot {doing} the journal {path}: {cause}"
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(cause, sqlite3.OperationalError) and any(word in line for word in _STRANGE):
        return StorageDamaged(f"{line}; {how_back(path)}")
    if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
        return StorageFull(f"{line}; make room on the disk")
    if code is None:
        return StorageError(line)
    if code & _PRIMARY == sqlite3.SQLITE_FULL or code in _NO_FILE_LARGER:
        return StorageFull(f"{line}; make room on the disk")
    if code & _PRIMARY in _DAMAGED:
        return StorageDamaged(f"{line}; {how_back(path)}")
    if code & _PRIMARY == sqlite3.SQLITE_BUSY:
        return StorageError(f"{line}; end the program that holds it")
    return StorageError(line)


def how_back(path: Path) -> str:
    """Return what to do about a damaged *path*, which may be a backup itself."""
    state = path.parent.parent if path.parent.name == BACKUPS else path.parent
    return f"get it back from a backup with: ftbt recover {state}"


def uri(path: Path, mode: str) -> str:
    """Return the name of *path* for SQLite: `ro`, `rw` or `rwc` as *mode*."""
    return f"{path.resolve().as_uri()}?mode={mode}"


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that can't change *path*."""
    name = uri(path, "ro")
    if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        # Nobody writes, and SQLite could not put beside it what readers and writers share.
        name += "&immutable=1"
    return sqlite3.connect(
        name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip


def reading_engine(path: Path) -> Engine:
    """Return an engine of read-only connections, one for each use."""
    return create_engine("sqlite://", creator=lambda: read_only(path), poolclass=NullPool)


def writing_connection(path: Path) -> Connection:
    """Return the connection that writes; close it with its engine.

    Each commit waits for the disk unless `set_durable` says otherwise; only then is an action
    sent, and it must be known after a power cut.
    """
    engine = create_engine("sqlite://", creator=lambda: _writing(path), poolclass=StaticPool)
    # Python's driver would begin transactions by rules of its own, never around DDL.
    event.listen(engine, "begin", lambda opened: opened.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine.connect()


def _writing(path: Path) -> sqlite3.Connection:
    opened = sqlite3.connect(
        uri(path, "rwc"), uri=True, timeout=_BUSY_SECONDS, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    try:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("PRAGMA synchronous = FULL")
        opened.execute("PRAGMA foreign_keys = ON")
        opened.execute(f"PRAGMA wal_autocheckpoint = {_LONG_LOG}")
    except sqlite3.Error:
        opened.close()
        raise
    return opened


def set_durable(connection: Connection, durable: bool) -> None:
    """Let following commits reach the disk (True), or only the operating system (False)."""
    level = "FULL" if durable else "NORMAL"
    driver(connection).execute(f"PRAGMA synchronous = {level}")


@contextmanager
def at_once(connection: Connection) -> Iterator[Any]:
    """Yield the driver for what is written as a whole or not at all.

    Orders wait for this: SQLAlchemy's own transaction takes half a millisecond more.
    """
    plain = driver(connection)
    plain.execute("BEGIN IMMEDIATE")
    try:
        yield plain
        plain.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if plain.in_transaction:
                plain.execute("ROLLBACK")
        raise


def insertion(table: Table) -> str:
    """Return the statement that inserts a row of *table*, a mapping by names of columns."""
    return str(insert(table).compile(dialect=sqlite.dialect(paramstyle="named")))


def driver(connection: Connection) -> Any:
    """Return the sqlite3 connection below *connection*, for what is outside of transactions."""
    return connection.connection.driver_connection


def version_of(path: Path, steps: Sequence[Step] = STEPS) -> int:
    """Return the version of the journal *path*: 0 for an empty file, else at most that of *steps*.

    Raises:
        InputError: another program's database, or of a newer ftbt.
        StorageDamaged, StorageError: it can't be read.
    """
    with storage_errors(path, "open"), closing(read_only(path)) as opened:
        (kind,) = opened.execute("PRAGMA application_id").fetchone()
        (version,) = opened.execute("PRAGMA user_version").fetchone()
        (tables,) = opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0 and version == 0:
        return 0
    if kind != APPLICATION_ID:
        raise InputError(f"{path} is a database, but no journal of ftbt: give another path")
    if version > newest(steps):
        raise InputError(
            f"the journal {path} is of version {version}, and this ftbt knows versions up to"
            f" {newest(steps)}: install the ftbt that wrote it, or a newer one"
        )
    return int(version)
