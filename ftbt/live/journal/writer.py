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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import insert, select

from ftbt import __version__
from ftbt.errors import FtbtError, InputError, StorageDamaged, StorageError
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import backups, database
from ftbt.live.journal.appending import OWN_KIND, Appender, wall_ms
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.events import Event, encode
from ftbt.live.journal.migrations import STEPS, Step, migrate, newest
from ftbt.live.journal.reader import JournalReader, Outcome, Summary
from ftbt.live.journal.tables import ABOUT, EVENT, OUTCOME, SENT
from ftbt.live.locks import hold

_LOOKED_AT_S = 0.5


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
    ) -> None:
        """Take the file over; use `open`, which also checks and upgrades it.

        Raises:
            StateLocked, StorageError: as `open`.
        """
        self.path, self.deployment = path, deployment
        self.damaged_backups: tuple[Path, ...] = ()
        self._threads = threading.RLock()
        self._depth = 0
        self._numbers: dict[tuple[str, int], int] = {}
        self._reader = JournalReader(path)
        # Who only looks whether a bot runs takes the lock for an instant.
        self._process = hold(lock_of(path), _taken(path), _LOOKED_AT_S)
        try:
            self._ends = Appender(path, on_trouble)
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
            journal._ends.find_ends()
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
            number = self._ends.log(EVENT).add(wall_ms(), int(market_ms), kind, coin, text)
            if durable:
                self._ends.urge()
            if not self._depth:
                self._ends.write()
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
                    self._ends.write()

    def before_sending(self, *sent: Sent) -> None:
        """See `Journal.before_sending`; a group that is being noted is written with them.

        One transaction and one sync of the disk, however many they are.

        Raises:
            StorageError: *sent*, or what was noted before them, is not on the disk; send none.
        """
        with self._threads:
            self._require_new(sent)
            log = self._ends.log(SENT)
            added: list[tuple[bytes, int]] = []
            for one in sent:
                before = log.chain
                number = log.add(
                    wall_ms(), one.signer, one.account, one.nonce, one.expires_after,
                    one.kind, " ".join(one.cloids), one.body, one.why,
                )  # fmt: skip
                added.append((before, number))
            self._ends.urge()
            error = self._ends.write()
            if error is not None:
                for before, _ in reversed(added):
                    self._ends.take_back(SENT, before)
                raise error
            for one, (_, number) in zip(sent, added, strict=True):
                self._numbers[one.signer, one.nonce] = number

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """See `Journal.after`. Never fails for the disk: what is lost can be asked for again."""
        with self._threads:
            number = self._number_of(sent)
            self._ends.log(OUTCOME).add(number, wall_ms(), int(final), text)
            if final:
                self._numbers.pop((sent.signer, sent.nonce), None)
            if not self._depth:
                self._ends.write()

    @property
    def trouble(self) -> StorageError | None:
        """Why nothing new may be begun; None: all that was noted is written, with room for more.

        StorageFull with nothing `waiting`: the journal lives on its reserve.
        """
        return self._ends.trouble

    @property
    def waiting(self) -> int:
        """How many entries wait in memory for being written."""
        return self._ends.waiting

    def check(self) -> None:
        """Raise `trouble`, after one more attempt to write what waits and to keep a reserve.

        Raises:
            StorageFull, StorageDamaged, StorageError: what was noted is not all on the disk, or
                the disk has no room for more.
        """
        with self._threads:
            self._ends.urge()
            if self._ends.write() is None:
                self._ends.keep_reserve()
            if self.trouble is not None:
                raise self.trouble

    def damaged(self, error: StorageDamaged) -> None:
        """Take it that the file is damaged: nothing is written to it any more."""
        with self._threads:
            self._ends.fail(error)

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
            outcomes = self._ends.log(OUTCOME).waiting
            settled = {row["sent"] for row in outcomes if row["final"]}
            return [one.sent for one in self._reader.unanswered() if one.id not in settled]

    # --- keeping --------------------------------------------------------------------------------

    def backup(self) -> Path:
        """Copy the journal, read the copy back, compare it and return its path.

        Any thread may; others may write meanwhile.

        Raises:
            StorageDamaged: the journal is not what was written; it writes nothing any more.
            StorageFull, StorageError: the copy can't be made.
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
        with self._threads:
            if not self._depth:
                self._ends.tidy()

    def close(self) -> None:
        """Write what waits and let go of the file; closing twice is no harm.

        Raises:
            StorageError: something noted could not be written and is lost now.
        """
        with self._threads:
            if self._ends.file.closed:
                return
            self._ends.urge()
            error = self._ends.write()
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

    def _number_of(self, sent: Sent) -> int:
        number = self._numbers.get((sent.signer, sent.nonce)) or self._known(sent)
        if number is None:
            raise StorageError(f"the journal {self.path} lacks the action that this belongs to")
        return number

    def _require_new(self, sent: Sequence[Sent]) -> None:
        """Pass when none of *sent* is in the file, and none comes twice.

        Raises:
            StorageError: one is, or does.
        """
        names = set()
        for one in sent:
            if (one.signer, one.nonce) in names or self._known(one) is not None:
                raise StorageError(
                    f"the journal {self.path} has nonce {one.nonce} of {one.signer} already:"
                    " an action is written, and sent, once"
                )
            names.add((one.signer, one.nonce))

    def _known(self, sent: Sent) -> int | None:
        """Return the number under which *sent* is in the file; None: it is not."""
        query = "SELECT id FROM sent WHERE signer = ? AND nonce = ?"
        with database.storage_errors(self.path, "read"):
            # Orders wait for this: the driver itself is ten times as fast.
            found = database.driver(self._ends.file).execute(query, (sent.signer, sent.nonce))
            row = found.fetchone()
        return None if row is None else int(row[0])

    # --- opening --------------------------------------------------------------------------------

    def _check_owner(self) -> None:
        with database.storage_errors(self.path, "read"), self._ends.file.begin():
            query = select(ABOUT.c.value).where(ABOUT.c.name == "deployment")
            owner = self._ends.file.execute(query).scalar()
        if owner != self.deployment:
            raise InputError(
                f"the journal {self.path} is of the deployment '{owner}', not"
                f" '{self.deployment}': give this one a state folder of its own"
            )

    def _upgrade(self, version: int, steps: tuple[Step, ...]) -> None:
        if version:
            backups.make_backup(self.path)
        doing = "upgrade" if version else "make"
        with database.storage_errors(self.path, doing), self._ends.file.begin():
            migrate(self._ends.file, wall_ms(), steps)
            if not version:
                about = {"deployment": self.deployment, "created_ms": str(wall_ms())}
                rows = [{"name": name, "value": value} for name, value in about.items()]
                self._ends.file.execute(insert(ABOUT), rows)

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
        if self.waiting and self.trouble is not None:
            raise self.trouble
        self._ends.keep_reserve()

    def _let_go(self) -> None:
        self._ends.close()
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
