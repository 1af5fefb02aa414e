"""The one process that writes the journal of a deployment.

What happened has happened, whether the disk has room for it or not. So `note` and `after` never
fail for the disk: entries wait in memory, in their order, and are written with the next one that
finds room, while `trouble` says what is wrong. What needs the disk is permission to act:
`before_sending` returns when the action is on the disk, with all that was noted before it, or
raises; then nothing may be sent. When the disk is full a reserve gives room for the stops and
cancels that protect what there is, and `trouble` forbids to open anything new.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Table, insert, select
from sqlalchemy.exc import IntegrityError as Refused

from ftbt import __version__
from ftbt.errors import FtbtError, InputError, StorageDamaged, StorageError, StorageFull
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import backups, database
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.events import START, Event, encode, link
from ftbt.live.journal.migrations import STEPS, Step, migrate, newest
from ftbt.live.journal.reader import JournalReader, Outcome, Summary
from ftbt.live.journal.reserve import Reserve
from ftbt.live.journal.tables import ABOUT, EVENT, LOGS, OUTCOME, SENT
from ftbt.live.locks import hold

# What the journal notes about itself: opened, upgraded, backup, recovered.
OWN_KIND = "journal"


class _Log:
    """One log's end: number and chain of its last entry, and the entries still to be written."""

    def __init__(self, table: Table, last: int, chain: bytes) -> None:
        self.table, self.last, self.chain = table, last, chain
        self.insert = insert(table)
        self.names = table.c.keys()
        self.waiting: list[dict[str, Any]] = []

    def add(self, *values: object) -> int:
        """Add an entry to those that wait and return its number."""
        row = (self.last + 1, *values)
        chain = link(self.chain, row)
        self.waiting.append(dict(zip(self.names, (*row, chain), strict=True)))
        self.last, self.chain = self.last + 1, chain
        return self.last

    def take_back(self, chain: bytes) -> None:
        """Forget the last entry, which was not written; *chain* is the one before it."""
        self.waiting.pop()
        self.last, self.chain = self.last - 1, chain


