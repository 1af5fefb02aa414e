"""Backups that were read back, and the way back from damage."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest
from journal_kit import NAME, SENT

from ftbt.errors import InputError, StateLocked, StorageDamaged, StorageError
from ftbt.live.journal import (
    Keeper,
    LiveJournal,
    backups,
    backups_of,
    digest,
    read_journal,
    recover_from_backup,
)
from ftbt.live.journal.backups import DAYS, NEWEST, check_backup, rotate
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.database import version_of
from ftbt.live.journal.migrations import STEPS, Step


def filled(journal, count=200, first=0):
    """Write *count* events, actions and outcomes."""
    with journal.together():
        for number in range(first, first + count):
            journal.note("equity", {"number": number, "text": "some text " * 10})
    for number in range(first, first + count // 20):
        sent = replace(SENT, nonce=number)
        journal.before_sending(sent)
        journal.after(sent, "resting", final=True)


def damage(file, word=b"some text some", where=0.5):
    """Flip a bit in the middle of *file*, within a stored text."""
    content = bytearray(file.read_bytes())
    place = content.index(word, int(len(content) * where))
    content[place + 3] ^= 0x01
    file.write_bytes(content)


def tampered(file, statement, table="event"):
    """Change rows of *file* as somebody with SQLite can, past the triggers."""
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"DROP TRIGGER {table}_stays")
        other.execute(statement)


# --- backups --------------------------------------------------------------------------------------


def test_a_backup_holds_what_the_journal_held(path, opened):
    """To the last entry, in one file, while the journal is open; it opens as one itself."""
    journal = opened()
    filled(journal)
    events = digest(journal.events())
    made = journal.backup()
    assert backups_of(path) == [made]
    assert check_backup(path, made).logs["event"] == events
    with read_journal(made) as reader:
        assert digest(reader.events()) == events
        assert len(list(reader.sent())) == 10
    assert sorted(file.name for file in made.parent.iterdir()) == [made.name]


def test_a_backup_is_made_while_others_write(path, opened):
    """It is of one moment between two entries, and the writer goes on."""
    journal = opened()
    filled(journal)
    done = threading.Event()

    def write():
        number = 1000
        while not done.is_set():
            number += 1
            journal.before_sending(replace(SENT, nonce=number))

    thread = threading.Thread(target=write)
    thread.start()
    made = [journal.backup() for _ in range(3)]
    done.set()
    thread.join()
    counts = [check_backup(path, one).entries for one in made]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] <= check_file(path).entries


def test_old_backups_go_and_days_keep_their_last(path):
    """The newest stay, and one for each of the latest days; the oldest ones go."""
    names = [
        path.parent / f"journal-{day * 10 + hour:06d}-202401{day:02d}T{hour:02d}0000Z.db"
        for day in range(1, 16) for hour in range(10)
    ][::-1]  # fmt: skip
    gone = rotate(names)
    kept = [file for file in names if file not in gone]
    assert kept[:NEWEST] == names[:NEWEST]
    assert len(kept) == NEWEST + DAYS - 1
    assert [file.name[-19:-9] for file in kept[NEWEST:]] == [
        f"202401{day:02d}T0" for day in range(14, 8, -1)
    ]
    assert rotate(kept) == []


def test_backups_are_rotated_when_one_is_made(path, opened):
    """And what a killed process left half copied is removed."""
    journal = opened()
    made = [journal.backup() for _ in range(NEWEST + 2)]
    half = made[0].parent / ".journal-000099-x.db.abc"
    half.write_bytes(b"half")
    made.append(journal.backup())
    assert backups_of(path) == made[: -NEWEST - 1 : -1]
    assert not half.exists()


def test_a_damaged_backup_is_set_aside_at_the_start_and_told(path, opened):
    """The next sound one counts; when there is none, one is made at once."""
    journal = opened()
    filled(journal)
    first, second = journal.backup(), journal.backup()
    journal.close()
    damage(second)
    again = opened()
    (aside,) = again.damaged_backups
    assert aside.name == f"{second.name}.damaged"
    assert backups_of(path) == [first]
    assert [event.body["what"] for event in again.events(kinds={"journal"})][-2:] == [
        "backup damaged", "opened",
    ]  # fmt: skip
    again.close()
    first.write_bytes(b"76 bytes of broken JSON")
    once_more = opened()
    assert len(once_more.damaged_backups) == 1
    (fresh,) = backups_of(path)
    check_backup(path, fresh)


def test_a_journal_that_differs_from_its_backup_is_not_traded_on(path, opened):
    """Changed by somebody who also mended each chain: the backup knows better."""
    journal = opened()
    filled(journal)
    journal.backup()
    journal.close()
    other = path.with_name("other.db")
    second = opened(other)
    filled(second)
    second.close()
    shutil.copyfile(other, path)
    with pytest.raises(StorageDamaged, match=r"and its backup .* differ within the first"):
        opened()


def test_a_keeper_makes_backups_on_schedule(path, opened):
    """In its own thread, until it is closed."""
    journal = opened()
    filled(journal)
    keeper = Keeper(journal, every_s=0.1, tidy_s=0.05)
    end = time.monotonic() + 20
    while len(backups_of(path)) < 3:
        assert time.monotonic() < end
        time.sleep(0.02)
    keeper.close()
    assert keeper.trouble is None
    made = backups_of(path)
    time.sleep(0.3)
    assert backups_of(path) == made


def test_a_keeper_waits_for_a_calm_moment(path, opened):
    """No backup is begun while something urgent is due."""
    journal, calm = opened(), threading.Event()
    filled(journal)
    keeper = Keeper(journal, every_s=0.05, tidy_s=0.05, calm=calm.is_set)
    time.sleep(0.5)
    assert backups_of(path) == []
    calm.set()
    end = time.monotonic() + 20
    while not backups_of(path):
        assert time.monotonic() < end
        time.sleep(0.02)
    keeper.close()


def test_a_keeper_tells_of_a_backup_that_failed(path, opened):
    """And the journal that was found damaged writes nothing any more."""
    journal = opened()
    filled(journal)
    tampered(path, "UPDATE event SET body = '{}' WHERE id = 20")
    heard = threading.Event()
    keeper = Keeper(journal, lambda _: heard.set(), every_s=0.05)
    assert heard.wait(20)
    keeper.close()
    assert isinstance(keeper.trouble, StorageDamaged)
    assert backups_of(path) == []
    journal.note("fill", {})
    with pytest.raises(StorageDamaged, match="row 20 of 'event'"):
        journal.before_sending(replace(SENT, nonce=99))
    with pytest.raises(StorageDamaged):
        journal.close()


def test_a_copy_that_goes_wrong_is_not_the_journals_fault(path, opened, monkeypatch):
    """There is no backup of that name, the keeper tells, and trading goes on."""
    journal = opened()
    filled(journal)
    copied = backups._copy

    def copy_badly(source, target):
        copied(source, target)
        damage(target)

    monkeypatch.setattr(backups, "_copy", copy_badly)
    with pytest.raises(StorageError, match="the journal is sound, and its copy is not"):
        journal.backup()
    assert backups_of(path) == []
    assert list((path.parent / "backups").iterdir()) == []
    journal.before_sending(replace(SENT, nonce=99))
    assert journal.trouble is None


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET body = replace(body, 'some', 'Some') WHERE id = 100",
        "UPDATE event SET body = '{' WHERE id = 100",
        "UPDATE event SET kind = 'fill' WHERE id = 100",
        "UPDATE event SET market_ms = 1 WHERE id = 100",
        "UPDATE event SET chain = x'00' WHERE id = 100",
        "UPDATE event SET id = 1000 WHERE id = 100",
        "UPDATE event SET body = CAST(x'fffefd' AS TEXT) WHERE id = 100",
    ],
)
def test_each_change_of_a_row_is_found(path, opened, statement):
    """The line names the row and the command that helps; nothing is traded."""
    journal = opened()
    filled(journal)
    journal.close()
    tampered(path, statement)
    with pytest.raises(StorageDamaged, match="ftbt recover") as caught:
        opened()
    assert "\n" not in str(caught.value)


def test_overwritten_bytes_are_found_wherever_they_matter(path, opened):
    """Written over somewhere, a file is refused or has all its entries as they were."""
    journal = opened()
    filled(journal, 300)
    journal.close()
    before, content = check_file(path), path.read_bytes()
    random, refused = Random(7), 0
    for place in [0, 18, 19, 28, 44, 100, *random.sample(range(len(content)), 60)]:
        found = bytearray(content)
        found[place : place + 16] = random.randbytes(16)
        path.write_bytes(found)
        try:
            version_of(path)
            assert check_file(path) == before
        except (StorageDamaged, InputError):
            refused += 1
    assert refused > 30


def test_a_journal_that_is_gone_is_not_begun_anew(path, opened):
    """Nor one that was emptied: with backups beside it that would forget a position."""
    journal = opened()
    journal.backup()
    journal.close()
    path.write_bytes(b"")
    with pytest.raises(StorageDamaged, match="gone or empty"):
        opened()
    path.unlink()
    with pytest.raises(StorageDamaged, match="ftbt recover"):
        opened()


# --- recovery -------------------------------------------------------------------------------------


def test_a_damaged_journal_comes_back_with_all_that_is_sound(path, opened):
    """From the newest sound backup, with what follows it in the damaged file, which is kept."""
    journal = opened()
    filled(journal)
    journal.backup()
    filled(journal, 100, first=200)
    bad = journal.backup()
    whole = list(journal.events(kinds={"equity"}))
    sent = len(journal.unanswered()) + len(list(journal.outcomes()))
    journal.close()
    damage(bad)
    tampered(path, "UPDATE event SET body = '{}' WHERE id = 50")
    with pytest.raises(StorageDamaged):
        opened()

    steps = []
    done = recover_from_backup(path, deployment=NAME, tell=steps.append)
    assert done.restored == 221
    assert done.damaged is not None
    assert done.damaged.exists()
    assert f"can't use {bad.name}" in steps[0]
    again = opened()
    assert list(again.events(kinds={"equity"})) == whole
    assert len(list(again.outcomes())) == sent
    assert [event.body["what"] for event in again.events(kinds={"journal"})][-2:] == [
        "recovered", "opened",
    ]  # fmt: skip
    check_file(path)


def test_recovery_takes_entries_only_as_far_as_their_chain_holds(path, opened):
    """What follows a changed entry may rest on it."""
    journal = opened()
    filled(journal, 40)
    journal.backup()
    filled(journal, 40, first=40)
    journal.close()
    tampered(path, "UPDATE event SET body = '{}' WHERE id = 60")
    done = recover_from_backup(path, deployment=NAME)
    found = [event.body.get("number") for event in opened().events(kinds={"equity"})]
    assert found == list(range(57))
    assert done.saved == 22


@pytest.mark.parametrize("state", ["gone", "header", "empty"])
def test_recovery_needs_nothing_of_the_damaged_file(path, opened, state):
    """Gone, without its first page, or empty; its log is never taken for the new file's."""
    journal = opened()
    filled(journal, 40)
    journal.backup()
    journal.close()
    if state == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if state == "empty" else b"\x00" * 4096 + path.read_bytes()[4096:])
    path.with_name(f"{path.name}-wal").write_bytes(b"of another file")
    done = recover_from_backup(path, deployment=NAME)
    assert (done.saved, done.damaged is None) == (0, state == "gone")
    assert len(list(opened().events(kinds={"equity"}))) == 40


