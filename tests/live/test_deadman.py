"""The venue's dead man's switch is armed where it helps, and nowhere else."""

from __future__ import annotations

import backtrader as bt
import pytest
from live_kit import Scene, until
from test_live_users import Scripted, do

from ftbt.backtest.result import Status
from ftbt.live import deadman
from ftbt.live.deadman import DeadMan

QUICK_MS = 5_300  # the venue takes nothing sooner than in five seconds


@pytest.fixture
def one(scene, net, monkeypatch):
    """Yield a session of a scripted strategy where the venue grants the switch."""
    monkeypatch.setattr(deadman, "RENEW_S", 0.5)
    net.control("/behaviour", {"scheduled_volume": 0})
    yield scene(Scripted)
    net.control("/behaviour", {"scheduled_volume": 1_000_000})


def told(one: Scene) -> list[bool]:
    """Return how the switch was turned so far."""
    return [event.body["armed"] for event in one.events("deadman")]


def wait_unguarded(one: Scene) -> None:
    """Have a stop entry wait, which no stop can be sent with, and the switch be armed for it."""
    do(one, lambda s: s.buy_bracket(
        size=5, exectype=bt.Order.Stop, price=102, stopprice=97, limitprice=110
    ))  # fmt: skip
    assert len(one.orders()) == 1
    until(lambda: told(one) == [True], "the switch is armed")


def test_an_entry_without_a_guard_arms_it_and_its_position_disarms_it(one):
    """Once there is a stop to lose, the switch is off, and the stop stays."""
    wait_unguarded(one)
    one.price(102.5)
    one.check()
    assert one.position() == 5
    until(lambda: told(one) == [True, False], "the switch is off")
    assert [o["isTrigger"] for o in one.orders()].count(True) == 1


def test_a_bot_that_dies_leaves_no_entry_that_nobody_would_guard(one, monkeypatch):
    """The exchange takes the entry back; what it opens nobody would see."""
    monkeypatch.setattr(deadman, "LEAD_MS", QUICK_MS)
    monkeypatch.setattr(DeadMan, "close", lambda self, patience_s: setattr(self, "_needed", False))
    wait_unguarded(one)
    # A killed process renews nothing and says nothing.
    monkeypatch.setattr(DeadMan, "_act", lambda self, *, arm: 3_600.0)
    one.die()
    until(lambda: not one.orders(), "the switch has fired")
    monkeypatch.undo()
    one.again()
    until(lambda: told(one) == [True, False], "the next process switches it off")
    one.check()
    assert {event.body["status"] for event in one.events("end")} == {Status.CANCELLED}


def test_a_session_that_ends_leaves_it_off(one):
    """It must not fire into the next session."""
    wait_unguarded(one)
    one.die()
    assert told(one) == [True, False]
    one.again()
    until(lambda: told(one) == [True, False, True], "the entry still waits, so it is armed again")


def test_an_entry_with_a_guard_and_a_position_never_arm_it(one):
    """The switch would take the guard along."""
    do(one, lambda s: s.buy_bracket(size=5, price=98, stopprice=95, limitprice=103))
    one.price(97.5)
    one.check()
    one.bars(2)
    assert told(one) == []


def test_a_venue_that_refuses_it_is_told_once_and_trading_goes_on(scene, monkeypatch):
    """Below its volume the exchange grants no switch: a note says so."""
    monkeypatch.setattr(deadman, "_REFUSED_S", 0.1)
    one = scene(Scripted)
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.Stop, price=102))
    until(lambda: told(one)[:4] == [True, False, True, False], "it was tried twice")
    said = [e.body["text"] for e in one.events("note") if "scheduled cancel" in e.body["text"]]
    assert len(said) == 1
    one.price(102.5)
    one.check()
    assert one.position() == 5
