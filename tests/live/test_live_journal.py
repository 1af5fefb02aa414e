"""The journal of a deployment: durable, only added to, and honest about what it can't write."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from journal_kit import NAME, SENT
from sqlalchemy import create_engine, inspect

from ftbt.errors import InputError, StateLocked, StorageDamaged, StorageError, StorageFull
from ftbt.live.journal import Digest, Event, digest, read_journal
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.tables import METADATA
from ftbt.live.search import KINDS


def kinds(journal):
    """Return the kinds of all events but the journal's own."""
    return [event.kind for event in journal.events() if event.kind != "journal"]


# --- events ---------------------------------------------------------------------------------------


def test_events_come_back_in_order_as_they_were_noted(path, opened):
    """Ids without holes, bodies to the last digit, from this process and from the next one."""
    journal = opened()
    body = {"price": 0.1 + 0.2, "size": 1e-9, "why": 'für "ü" \ud800', "legs": [1, {"a": None}]}
    first = journal.note("fill", body, coin="BTC", market_ms=1_700_000_000_000)
    second = journal.note("equity", {"equity": 10_000.0}, durable=False)
    assert second == first + 1
    journal.close()

    again = opened()
    found = list(again.events(after=first - 1, kinds={"fill", "equity"}))
    assert [event.id for event in found] == [first, second]
    assert found[0].body == body
    assert (found[0].coin, found[0].market_ms) == ("BTC", 1_700_000_000_000)
    assert list(again.events(after=first, kinds=["fill"])) == []


def test_bodies_take_what_records_are_made_of(opened):
    """NumPy's numbers, decimals, moments; NaN is none; keys become text."""
    journal = opened()
    number = journal.note(
        "decision",
        {
            "f": np.float64(1.5), "i": np.int64(3), "b": np.bool_(True), "nan": float("nan"),
            "deep": [np.float64("inf"), {"x": np.nan}], "array": np.array([1.0, np.nan]),
            "d": Decimal("0.12345678"), "at": datetime(2024, 1, 1, tzinfo=UTC), 7: "seven",
            "7": "again", "pair": (1, 2),
        },
    )  # fmt: skip
    (event,) = journal.events(after=number - 1)
    assert event.body == {
        "f": 1.5, "i": 3, "b": True, "nan": None, "deep": [None, {"x": None}],
        "array": [1.0, None], "d": 0.12345678, "at": 1_704_067_200_000, "7": "again",
        "pair": [1, 2],
    }  # fmt: skip
    assert check_file(journal.path).logs["event"] == digest(journal.events())


def test_a_body_that_is_no_json_is_refused_and_leaves_no_hole(opened):
    """The error names the kind; the next event has the next id."""
    journal = opened()
    before = journal.note("note", {})
    with pytest.raises(TypeError, match="an event 'fill' can't be written: object"):
        journal.note("fill", {"x": object()})
    assert journal.note("note", {}) == before + 1


def test_the_digest_of_events_is_the_chain_beside_them(opened):
    """It can be taken in parts, tells any change, and refuses a hole."""
    journal = opened()
    for number in range(5):
        journal.note("equity", {"equity": number})
    events = list(journal.events())
    whole = digest(events)
    assert whole == check_file(journal.path).logs["event"]
    assert digest(events[3:], digest(events[:3])) == whole
    assert digest([]) == Digest()
    changed = [*events[:-1], replace(events[-1], body={"equity": 5})]
    assert digest(changed).count == whole.count
    assert digest(changed) != whole
    with pytest.raises(ValueError, match="event 3 stands where 2 must be"):
        digest([events[0], *events[2:]])


def test_a_group_is_written_as_one(path, opened):
    """Readers see nothing of it until it ends; what raised within keeps what was noted."""
    journal = opened()
    with read_journal(path) as reader:
        with journal.together():
            journal.note("fill", {})
            with journal.together():
                journal.note("trade", {})
            assert kinds(reader) == []
        assert kinds(reader) == ["fill", "trade"]
        with pytest.raises(TypeError), journal.together():
            journal.note("end", {"size": journal.note("end", {})} | {"bad": object()})
        assert kinds(reader) == ["fill", "trade", "end"]


