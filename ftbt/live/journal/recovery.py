"""The way back from a journal that is damaged or gone: its newest sound backup, and what follows.

Entries after the backup are taken from the damaged file as far as their chain holds. What is
missing then is known to the exchange alone: the next start asks it, as every start does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.exc import DBAPIError

from ftbt.data.files import atomic_path
from ftbt.errors import InputError, StorageDamaged, StorageError
from ftbt.live.journal import backups, database
from ftbt.live.journal.appending import OWN_KIND, wall_ms
from ftbt.live.journal.checking import Contents, check_file, checked
from ftbt.live.journal.events import Digest
from ftbt.live.journal.migrations import migrate
from ftbt.live.journal.reader import JournalReader
from ftbt.live.journal.tables import LOGS, OUTCOME, SENT
from ftbt.live.journal.writer import LiveJournal, lock_of
from ftbt.live.locks import hold


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was done.

    Attributes:
        backup: that was used.
        restored: entries that it held.
        saved: entries after it that the damaged file still gave.
        damaged: where the damaged file is now; None: there was none.
    """

    backup: Path
    restored: int
    saved: int
    damaged: Path | None


def recover_from_backup(
    path: Path, *, deployment: str, tell: Callable[[str], None] = lambda _: None
) -> Recovery:
    """Put the newest sound backup in the place of the journal *path*; keep that beside it.

    Args:
        path: of the journal that is damaged or gone.
        deployment: whose it is.
        tell: called with each step, in words.

    Raises:
        StateLocked: a process writes it.
        StorageDamaged: no backup is sound. The journal is left as it was.
        StorageError: files can't be read or written.
    """
    path = Path(path)
    lock = hold(lock_of(path), f"a process runs the deployment of {path.parent}: end it first")
    try:
        backup, contents = _newest_sound(path, deployment, tell)
        fresh = path.with_name(f"{path.name}.recovered")
        with database.storage_errors(path, "recover"), atomic_path(fresh) as temporary:
            shutil.copyfile(backup, temporary)
            saved = _save(path, temporary, contents)
            check_file(temporary)
        tell(f"took {saved} entries that came after it from the damaged file")
        with database.storage_errors(path, "recover"):
            damaged = _set_aside(path)
            fresh.replace(path)
    finally:
        lock.release()
    done = Recovery(backup, contents.entries, saved, damaged)
    _note(done, path, deployment)
    tell(f"{path} is a sound journal again; ask the exchange for what it lacks by starting")
    return done


def begin_anew(
    path: Path, *, deployment: str, why: str, tell: Callable[[str], None] = lambda _: None
) -> Path | None:
    """Put a new, empty journal in the place of *path*; journal and backups are kept beside it.

    Args:
        path: of the journal that can't be gone on with.
        deployment: whose it is.
        why: is noted in the new one.
        tell: called with each step, in words.

    Returns:
        The folder in which everything older is now; None: there was nothing.

    Raises:
        StateLocked: a process writes it.
        StorageError: files can't be moved or written.
    """
    path = Path(path)
    lock = hold(lock_of(path), f"a process runs the deployment of {path.parent}: end it first")
    try:
        with database.storage_errors(path, "set aside"):
            aside = _give_up(path)
    finally:
        lock.release()
    if aside is not None:
        tell(f"journal and backups are now in {aside}")
    with LiveJournal.open(path, deployment=deployment) as journal:
        journal.note(OWN_KIND, {"what": "begun anew", "why": why, "aside": str(aside or "")})
    tell(f"{path} is a new journal, with nothing in it")
    return aside


def _give_up(path: Path) -> Path | None:
    """Move journal and backups into a folder of their own; return it, None without any."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.parent / f"given-up-{moment}"
    parts = [path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm", "")]
    # The status is of positions that the new journal knows nothing of.
    beside = (path.parent / database.BACKUPS, path.with_name("status.json"))
    found = [one for one in (*parts, *beside) if one.exists()]
    if found:
        aside.mkdir()
    for part in found:
        part.rename(aside / part.name)
    return aside if found else None


def newest_sound(path: Path, tell: Callable[[str], None] = lambda _: None) -> Path | None:
    """Return the newest backup of *path* that is what was written, None without one."""
    for backup in backups.backups_of(path):
        try:
            check_file(backup)
        except StorageError as error:
            tell(f"can't use {backup.name}: {error}")
            continue
        return backup
    return None


def _newest_sound(
    path: Path, deployment: str, tell: Callable[[str], None]
) -> tuple[Path, Contents]:
    """Return the newest backup that is what was written, and what it holds."""
    tried = backups.backups_of(path)
    for backup in tried:
        try:
            contents = check_file(backup)
        except StorageError as error:
            tell(f"can't use {backup.name}: {error}")
            continue
        with JournalReader(backup) as reader:
            owner = reader.summary().deployment
        if owner != deployment:
            raise InputError(f"{backup} is of the deployment '{owner}', not '{deployment}'")
        tell(f"use {backup.name}: {contents.entries} entries, all as they were written")
        return backup, contents
    folder = path.parent / database.BACKUPS
    raise StorageDamaged(
        f"none of the {len(tried)} backups in {folder} can be used: copy one"
        " from elsewhere to there, or move the journal away and start anew - the exchange still"
        " knows positions and orders"
    )


def _save(path: Path, target: Path, known: Contents) -> int:
    """Add to *target* what the damaged *path* holds after *known*; return how much that was."""
    connection = database.writing_connection(target)
    saved = dict.fromkeys(known.logs, 0)
    try:
        with connection.begin():
            migrate(connection, wall_ms())
            for log in LOGS if path.exists() else ():
                for row in _sound_rows(path, log, known.logs[log.name]):
                    sent = known.logs[SENT.name].count + saved[SENT.name]
                    if log is OUTCOME and row["sent"] > sent:
                        break
                    connection.execute(insert(log), row)
                    saved[log.name] += 1
        database.driver(connection).execute("PRAGMA journal_mode = DELETE")
    finally:
        connection.close()
        connection.engine.dispose()
    return sum(saved.values())


def _sound_rows(path: Path, log: Table, known: Digest) -> Iterator[dict[str, Any]]:
    """Yield the rows of *log* after *known*, up to the first that is not what was written."""
    count, chain = known.count, bytes.fromhex(known.sha256)
    engine = database.reading_engine(path)
    try:
        with engine.connect() as opened:
            for row in opened.execute(select(log).where(log.c.id > count).order_by(log.c.id)):
                count += 1
                chain = checked(tuple(row), log, count, chain, path)
                yield dict(row._mapping)  # noqa: SLF001 - public in all but its name
    except (DBAPIError, StorageDamaged):
        return
    finally:
        engine.dispose()


def _set_aside(path: Path) -> Path | None:
    """Rename the damaged file, its log first: that must never be taken for the new file's."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    found = path.exists()
    for ending in ("-wal", "-shm", ""):
        part = path.with_name(f"{path.name}{ending}")
        if part.exists():
            part.rename(f"{aside}{ending}")
    return aside if found else None


def _note(done: Recovery, path: Path, deployment: str) -> None:
    body = {
        "what": "recovered", "backup": done.backup.name, "restored": done.restored,
        "saved": done.saved, "damaged": "" if done.damaged is None else done.damaged.name,
    }  # fmt: skip
    with LiveJournal.open(path, deployment=deployment) as journal:
        journal.note(OWN_KIND, body)
