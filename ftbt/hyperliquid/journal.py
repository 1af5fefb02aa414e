"""What was sent, written down before it is sent, and what came of it.

The journal answers one question after a crash: which actions may have reached the exchange that we
know no outcome of? Entries are only ever added.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftbt.errors import StorageError

_TABLES = """
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    signer TEXT NOT NULL,
    account TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    expires_after INTEGER,
    kind TEXT NOT NULL,
    cloids TEXT NOT NULL,
    body BLOB NOT NULL,
    why TEXT NOT NULL,
    UNIQUE (signer, nonce)
);
CREATE TABLE IF NOT EXISTS outcome (
    id INTEGER PRIMARY KEY,
    sent INTEGER NOT NULL REFERENCES sent (id),
    time INTEGER NOT NULL,
    final INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS outcome_of ON outcome (sent, final);
CREATE TRIGGER IF NOT EXISTS sent_stays BEFORE UPDATE ON sent
    BEGIN SELECT RAISE (ABORT, 'the journal is only added to'); END;
CREATE TRIGGER IF NOT EXISTS sent_kept BEFORE DELETE ON sent
    BEGIN SELECT RAISE (ABORT, 'the journal is only added to'); END;
CREATE TRIGGER IF NOT EXISTS outcome_stays BEFORE UPDATE ON outcome
    BEGIN SELECT RAISE (ABORT, 'the journal is only added to'); END;
CREATE TRIGGER IF NOT EXISTS outcome_kept BEFORE DELETE ON outcome
    BEGIN SELECT RAISE (ABORT, 'the journal is only added to'); END;
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed action as it goes to the exchange.

    Attributes:
        signer, account: addresses.
        nonce: of the signer; names the action.
        expires_after: ms; the exchange refuses it later. None: it may be carried out any time.
        kind: order, cancelByCloid, updateLeverage, ...
        cloids: of the orders it places or cancels.
        body: the exact bytes.
        why: what it is for, in words.
    """

    signer: str
    account: str
    nonce: int
    expires_after: int | None
    kind: str
    cloids: tuple[str, ...]
    body: bytes
    why: str


class Journal(Protocol):
    """Where actions are written down. Safe for several threads."""

    def before_sending(self, sent: Sent) -> None:
        """Write *sent* so that it survives the end of process and machine; then return.

        Raises:
            StorageError: it could not be written; the action must not be sent.
        """
        ...

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """Write what became of *sent*; *final*: nothing more is to be found out."""
        ...

    def unanswered(self) -> list[Sent]:
        """Return what was written before sending and has no final outcome, oldest first."""
        ...


class SqliteJournal:
    """A journal in an SQLite file. Rows are added, never changed: the file refuses it.

    Args:
        path: of the file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            # Each commit reaches the disk: what was sent must be known after a power cut.
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"cannot open the journal {path}: {error}") from error

    def before_sending(self, sent: Sent) -> None:
        """See `Journal.before_sending`."""
        self._add(
            "INSERT INTO sent (time, signer, account, nonce, expires_after, kind, cloids, body,"
            " why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                _now(), sent.signer, sent.account, sent.nonce, sent.expires_after, sent.kind,
                " ".join(sent.cloids), sent.body, sent.why,
            ),
        )  # fmt: skip

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """See `Journal.after`."""
        self._add(
            "INSERT INTO outcome (sent, time, final, text)"
            " SELECT id, ?, ?, ? FROM sent WHERE signer = ? AND nonce = ?",
            (_now(), int(final), text, sent.signer, sent.nonce),
        )

    def unanswered(self) -> list[Sent]:
        """See `Journal.unanswered`."""
        query = (
            "SELECT signer, account, nonce, expires_after, kind, cloids, body, why FROM sent"
            " WHERE id NOT IN (SELECT sent FROM outcome WHERE final) ORDER BY id"
        )
        with self._lock:
            try:
                rows = self._file.execute(query).fetchall()
            except sqlite3.Error as error:
                raise StorageError(f"cannot read the journal {self._path}: {error}") from error
        return [_sent(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _add(self, statement: str, values: tuple[object, ...]) -> None:
        with self._lock:
            try:
                changed = self._file.execute(statement, values).rowcount
            except sqlite3.Error as error:
                raise StorageError(f"cannot write the journal {self._path}: {error}") from error
        if changed != 1:
            raise StorageError(f"the journal {self._path} lacks the action that this belongs to")


def _sent(
    signer: str, account: str, nonce: int, expires_after: int | None, kind: str, cloids: str,
    body: bytes, why: str,
) -> Sent:  # fmt: skip
    names = tuple(cloids.split())
    return Sent(signer, account, nonce, expires_after, kind, names, body, why)


def _now() -> int:
    return int(time.time() * 1000)