def test_an_action_takes_what_was_noted_before_it_to_the_disk(path, opened):
    """Even from within a group: an order on the exchange without its reason can't be."""
    journal = opened()
    with journal.together():
        journal.note("order", {})
        journal.before_sending(SENT)
        with read_journal(path) as reader:
            assert kinds(reader) == ["order"]
            assert [one.sent for one in reader.sent()] == [SENT]


def test_several_threads_write_into_one_journal(opened):
    """Nothing is lost, doubled or out of its chain."""
    journal = opened()

    def write(first):
        for nonce in range(first, first + 15):
            journal.before_sending(replace(SENT, nonce=nonce))
            with journal.together():
                journal.note("leg", {"nonce": nonce})
                journal.note("leg", {"nonce": nonce})

    threads = [threading.Thread(target=write, args=(15 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nonces = [event.body["nonce"] for event in journal.events(kinds={"leg"})]
    assert nonces[::2] == nonces[1::2]
    assert sorted(nonces[::2]) == list(range(60))
    assert len(journal.unanswered()) == 60
    assert check_file(journal.path).logs["sent"].count == 60


# --- actions --------------------------------------------------------------------------------------


def test_what_was_sent_is_open_until_its_final_outcome(opened):
    """Outcomes that settle nothing leave it open; the next process knows the same."""
    journal = opened()
    second = replace(SENT, nonce=8, expires_after=None, cloids=())
    journal.before_sending(SENT)
    journal.before_sending(second)
    journal.after(SENT, "no answer in time", final=False)
    journal.close()

    again = opened()
    assert again.unanswered() == [SENT, second]
    again.after(SENT, "resting", final=True)
    assert again.unanswered() == [second]
    assert [(one.action, one.final, one.text) for one in again.outcomes()] == [
        (1, False, "no answer in time"), (1, True, "resting"),
    ]  # fmt: skip


def test_a_nonce_is_written_once(opened):
    """Two actions with one nonce are a mistake that must not reach the venue, nor end the bot."""
    journal = opened()
    journal.before_sending(SENT)
    with pytest.raises(StorageError, match="has nonce 7 of 0xagent already"):
        journal.before_sending(SENT)
    assert journal.trouble is None
    journal.before_sending(replace(SENT, nonce=8))


def test_actions_of_one_moment_are_written_together_or_not_at_all(opened, monkeypatch):
    """One transaction for all; when it fails none may be sent, and their numbers go to others."""
    journal = opened()
    three = [replace(SENT, nonce=nonce) for nonce in (7, 8, 9)]
    with pytest.raises(StorageError, match="has nonce 8"):
        journal.before_sending(*three, three[1])
    assert journal.unanswered() == []
    journal._ends.file.connection.driver_connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="readonly"):
        journal.before_sending(*three)
    journal._ends.file.connection.driver_connection.execute("PRAGMA query_only = 0")
    assert journal.unanswered() == []
    writes = []
    insert = journal._ends._insert_once
    monkeypatch.setattr(journal._ends, "_insert_once", lambda: (writes.append(1), insert()))
    journal.before_sending(*three)
    assert len(writes) == 1
    assert journal.unanswered() == three
    with read_journal(journal.path) as reader:
        assert [one.id for one in reader.sent()] == [1, 2, 3]
    check_file(journal.path)


def test_an_outcome_needs_its_action(opened):
    """What was never written before sending can't have an outcome."""
    with pytest.raises(StorageError, match="lacks the action"):
        opened().after(SENT, "filled", final=True)


def test_a_closed_journal_lets_nothing_be_sent(opened):
    """Closing twice is no harm."""
    journal = opened()
    journal.close()
    journal.close()
    with pytest.raises(StorageError):
        journal.before_sending(SENT)


# --- the file -------------------------------------------------------------------------------------


def test_rows_can_not_be_changed_removed_or_replaced(path, opened):
    """Not even by another program that opens the file."""
    journal = opened()
    journal.note("fill", {})
    journal.before_sending(SENT)
    journal.after(SENT, "resting", final=True)
    replaced = "INSERT OR REPLACE INTO {0} SELECT * FROM {0} LIMIT 1"
    tables = ("event", "sent", "outcome", "about", "migration")
    with closing(sqlite3.connect(path)) as other:
        for table in tables:
            (column,) = other.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchone()
            for statement in (
                f"UPDATE {table} SET {column} = 9", f"DELETE FROM {table}", replaced.format(table),
            ):  # fmt: skip
                with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                    other.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            other.execute(
                "INSERT OR REPLACE INTO sent SELECT 2, wall_ms, signer, account, nonce,"
                " expires_after, kind, cloids, 'x', why, chain FROM sent"
            )


def test_the_tables_that_queries_know_are_those_of_the_file(path, opened):
    """Names, order and whether a value may be missing."""
    opened()
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    assert set(found.get_table_names()) == set(METADATA.tables)
    for name, table in METADATA.tables.items():
        stored = [(one["name"], one["nullable"]) for one in found.get_columns(name)]
        known = [(one.name, one.nullable or one.primary_key) for one in table.columns]
        keys = table.primary_key.columns.keys()
        assert [(one, free or one in keys) for one, free in stored] == known
    engine.dispose()


def test_a_journal_is_of_one_deployment(opened):
    """The other one gets a line that names both."""
    opened().close()
    with pytest.raises(InputError, match=f"deployment '{NAME}', not 'other'"):
        opened(deployment="other")


def test_what_is_no_journal_is_not_written_to(path, opened):
    """A path that is no place for a file, text, another program's database."""
    path.parent.mkdir()
    path.write_text("no database at all, but some text" * 50)
    with pytest.raises(StorageDamaged, match="ftbt recover"):
        opened()
    with pytest.raises(StorageError, match=r"cannot (lock|open)"):
        opened(path / "journal.db")
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as foreign:
        foreign.execute("CREATE TABLE mine (x)")
    with pytest.raises(InputError, match="no journal of ftbt"):
        opened(other)


def test_a_second_writer_is_refused(opened):
    """Also within one process; afterwards the file is free."""
    first = opened()
    with pytest.raises(StateLocked, match="another process runs the deployment") as caught:
        opened()
    assert "\n" not in str(caught.value)
    first.close()
    opened()


# --- a disk without room --------------------------------------------------------------------------


def room(journal, pages):
    """Let the file of *journal* have *pages* more pages than now; None: as many as it likes."""
    driver = journal._ends.file.connection.driver_connection
    used = driver.execute("PRAGMA page_count").fetchone()[0]
    most = 1_000_000 if pages is None else used + pages
    driver.execute(f"PRAGMA max_page_count = {most}")


def test_a_full_disk_keeps_what_was_noted_and_lets_nothing_be_sent(path, opened):
    """Entries wait in their order and are written, with the trouble, when there is room."""
    heard = []
    journal = opened(on_trouble=heard.append)
    journal.before_sending(SENT)
    room(journal, 0)
    big = "x" * 5_000
    first = journal.note("fill", {"number": 1, "big": big})
    assert isinstance(journal.trouble, StorageFull)
    journal.after(SENT, "filled", final=True)
    second = journal.note("fill", {"number": 2})
    with pytest.raises(StorageFull, match="make room on the disk"):
        journal.before_sending(replace(SENT, nonce=8))
    with pytest.raises(StorageFull):
        journal.check()
    assert journal.unanswered() == []
    assert [type(error) for error in heard] == [StorageFull]
    assert kinds(journal) == []

    room(journal, None)
    journal.before_sending(replace(SENT, nonce=8))
    assert journal.waiting == 0
    journal.check()
    assert journal.trouble is None
    found = [event for event in journal.events() if event.kind == "fill"]
    assert [event.id for event in found] == [first, second]
    assert [event.body["what"] for event in journal.events(kinds={"journal"})] == [
        "made", "trouble",
    ]  # fmt: skip
    assert [one.sent.nonce for one in read_journal(path).sent()] == [7, 8]
    check_file(path)


def test_trouble_lasts_until_something_was_written(opened):
    """An action that was refused for lack of room does not leave a journal that looks well."""
    journal = opened()
    room(journal, 0)
    with pytest.raises(StorageFull):
        journal.before_sending(replace(SENT, body=b"x" * 9_000))
    room(journal, None)
    assert journal.trouble is not None
    journal.check()
    assert journal.trouble is None


def test_closing_says_what_is_lost(opened):
    """The last thing the process can do about entries without room."""
    journal = opened()
    room(journal, 0)
    journal.note("fill", {"big": "x" * 5_000})
    with pytest.raises(StorageFull, match="2 entries that were not written are lost"):
        journal.close()


def commit_and_fail(journal, monkeypatch):
    """Let the next commit of *journal* be told to have failed after it was done."""
    done = journal._ends._insert_once

    def insert():
        done()
        monkeypatch.undo()
        raise StorageError("cannot write: disk I/O error")

    monkeypatch.setattr(journal._ends, "_insert_once", insert)


def test_a_commit_that_failed_and_was_done_all_the_same_is_not_done_twice(opened, monkeypatch):
    """Events stay once; an action that was not sent keeps its number, and the next one follows."""
    journal = opened()
    commit_and_fail(journal, monkeypatch)
    first = journal.note("fill", {})
    assert journal.trouble is not None
    journal.check()
    second = journal.note("fill", {})
    assert [event.id for event in journal.events(kinds={"fill"})] == [first, second]

    commit_and_fail(journal, monkeypatch)
    with pytest.raises(StorageError, match="disk I/O error"):
        journal.before_sending(SENT)
    journal.before_sending(replace(SENT, nonce=8))
    assert journal.trouble is None
    assert journal.unanswered() == [SENT, replace(SENT, nonce=8)]
    check_file(journal.path)


def test_rows_of_another_program_end_writing(path, opened):
    """A chain can't go on from an entry that this process did not write."""
    journal = opened()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO event SELECT id + 1, 1, 1, 'fill', '', '{}', x'00' FROM event")
    journal.note("fill", {})
    with pytest.raises(StorageDamaged, match="another program has written"):
        journal.before_sending(SENT)
    with pytest.raises(StorageDamaged):
        journal.close()


# --- reading --------------------------------------------------------------------------------------


def test_readers_see_a_journal_at_a_glance(path, opened):
    """Counts, moments, open questions; the latest first when asked."""
    journal = opened()
    for number in range(3):
        journal.note("trade", {"number": number})
    journal.before_sending(SENT)
    with read_journal(path) as reader:
        found = reader.summary()
        assert (found.deployment, found.version) == (NAME, 1)
        assert found.events == {"journal": 1, "trade": 3}
        assert (found.actions, found.unanswered) == (1, 1)
        assert 0 < found.created_ms <= found.last_ms
        assert [event.body["number"] for event in reader.latest(2, {"trade"})] == [2, 1]
        assert [one.sent for one in reader.unanswered()] == [SENT]
        assert isinstance(reader.latest(1)[0], Event)


def test_readers_say_what_is_missing(path, tmp_path):
    """One line for no file, and for one of another program."""
    with pytest.raises(InputError, match="there is no journal"):
        read_journal(path)
    (tmp_path / "x.db").write_bytes(b"")
    with pytest.raises(InputError, match="version 0"):
        read_journal(tmp_path / "x.db")


def test_a_reader_in_the_middle_of_its_reading_keeps_nobody_waiting(path, opened):
    """It sees what is added meanwhile, and the log of the file is tidied all the same."""
    journal = opened()
    for number in range(600):
        journal.note("equity", {"number": number}, durable=False)
    with read_journal(path) as reader:
        reading = reader.events(kinds={"equity"})
        next(reading)
        journal.note("equity", {"number": 600})
        journal.tidy()
        assert path.stat().st_size > 60_000
        assert [event.body["number"] for event in reading] == list(range(1, 601))


def test_every_kind_of_event_is_known_by_name():
    """`ftbt journal --kind` and the reference page have each kind that the code notes."""
    root = Path(__file__).parents[2] / "ftbt"
    texts = [path.read_text(encoding="utf-8") for path in (root / "live").rglob("*.py")]
    texts += [path.read_text(encoding="utf-8") for path in (root / "cli").glob("*.py")]
    noted = {kind for text in texts for kind in re.findall(r"note\(\s*\"([a-z]+)\"", text)}
    assert noted >= {"fill", "order", "leg", "session", "equity"}
    assert noted <= set(KINDS)
