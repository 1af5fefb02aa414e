"""Whether a file is what was once written: read as a whole, entry by entry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from ftbt.errors import StorageDamaged
from ftbt.live.journal import database
from ftbt.live.journal.events import START, Digest, Event, decode, event_row, link
from ftbt.live.journal.tables import EVENT, LOGS

# Rows at a time. A check beside a running bot takes few and gives way after them: Python runs one
# thread at once, and an order gives way to others a dozen times until it is written.
_ROWS, _FEW = 512, 16
_GIVE_WAY_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal holds, by the names of its logs: event, sent, outcome."""

    logs: dict[str, Digest]

    @property
    def entries(self) -> int:
        """How many entries there are in all."""
        return sum(one.count for one in self.logs.values())


def check_file(path: Path, *, gently: bool = False) -> Contents:
    """Return what the journal *path* holds, after reading all of it.

    SQLite checks its pages; then each entry is decoded, encoded again and chained to those before
    it, and the result compared with the chain that stands beside it.

    Args:
        path: of a journal of this version.
        gently: give way to other threads, at the price of time.

    Raises:
        StorageDamaged: it is not what was written; the line says where.
        StorageError: it can't be read.
    """
    with database.storage_errors(path, "check"), _connected(path) as opened:
        opened.exec_driver_sql("BEGIN")  # one moment of it, whatever is added meanwhile
        _check_pages(opened, path)
        logs = {log.name: _check_log(opened, log, path, gently) for log in LOGS}
    return Contents(logs)


def check_holds(path: Path, older: Contents, what: str) -> None:
    """Check that the journal *path* begins with all that *older* holds.

    Args:
        path: of a journal.
        older: of what was copied from it.
        what: names the copy, for the message.

    Raises:
        StorageDamaged: it does not: one of them was changed.
    """
    with database.storage_errors(path, "check"), _connected(path) as opened:
        for log in LOGS:
            known = older.logs[log.name]
            query = select(log.c.chain).where(log.c.id == known.count)
            chain = opened.execute(query).scalar()
            if known.count and (chain is None or chain.hex() != known.sha256):
                raise StorageDamaged(
                    f"the journal {path} and {what} differ within the first {known.count} rows"
                    f" of '{log.name}': one of them was changed; {database.how_back(path)}"
                )


def _check_pages(opened: Connection, path: Path) -> None:
    found = opened.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        raise StorageDamaged(
            f"the journal {path} is damaged: {' '.join(found.split())}; {database.how_back(path)}"
        )


def _check_log(opened: Connection, log: Table, path: Path, gently: bool) -> Digest:
    count, chain = 0, START
    for row in _rows(opened, log, gently):
        count += 1
        chain = checked(row, log, count, chain, path)
    return Digest(count, chain.hex())


def checked(row: tuple[Any, ...], log: Table, count: int, chain: bytes, path: Path) -> bytes:
    """Return the chain up to *row* of *log*, given the one before it.

    Raises:
        StorageDamaged: it is not row number *count*, or another chain stands beside it.
    """
    try:
        values = _event_values(*row[:-1]) if log is EVENT else row[:-1]
        found = link(chain, values)
    except (TypeError, ValueError) as error:
        raise StorageDamaged(_changed(path, log, count)) from error
    if row[0] != count or found != row[-1]:
        raise StorageDamaged(_changed(path, log, count))
    return found


def _event_values(
    number: int, wall_ms: int, market_ms: int, kind: str, coin: str, body: str
) -> tuple[object, ...]:
    """Return the row of an event after it was read and written again."""
    return event_row(Event(number, wall_ms, market_ms, kind, coin, decode(body)))


def _changed(path: Path, log: Table, count: int) -> str:
    return (
        f"the journal {path} is damaged: row {count} of '{log.name}' is not what was written;"
        f" {database.how_back(path)}"
    )


def _rows(opened: Connection, log: Table, gently: bool) -> Iterator[tuple[Any, ...]]:
    after, some = 0, _FEW if gently else _ROWS
    while True:
        query = select(log).where(log.c.id > after).order_by(log.c.id).limit(some)
        rows = opened.execute(query).all()
        for row in rows:
            yield tuple(row)
        if len(rows) < some:
            return
        after = rows[-1][0]
        if gently:
            time.sleep(_GIVE_WAY_SECONDS)


@contextmanager
def _connected(path: Path) -> Iterator[Connection]:
    engine = database.reading_engine(path)
    try:
        with engine.connect() as opened:
            yield opened
    finally:
        engine.dispose()
