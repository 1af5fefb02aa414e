"""The journal of what is sent: durable, only added to, and honest about what is open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from ftbt.errors import StorageError
from ftbt.hyperliquid.journal import Sent, SqliteJournal

SENT = Sent("0xagent", "0xuser", 7, 99, "order", ("0xa", "0xb"), b"signed bytes", "entry")

DYING = """
import os, sys
from pathlib import Path
from ftbt.hyperliquid.journal import Sent, SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
journal.before_sending(Sent("0xagent", "0xuser", 7, 99, "order", ("0xa", "0xb"), b"b", "entry"))
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def path(tmp_path):
    """Return the path of a journal."""
    return tmp_path / "deep" / "journal.sqlite"


@pytest.fixture
def opened():
    """Return a function that opens a journal; all are closed afterwards."""
    journals = []

    def open_journal(path):
        journals.append(SqliteJournal(path))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


def test_what_was_sent_is_open_until_its_final_outcome(path, opened):
    """Outcomes that settle nothing leave it open; another run of the file knows the same."""
    journal = opened(path)
    journal.before_sending(SENT)
    journal.before_sending(replace(SENT, nonce=8, expires_after=None, cloids=()))
    journal.after(SENT, "no answer in time", final=False)
    assert opened(path).unanswered()[0] == SENT

    journal.after(SENT, "resting", final=True)
    assert [one.nonce for one in opened(path).unanswered()] == [8]
    assert opened(path).unanswered()[0].cloids == ()


def test_what_was_written_survives_a_killed_process(path, opened):
    """The end of the process right after the write loses nothing."""
    done = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
    assert done.returncode == -9
    assert [one.cloids for one in opened(path).unanswered()] == [("0xa", "0xb")]


def test_rows_can_not_be_changed_or_removed(path, opened):
    """Not even by another program that opens the file."""
    journal = opened(path)
    journal.before_sending(SENT)
    journal.after(SENT, "resting", final=True)
    other = sqlite3.connect(path)
    for statement in (
        "UPDATE sent SET body = 'x'", "DELETE FROM sent", "UPDATE outcome SET final = 0",
        "DELETE FROM outcome",
    ):  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            other.execute(statement)
    other.close()


def test_a_nonce_is_written_once(path, opened):
    """Two actions with one nonce are a mistake that must not reach the venue."""
    journal = opened(path)
    journal.before_sending(SENT)
    with pytest.raises(StorageError, match="UNIQUE"):
        journal.before_sending(SENT)


def test_an_outcome_needs_its_action(path, opened):
    """What was never written before sending can't have an outcome."""
    with pytest.raises(StorageError, match="lacks the action"):
        opened(path).after(SENT, "filled", final=True)


def test_several_threads_write_into_one_journal(path, opened):
    """Nothing is lost or doubled."""
    journal = opened(path)

    def write(first):
        for nonce in range(first, first + 20):
            journal.before_sending(replace(SENT, nonce=nonce))

    threads = [threading.Thread(target=write, args=(20 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.unanswered()) == 80


def test_a_journal_that_can_not_be_written_says_so(tmp_path, opened):
    """A path that is no place for a file, and a file that is no journal."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot open the journal"):
        opened(tmp_path / "file" / "journal.sqlite")
    (tmp_path / "text").write_text("no database at all, but some text" * 50)
    with pytest.raises(StorageError, match="cannot open the journal"):
        opened(tmp_path / "text")
