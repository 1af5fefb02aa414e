"""Backups of a journal: copied by SQLite itself, read back, compared, and rotated.

A backup that nobody has read is no backup. Each one is read as a whole before it gets its name,
and the journal must begin with what it holds; the newest one is read again at every start.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ftbt.data.files import atomic_path
from ftbt.errors import StorageDamaged, StorageError
from ftbt.live.journal import database
from ftbt.live.journal.checking import Contents, check_file, check_holds

NEWEST, DAYS = 6, 7
_FIRST_S = 60.0
_LONGEST_CALM_S, _CALM_POLL_S = 60.0, 0.5
_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{6,})-(?P<day>\d{8})T\d{6}Z\.db")


def backups_of(path: Path) -> list[Path]:
    """Return the backups of the journal *path*, the newest first."""
    found = []
    for file in (path.parent / database.BACKUPS).glob(f"{path.stem}-*.db"):
        name = _NAME.fullmatch(file.name)
        if name and name["stem"] == path.stem:
            found.append((int(name["number"]), file))
    # By number: the clock may have been set back between two of them.
    return [file for _, file in sorted(found, reverse=True)]


def make_backup(path: Path) -> Path:
    """Copy the journal *path*, read the copy back, compare both; return the copy's path.

    The writer is not kept waiting. Older backups go as `rotate` says.

    Raises:
        StorageDamaged: the journal is not what was written; there is no new backup.
        StorageFull, StorageError: the copy can't be written, or is not what was written.
    """
    with database.storage_errors(path, "back up"):
        older = backups_of(path)
        number = 1 + (int(_parts(older[0])["number"]) if older else 0)
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = path.parent / database.BACKUPS / f"{path.stem}-{number:06d}-{moment}.db"
        _clear_leftovers(path)
        with atomic_path(target) as temporary:
            _copy(path, temporary)
            contents = _check_copy(path, temporary)
            check_holds(path, contents, f"its backup {target.name}")
        for file in rotate([target, *older]):
            file.unlink(missing_ok=True)
    return target


def check_backup(path: Path, backup: Path) -> Contents:
    """Read *backup* as a whole and compare it with the journal *path*; return what it holds.

    Raises:
        StorageDamaged: one of them is not what was written.
        StorageError: one of them can't be read.
    """
    contents = check_file(backup)
    check_holds(path, contents, f"its backup {backup.name}")
    return contents


def check_newest(path: Path) -> tuple[Path | None, list[Path]]:
    """Read the newest backup of *path* that can be read, and compare it with the journal.

    One that is not what was written gets the ending `.damaged`: what is left can be relied on.

    Returns:
        The backup that is sound, None: there is none; and where the others are now.

    Raises:
        StorageDamaged: the journal differs from a sound backup of it.
    """
    aside = []
    for backup in backups_of(path):
        try:
            contents = check_file(backup)
        except StorageError:
            # What can't be read now is of no use now; it is kept, and the journal tells of it.
            with database.storage_errors(path, "set aside a backup of"):
                aside.append(backup.rename(backup.with_name(f"{backup.name}.damaged")))
            continue
        check_holds(path, contents, f"its backup {backup.name}")
        return backup, aside
    return None, aside


def rotate(files: Sequence[Path]) -> list[Path]:
    """Return which of *files*, the newest first, are to go.

    The newest ones stay, and the last one of each of the latest days that have any.
    """
    days: dict[str, Path] = {}
    for file in files:
        days.setdefault(_parts(file)["day"], file)
    kept = {*files[:NEWEST], *list(days.values())[:DAYS]}
    return [file for file in files if file not in kept]


class _Kept(Protocol):
    """The journal, as far as it is kept here."""

    def backup(self) -> Path: ...

    def tidy(self) -> None: ...


class Keeper:
    """Makes backups of a journal on schedule, and tidies it, in a thread of its own.

    Attributes:
        trouble: why the last backup failed; None when it did not.

    Args:
        journal: open for writing.
        on_trouble: called from that thread whenever a backup fails.
        every_s: seconds between two backups; the first comes within a minute: a young journal has
            none.
        tidy_s: seconds between two times of tidying.
        calm: whether nothing urgent is due in the next seconds; both wait for it, up to a minute.
    """

    def __init__(
        self,
        journal: _Kept,
        on_trouble: Callable[[StorageError], None] | None = None,
        every_s: float = 3600.0,
        tidy_s: float = 60.0,
        calm: Callable[[], bool] = lambda: True,
    ) -> None:
        self.trouble: StorageError | None = None
        self._journal, self._on_trouble = journal, on_trouble
        self._every, self._tidy, self._calm = every_s, min(tidy_s, every_s), calm
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the backup that is being made."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        left = min(self._every, _FIRST_S)
        while not self._ended.wait(min(self._tidy, left)):
            left -= self._tidy
            if not self._wait_for_calm():
                return
            self._journal.tidy()
            if left <= 0:
                left = self._every
                self._backup()

    def _wait_for_calm(self) -> bool:
        """Wait for a calm moment; False: closed meanwhile."""
        longest = time.monotonic() + _LONGEST_CALM_S
        while not self._calm() and time.monotonic() < longest:
            if self._ended.wait(_CALM_POLL_S):
                return False
        return True

    def _backup(self) -> None:
        try:
            self._journal.backup()
        except StorageError as error:
            self.trouble = error
            if self._on_trouble is not None:
                self._on_trouble(error)
        else:
            self.trouble = None


def _copy(path: Path, target: Path) -> None:
    with closing(database.read_only(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)  # in one go: it is of one moment, and no write makes it begin anew
        # One file that needs no others beside it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _check_copy(path: Path, copy: Path) -> Contents:
    """Read *copy* as a whole; when it is damaged, find out whether the journal itself is."""
    try:
        return check_file(copy, gently=True)
    except StorageDamaged as error:
        check_file(path, gently=True)
        raise StorageError(f"the journal is sound, and its copy is not: {error}") from error


def _clear_leftovers(path: Path) -> None:
    """Remove what a process left that ended while it copied."""
    for file in (path.parent / database.BACKUPS).glob(f".{path.stem}-*"):
        file.unlink(missing_ok=True)


def _parts(file: Path) -> re.Match[str]:
    found = _NAME.fullmatch(file.name)
    if found is None:
        raise ValueError(f"{file.name} is no name of a backup")
    return found