def test_recovery_refuses_what_it_must_not_do(path, opened):
    """Beside a running bot, for another deployment, without any sound backup."""
    journal = opened()
    filled(journal, 40)
    made = journal.backup()
    with pytest.raises(StateLocked, match="end it first"):
        recover_from_backup(path, deployment=NAME)
    journal.close()
    with pytest.raises(InputError, match=f"of the deployment '{NAME}', not 'other'"):
        recover_from_backup(path, deployment="other")
    made.write_bytes(b"")
    before = path.read_bytes()
    with pytest.raises(StorageDamaged, match="none of the 1 backups"):
        recover_from_backup(path, deployment=NAME)
    assert path.read_bytes() == before


# --- versions -------------------------------------------------------------------------------------

LATER = (*STEPS, Step(len(STEPS) + 1, "a table more", ("CREATE TABLE more (x INTEGER)",)))
BROKEN = (
    *STEPS,
    Step(len(STEPS) + 1, "breaks", ("CREATE TABLE more (x)", "CREATE TABLE event (x)")),
)


def test_an_older_journal_is_upgraded_after_a_backup(path, opened):
    """The backup is of the old version, all entries stay, and the step is on record."""
    journal = opened()
    filled(journal)
    journal.close()
    before = check_file(path)
    journal = opened(steps=LATER)
    (made,) = backups_of(path)
    assert check_file(made) == before
    assert journal.summary().version == LATER[-1].number
    assert digest(journal.events()).count == before.logs["event"].count + 1
    journal.close()
    with closing(sqlite3.connect(path)) as other:
        steps = other.execute("SELECT number, name FROM migration").fetchall()
    assert steps == [(step.number, step.name) for step in LATER]


def test_a_newer_journal_is_refused_in_one_line(path, opened):
    """By the writer and by readers."""
    opened(steps=LATER).close()
    for open_it in (opened, lambda: read_journal(path)):
        with pytest.raises(InputError, match="install the ftbt that wrote it") as caught:
            open_it()
        assert "\n" not in str(caught.value)


def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(path, opened):
    """All steps or none; the version before can go on."""
    journal = opened()
    filled(journal)
    journal.close()
    with pytest.raises(StorageError, match="cannot upgrade the journal"):
        LiveJournal.open(path, deployment=NAME, steps=BROKEN)
    again = opened()
    assert again.summary().version == len(STEPS)
    filled(again, 20, first=900)