class LiveJournal:
    """The journal of a deployment, open for writing; see `open`. Safe for several threads.

    Also the `ftbt.hyperliquid.journal.Journal` that the sender writes to.

    Attributes:
        path: of the file.
        deployment: whose it is.
        damaged_backups: that were found and set aside when it was opened.
    """

    def __init__(
        self,
        path: Path,
        deployment: str,
        on_trouble: Callable[[StorageError], None] | None = None,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        """Take the file over; use `open`, which also checks and upgrades it.

        Raises:
            StateLocked, StorageError: as `open`.
        """
        self.path, self.deployment = path, deployment
        self._on_trouble, self._clock = on_trouble, clock
        self._threads = threading.RLock()
        self._depth = 0
        self._urgent = False
        self._trouble: StorageError | None = None
        self._reserve, self._on_reserve = Reserve(path), False
        self._numbers: dict[tuple[str, int], int] = {}
        self._logs: dict[str, _Log] = {}
        self.damaged_backups: tuple[Path, ...] = ()
        self._reader = JournalReader(path)
        self._process = hold(lock_of(path), _taken(path))
        try:
            with database.storage_errors(path, "open"):
                self._file = database.writing_connection(path)
        except FtbtError:
            self._process.release()
            raise

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        deployment: str,
        on_trouble: Callable[[StorageError], None] | None = None,
        steps: tuple[Step, ...] = STEPS,
    ) -> LiveJournal:
        """Return the journal *path* for writing, made when there is none.

        It is read as a whole first, and so is its newest backup. One of an older version is
        upgraded, after a backup of it was made and read back.

        Args:
            path: of the file, `journal.db` in the state folder.
            deployment: name of what runs; a journal is of one.
            on_trouble: called once when writing begins to fail, from the thread that wrote.
            steps: migrations that lead to this version.

        Raises:
            StateLocked: another process writes it.
            InputError: it is of another deployment, of a newer ftbt, or no journal.
            StorageDamaged: it is not what was written, or it is gone and its backups are there.
            StorageFull, StorageError: it can't be opened or written.
        """
        path = Path(path)
        version = database.version_of(path, steps) if path.exists() else 0
        if not version and backups.backups_of(path):
            raise StorageDamaged(
                f"the journal {path} is gone or empty, and its backups are not:"
                f" {database.how_back(path)}"
            )
        journal = cls(path, deployment, on_trouble)
        try:
            if version:
                journal._check_owner()
                check_file(path)
            if version != newest(steps):
                journal._upgrade(version, steps)
            journal._find_ends()
            journal._check_backups(version)
            journal._note_opened(version)
        except BaseException:
            journal._let_go()
            raise
        return journal

    # --- writing --------------------------------------------------------------------------------

    def note(
        self, kind: str, body: Mapping[str, Any], *, coin: str = "", market_ms: int = 0,
        durable: bool = True,
    ) -> int:  # fmt: skip
        """Append one event and return its id, which it has for good.

        Args:
            kind: order, fill, equity, ...
            body: JSON, see `events.encode`.
            coin: "" when it is about no single one.
            market_ms: when, on the market's clock.
            durable: it survives a power cut when this returns (within `together`: when that ends).
                False: it survives the end of the process, and reaches the disk with the next
                durable entry.

        Raises:
            TypeError: *body* is no JSON. Never for the disk: see `trouble`.
        """
        text = encode(kind, body)
        with self._threads:
            number = self._log(EVENT).add(self._clock(), int(market_ms), kind, coin, text)
            self._urgent |= durable
            if not self._depth:
                self._write()
            return number

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what this thread notes within as one: all of it is found later, or none.

        Other threads that write wait until it ends, so nothing may be waited for within. When the
        block raises, what was noted until then is written: it has happened.
        """
        with self._threads:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._write()

    def before_sending(self, sent: Sent) -> None:
        """See `Journal.before_sending`; a group that is being noted is written with it.

        Raises:
            StorageError: *sent*, or what was noted before it, is not on the disk; don't send.
        """
        with self._threads:
            if self._known(sent) is not None:
                raise StorageError(
                    f"the journal {self.path} has nonce {sent.nonce} of {sent.signer} already:"
                    " an action is written, and sent, once"
                )
            log = self._log(SENT)
            before = log.chain
            number = log.add(
                self._clock(), sent.signer, sent.account, sent.nonce, sent.expires_after,
                sent.kind, " ".join(sent.cloids), sent.body, sent.why,
            )  # fmt: skip
            self._urgent = True
            error = self._write()
            if error is not None:
                log.take_back(before)
                raise error
            self._numbers[sent.signer, sent.nonce] = number

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """See `Journal.after`. Never fails for the disk: what is lost can be asked for again."""
        with self._threads:
            number = self._number_of(sent)
            self._log(OUTCOME).add(number, self._clock(), int(final), text)
            if final:
                self._numbers.pop((sent.signer, sent.nonce), None)
            if not self._depth:
                self._write()

    @property
    def trouble(self) -> StorageError | None:
        """Why nothing new may be begun; None: all that was noted is written, with room for more.

        StorageFull with nothing `waiting`: the journal lives on its reserve.
        """
        return self._trouble

    @property
    def waiting(self) -> int:
        """How many entries wait in memory for being written."""
        return sum(len(log.waiting) for log in self._logs.values())

    def check(self) -> None:
        """Raise `trouble`, after one more attempt to write what waits and to keep a reserve.

        Raises:
            StorageFull, StorageDamaged, StorageError: what was noted is not all on the disk, or
                the disk has no room for more.
        """
        with self._threads:
            self._urgent = True
            if self._write() is None:
                self._keep_reserve()
            if self._trouble is not None:
                raise self._trouble

    def damaged(self, error: StorageDamaged) -> None:
        """Take it that the file is damaged: nothing is written to it any more."""
        with self._threads:
            self._fail(error)

    # --- reading: what is written ---------------------------------------------------------------

    def events(self, after: int = 0, kinds: Collection[str] | None = None) -> Iterator[Event]:
        """Yield the events with an id above *after*, of *kinds* or all, in order."""
        return self._reader.events(after, kinds)

    def outcomes(self, after: int = 0) -> Iterator[Outcome]:
        """Yield the outcomes with an id above *after*, in order."""
        return self._reader.outcomes(after)

    def summary(self) -> Summary:
        """Return the journal at a glance."""
        return self._reader.summary()

    def unanswered(self) -> list[Sent]:
        """See `Journal.unanswered`."""
        with self._threads:
            outcomes = self._log(OUTCOME).waiting
            settled = {row["sent"] for row in outcomes if row["final"]}
            return [one.sent for one in self._reader.unanswered() if one.id not in settled]

    # --- keeping --------------------------------------------------------------------------------

    def backup(self) -> Path:
        """Copy the journal, read the copy back, compare it and return its path.

        Any thread may; others may write meanwhile.

        Raises:
            StorageDamaged: the copy or the journal is not what was written. In the latter case
                the journal writes nothing any more.
            StorageFull, StorageError: it can't be made.
        """
        try:
            made = backups.make_backup(self.path)
        except StorageDamaged as error:
            self.damaged(error)
            raise
        self.note(OWN_KIND, {"what": "backup", "name": made.name}, durable=False)
        return made

    def tidy(self) -> None:
        """Move what SQLite's log holds into the file; call it when no order waits.

        Failing makes that log longer and nothing else: what lasts shows when something is written.
        A reserve that was used is kept again as soon as there is room.
        """
        with self._threads, suppress(StorageError), database.storage_errors(self.path, "tidy"):
            if not self._depth:
                database.driver(self._file).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                if self._on_reserve and self._write() is None:
                    self._keep_reserve()

    def close(self) -> None:
        """Write what waits and let go of the file; closing twice is no harm.

        Raises:
            StorageError: something noted could not be written and is lost now.
        """
        with self._threads:
            if self._file.closed:
                return
            self._urgent = True
            error = self._write()
            lost = self.waiting
            self._let_go()
        if error is not None:
            raise type(error)(f"{error}; {lost} entries that were not written are lost") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the steps ------------------------------------------------------------------------------

    def _log(self, table: Table) -> _Log:
        return self._logs[table.name]

    def _write(self) -> StorageError | None:
        """Write what waits, in one transaction; return why not, and leave it waiting."""
        if isinstance(self._trouble, StorageDamaged):
            return self._trouble
        if self.waiting:
            try:
                self._insert()
            except StorageError as error:
                return self._fail(error)
            for log in self._logs.values():
                log.waiting.clear()
        self._urgent = False
        if not self._on_reserve:
            self._trouble = None
        return None

    def _insert(self) -> None:
        try:
            self._insert_once()
        except StorageFull as error:
            if not self._reserve.give():
                raise
            self._on_reserve = True
            self._fail(error)
            self._insert_once()

    def _insert_once(self) -> None:
        with database.storage_errors(self.path, "write"):
            database.set_durable(self._file, self._urgent)
            with self._file.begin():
                for log in self._logs.values():
                    if log.waiting:
                        self._file.execute(log.insert, log.waiting)

    def _keep_reserve(self) -> None:
        try:
            self._reserve.take()
        except StorageError as error:
            self._on_reserve = True
            self._fail(error)
        else:
            self._on_reserve = False
            self._trouble = None

    def _fail(self, error: StorageError) -> StorageError:
        if isinstance(error.__cause__, Refused):
            error = StorageDamaged(
                f"another program has written to the journal {self.path}: {error.__cause__.orig};"
                f" {database.how_back(self.path)}"
            )
        news = type(self._trouble) is not type(error)
        self._trouble = error
        if news:
            # For those who read it later; and while there is trouble, something waits.
            body = {"what": "trouble", "error": str(error)}
            self._log(EVENT).add(self._clock(), 0, OWN_KIND, "", encode(OWN_KIND, body))
            if self._on_trouble is not None:
                self._on_trouble(error)
        return error

    def _number_of(self, sent: Sent) -> int:
        number = self._numbers.get((sent.signer, sent.nonce)) or self._known(sent)
        if number is None:
            raise StorageError(f"the journal {self.path} lacks the action that this belongs to")
        return number

    def _known(self, sent: Sent) -> int | None:
        """Return the number under which *sent* is in the file; None: it is not."""
        query = "SELECT id FROM sent WHERE signer = ? AND nonce = ?"
        with database.storage_errors(self.path, "read"):
            # Orders wait for this: the driver itself is ten times as fast.
            found = database.driver(self._file).execute(query, (sent.signer, sent.nonce))
            row = found.fetchone()
        return None if row is None else int(row[0])

    # --- opening --------------------------------------------------------------------------------

    def _check_owner(self) -> None:
        with database.storage_errors(self.path, "read"), self._file.begin():
            query = select(ABOUT.c.value).where(ABOUT.c.name == "deployment")
            owner = self._file.execute(query).scalar()
        if owner != self.deployment:
            raise InputError(
                f"the journal {self.path} is of the deployment '{owner}', not"
                f" '{self.deployment}': give this one a state folder of its own"
            )

    def _upgrade(self, version: int, steps: tuple[Step, ...]) -> None:
        if version:
            backups.make_backup(self.path)
        doing = "upgrade" if version else "make"
        with database.storage_errors(self.path, doing), self._file.begin():
            migrate(self._file, self._clock(), steps)
            if not version:
                about = {"deployment": self.deployment, "created_ms": str(self._clock())}
                rows = [{"name": name, "value": value} for name, value in about.items()]
                self._file.execute(insert(ABOUT), rows)

    def _find_ends(self) -> None:
        with database.storage_errors(self.path, "read"), self._file.begin():
            for table in LOGS:
                query = select(table.c.id, table.c.chain).order_by(table.c.id.desc()).limit(1)
                row = self._file.execute(query).one_or_none()
                last, chain = (0, START) if row is None else (row.id, row.chain)
                self._logs[table.name] = _Log(table, last, chain)

    def _check_backups(self, version: int) -> None:
        """Read the newest backup; of a journal that was there, there must be one."""
        sound, aside = backups.check_newest(self.path)
        self.damaged_backups = tuple(aside)
        for file in aside:
            self.note(OWN_KIND, {"what": "backup damaged", "name": file.name})
        if version and sound is None:
            self.backup()

    def _note_opened(self, version: int) -> None:
        what = "opened" if version else "made"
        self.note(OWN_KIND, {"what": what, "pid": os.getpid(), "ftbt": __version__})
        if self.waiting and self._trouble is not None:
            raise self._trouble
        self._keep_reserve()

    def _let_go(self) -> None:
        with suppress(Exception):
            self._file.close()
            self._file.engine.dispose()
        self._reader.close()
        self._process.release()


def lock_of(path: Path) -> Path:
    """Return the lock file of the journal *path*."""
    return path.with_name(f".{path.name}.lock")


def _taken(path: Path) -> str:
    return (
        f"another process runs the deployment of {path.parent}: end it first, or give this one a"
        " state folder of its own"
    )
