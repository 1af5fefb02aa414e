"""A session that is killed at any write of its journal ends as one that never was."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from live_kit import COIN, QUARTER, new_account, setup
from lives import Life

from ftbt.live.journal import read_journal

LIMIT = 2
# The writes of one trade's life, by a session that is left alone: a test below counts them.
WRITES = 40
SAMPLE = sorted(random.Random(7).sample([(n, a) for n in range(4, WRITES) for a in (0, 1)], 2))


@pytest.fixture(scope="session")
def alone(flat, births, tmp_path_factory) -> Life:
    """Return a life that nobody disturbed."""
    folder = tmp_path_factory.mktemp("alone") / "state"
    one = Life(flat, births, new_account(flat, "alone"), folder)
    one_trade(one)
    return one


def one_trade(one: Life, kill: int = 0, *, after: bool = False) -> None:
    """A limit entry fills in two parts, reaches target 1, and ends at the stop at the entry."""
    one.plan[one.bar_ms + QUARTER.ms] = setup(kind=LIMIT, entry=98.0)
    one.start(kill, after=after)
    one.settle()
    one.bar()
    one.bar()
    user = one.account[0].address
    oids = [o["oid"] for o in one.net.state()["orders"][user] if not o["isTrigger"]]
    one.net.control("/orders/fill", {"user": user, "oid": oids[0], "size": 10})
    one.settle()
    one.price(97.5)
    one.price(105.5)
    one.bar()
    one.price(97.0)
    one.bar()
    one.stop()
    state = one.net.state()
    assert not state["orders"][user]
    assert COIN not in state["accounts"][user]["positions"]
    told = _fills(one)
    assert len(set(told)) == len(told) == state["fills"][user]


def _fills(one: Life) -> list[int]:
    with read_journal(one.state / "journal.db") as journal:
        return [event.body["tid"] for event in journal.events(kinds=("fill",))]


def same_trades(one: Life, other: Life) -> None:
    """Assert that two lives come to the same, apart from when it was."""
    pairs = list(zip(one.trades(), other.trades(), strict=True))
    assert pairs
    for ours, theirs in pairs:
        shift = ours["entry_time"] - theirs["entry_time"]
        theirs = {name: value + shift * name.endswith("_time") for name, value in theirs.items()}
        assert ours == pytest.approx(theirs, nan_ok=True, rel=1e-9)


@pytest.mark.parametrize(("number", "after"), SAMPLE)
def test_a_kill_changes_nothing(life, alone, number, after):
    """After `kill -9` and a start the same trade comes out, to the last cent."""
    one = life()
    one_trade(one, number, after=bool(after))
    assert one.deaths == 1
    same_trades(one, alone)


def test_a_session_that_stood_still_goes_on(life):
    """SIGSTOP while a part fills: everything is dealt with once the process runs again."""
    one = life()
    one.plan[one.bar_ms + QUARTER.ms] = setup(kind=LIMIT, entry=98.0)
    one.start()
    one.settle()
    one.bar()
    one.bar()
    user = one.account[0].address
    os.kill(one.pid, signal.SIGSTOP)
    one.net.control("/market/price", {"coin": COIN, "price": 97.5})
    time.sleep(4.0)
    os.kill(one.pid, signal.SIGCONT)
    one.settle()
    orders = one.net.state()["orders"][user]
    assert sorted(o["isTrigger"] for o in orders) == [False, False, True]
    one.price(94)
    one.stop()
    assert len(one.trades()) == 1


@pytest.mark.slow
def test_no_kill_changes_anything(life, alone):
    """The same at every write, before and after it has reached the disk."""
    writes = alone.writes()
    assert writes <= WRITES
    for number in range(1, writes + 1):
        for after in (False, True):
            one = life()
            one_trade(one, number, after=after)
            # What arrives at once is written as one: lives differ by a write or two. And after the
            # last one there is nothing left to be done.
            assert one.deaths or one.writes() <= number, (number, after)
            same_trades(one, alone)
