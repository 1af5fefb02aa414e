"""Entries on their way to the file: numbered and chained at once, written when there is room.

One thread at a time: `writer` sees to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sqlite3 import IntegrityError as Refused
from typing import Any

from sqlalchemy import Table, select

from ftbt.errors import StorageDamaged, StorageError, StorageFull
from ftbt.live.journal import database
from ftbt.live.journal.events import START, encode, link
from ftbt.live.journal.reserve import Reserve
from ftbt.live.journal.tables import EVENT, LOGS

# What the journal notes about itself: made, opened, backup, trouble, recovered.
OWN_KIND = "journal"


def wall_ms() -> int:
    """Return now, ms since 1970 UTC, by the clock of this machine."""
    return int(time.time() * 1000)


class Log:
    """One log's end: number and chain of its last entry, and the entries still to be written."""

    def __init__(self, table: Table, last: int, chain: bytes) -> None:
        self.last, self.chain = last, chain
        self.insert = database.insertion(table)
        self.names = table.c.keys()
        self.waiting: list[dict[str, Any]] = []

    def add(self, *values: object) -> int:
        """Add an entry to those that wait and return its number."""
        row = (self.last + 1, *values)
        chain = link(self.chain, row)
        self.waiting.append(dict(zip(self.names, (*row, chain), strict=True)))
        self.last, self.chain = self.last + 1, chain
        return self.last


class Appender:
    """Appends to the logs of the journal *path*.

    Attributes:
        file: the connection that writes.
        trouble: why nothing new may be begun; None: all is well.

    Args:
        path: of the file, made when it is not there.
        on_trouble: called when writing begins to fail.

    Raises:
        StorageError: it can't be opened.
    """

    def __init__(self, path: Path, on_trouble: Callable[[StorageError], None] | None) -> None:
        self.trouble: StorageError | None = None
        self._path, self._on_trouble = path, on_trouble
        self._reserve, self._on_reserve = Reserve(path), False
        self._urgent = False
        self._logs: dict[str, Log] = {}
        with database.storage_errors(path, "open"):
            self.file = database.writing_connection(path)

    @property
    def waiting(self) -> int:
        """How many entries wait for being written."""
        return sum(len(log.waiting) for log in self._logs.values())

    def log(self, table: Table) -> Log:
        """Return the log that goes into *table*."""
        return self._logs[table.name]

    def find_ends(self) -> None:
        """Read where each log ends."""
        with database.storage_errors(self._path, "read"), self.file.begin():
            for table in LOGS:
                query = select(table.c.id, table.c.chain).order_by(table.c.id.desc()).limit(1)
                row = self.file.execute(query).one_or_none()
                last, chain = (0, START) if row is None else (row.id, row.chain)
                self._logs[table.name] = Log(table, last, chain)

    def urge(self) -> None:
        """Let what waits survive a power cut once it is written."""
        self._urgent = True

    def write(self) -> StorageError | None:
        """Write what waits, in one transaction; return why not, and leave it waiting."""
        if isinstance(self.trouble, StorageDamaged):
            return self.trouble
        if self.waiting:
            try:
                self._insert()
            except StorageError as error:
                return self.fail(error)
            for log in self._logs.values():
                log.waiting.clear()
        self._urgent = False
        if not self._on_reserve:
            self.trouble = None
        return None

    def take_back(self, table: Table, chain: bytes) -> None:
        """Forget the last entry of *table*, which could not be written; *chain* came before it."""
        log = self.log(table)
        row = log.waiting.pop()
        with suppress(StorageError):
            # The disk may have failed after the entry got there: then its number is taken.
            if self._is_written(table, row):
                return
        log.last, log.chain = log.last - 1, chain

    def keep_reserve(self) -> None:
        """Take the room that is for stops on a full disk; when there is none, that is trouble."""
        try:
            self._reserve.take()
        except StorageError as error:
            self._on_reserve = True
            self.fail(error)
        else:
            self._on_reserve = False
            self.trouble = None

    def fail(self, error: StorageError) -> StorageError:
        """Make *error* the trouble and return it, told in the best words."""
        if isinstance(error.__cause__, Refused):
            error = StorageDamaged(
                f"another program has written to the journal {self._path}:"
                f" {error.__cause__}; {database.how_back(self._path)}"
            )
        news = type(self.trouble) is not type(error)
        self.trouble = error
        if news:
            # For those who read it later; and while there is trouble, something waits.
            body = {"what": "trouble", "error": str(error)}
            self.log(EVENT).add(wall_ms(), 0, OWN_KIND, "", encode(OWN_KIND, body))
            if self._on_trouble is not None:
                self._on_trouble(error)
        return error

    def tidy(self) -> None:
        """Move what SQLite's log holds into the file, and keep a reserve again that was used."""
        with suppress(StorageError), database.storage_errors(self._path, "tidy"):
            database.driver(self.file).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._on_reserve and self.write() is None:
                self.keep_reserve()

    def close(self) -> None:
        """Let go of the file; what waits is lost."""
        with suppress(Exception):
            self.file.close()
            self.file.engine.dispose()

    def _insert(self) -> None:
        try:
            self._insert_once()
        except StorageFull as error:
            if not self._reserve.give():
                raise
            self._on_reserve = True
            self.fail(error)
            self._insert_once()
        except StorageError as error:
            if not isinstance(error.__cause__, Refused) or not self._drop_written():
                raise
            self._insert_once()

    def _drop_written(self) -> bool:
        """Forget what waits and is in the file: the commit before was told to have failed."""
        dropped = False
        for table in LOGS:
            log = self.log(table)
            left = [row for row in log.waiting if not self._is_written(table, row)]
            dropped |= len(left) < len(log.waiting)
            log.waiting[:] = left
        return dropped

    def _is_written(self, table: Table, row: dict[str, Any]) -> bool:
        query = select(table.c.chain).where(table.c.id == row["id"])
        with database.storage_errors(self._path, "read"), self.file.begin():
            return bool(self.file.execute(query).scalar() == row["chain"])

    def _insert_once(self) -> None:
        with database.storage_errors(self._path, "write"):
            database.set_durable(self.file, self._urgent)
            with database.at_once(self.file) as plain:
                for log in self._logs.values():
                    if log.waiting:
                        plain.executemany(log.insert, log.waiting)
