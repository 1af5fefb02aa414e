"""What happens while nobody is there is dealt with by the next process."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from live_kit import COIN, PRICE, QUARTER, SETTINGS, Scene, until

from ftbt.backtest.result import ExitReason, Status
from ftbt.data.timeframe import DAY_MS
from ftbt.hyperliquid.account import Truth
from ftbt.hyperliquid.records import ZERO, AccountState, OrderReport
from ftbt.hyperliquid.rest import Equity
from ftbt.live import truth
from ftbt.live.dispatch import Done, Look
from ftbt.live.fold import fold
from ftbt.live.journal import LiveJournal, read_journal
from ftbt.risk.allocation import Allocation

LIMIT = 2


def waiting(one: Scene) -> Scene:
    """Return a session whose limit entry waits."""
    one.enter(kind=LIMIT, entry=98.0)
    assert len(one.orders()) == 2
    return one


def holding(one: Scene) -> Scene:
    """Return a session that has a position with stop and two targets."""
    waiting(one).price(97.5)
    assert len(one.orders()) == 3
    return one


def reasons(one: Scene) -> list[int]:
    """Return the exit reasons of the trades so far."""
    return [int(row["exit_reason"]) for row in one.broker.desk.trade_records()]


def sent(one: Scene) -> int:
    """Return how many actions the journal says were sent."""
    with read_journal(one.state / "journal.db") as journal:
        return len(list(journal.sent()))


def test_a_start_with_nothing_to_do_sends_nothing(scene):
    """A position with its orders is taken over as it stands."""
    one = holding(scene())
    before, orders = sent(one), one.orders()
    one.die()
    one.again()
    assert (sent(one), one.orders()) == (before, orders)
    one.price(94)
    assert reasons(one) == [ExitReason.STOP]


def test_an_entry_that_fills_while_nobody_is_there_is_protected_and_goes_on(scene):
    """The guard protects meanwhile; the next process adds the targets."""
    one = waiting(scene())
    one.die()
    one.net.control("/market/price", {"coin": COIN, "price": 97.5})
    assert [o["isTrigger"] for o in one.orders()] == [True]
    one.again()
    assert sorted(o["isTrigger"] for o in one.orders()) == [False, False, True]
    one.price(105.5)
    one.price(111)
    assert reasons(one) == [ExitReason.TARGET2]


def test_a_strategy_in_a_drawdown_trades_with_less_and_the_next_process_knows_it(scene):
    """Its share follows what its own fills have earned, from its own peak, across a restart."""
    shrinks = Allocation(drawdown_aware=True, cut_at=0.05, floor=0.25)
    one = scene(allocation=shrinks)
    one.enter()
    one.price(94)
    one.bars()
    lost = 10_000 - one.broker.desk.cash
    assert lost > 50
    factor = one.broker.shares.factor[0]
    assert factor == pytest.approx(1.0 - 0.75 * (lost / 10_000) / 0.05)
    one.die()
    one.price(PRICE, settle=False)
    one.again()
    one.bars()
    assert one.broker.shares.factor[0] == pytest.approx(factor)


def test_a_stop_that_fires_while_nobody_is_there_ends_the_trade(scene):
    """The fill is booked by the next process, with its reason, and nothing is left over."""
    one = holding(scene())
    one.die()
    one.net.control("/market/price", {"coin": COIN, "price": 94})
    one.again()
    assert reasons(one) == [ExitReason.STOP]
    assert not one.orders()


def test_a_target_that_fills_while_nobody_is_there_moves_the_stop(scene):
    """The stop goes to the entry as soon as somebody is there again."""
    one = holding(scene())
    one.die()
    one.net.control("/market/price", {"coin": COIN, "price": 105.5})
    one.again()
    stops = [float(o["triggerPx"]) for o in one.orders() if o["isTrigger"]]
    assert stops == [pytest.approx(97.5, abs=0.01)]


def test_an_entry_that_is_cancelled_while_nobody_is_there_is_over(scene):
    """It is not sent again: somebody did not want it."""
    one = waiting(scene())
    one.die()
    one.net.control("/orders/cancel", {"user": one.user})
    one.again()
    until(lambda: one.events("end"), "the entry has ended")
    assert one.events("end")[0].body["status"] == Status.CANCELLED
    assert not one.orders()


def test_funding_that_is_paid_while_nobody_is_there_is_booked_once(scene):
    """Also when two processes after it could have."""
    one = holding(scene())
    one.die()
    one.net.control("/funding", {"coin": COIN, "rate": 0.001})
    for _ in range(2):
        one.again()
        until(lambda: one.events("funding"), "funding is booked")
        one.die()
    assert len(one.events("funding")) == 1
    one.again()
    one.check()


def test_what_somebody_else_has_is_still_somebody_elses_after_a_start(scene):
    """A foreign position is told apart by the next process as well."""
    one = scene()
    by_hand = {"coin": COIN, "is_buy": True, "price": 110, "size": 2, "tif": "Ioc"}
    one.net.control("/orders/place", {"user": one.user, **by_hand})
    until(lambda: one.events("foreign"), "it is noticed")
    one.die()
    one.foreign = 2.0
    one.again()
    assert "somebody else" in one.seen.ready
    assert one.book.size == 0
    assert len(one.events("foreign")) == 1


def test_a_position_that_went_without_a_fill_is_gone_for_good(scene, tmp_path, monkeypatch):
    """What was booked for want of a fill is in the journal: the next fold is flat, to the cent."""
    path, worth = tmp_path / "journal.db", Decimal(10_000)
    copy_journal(holding(scene()).state / "journal.db", path)
    empty = AccountState(worth, ZERO, worth, {}, 0)
    none_there = Truth(empty, Equity(worth, worth, "default"), (), float("inf"), True, {})
    monkeypatch.setattr(truth, "ASTRAY_S", 0.0)
    told = []
    with read_journal(path) as journal:
        first = fold(journal, {COIN: 97.5}, note=lambda *event: told.append(event)).broker
    for leg in list(first.legs.all_alive()):
        size = leg.size
        over = (COIN, leg.is_buy, 1, leg.cloid, size, size, "reduceOnlyCanceled", 0)
        first.events.done(Done(Look(leg.cloid), report=OrderReport(*over)))
    for _ in range(3):  # one ends the orders, and of the position it counts when said twice
        first.events.truth(none_there)
    assert not first.coins[COIN].size

    with LiveJournal.open(path, deployment="copy") as writer:
        for kind, body, coin in told:
            writer.note(kind, body, coin=coin)
    with read_journal(path) as journal:
        again = fold(journal, {COIN: 97.5}).broker
    assert not again.coins[COIN].size
    assert again.desk.cash == first.desk.cash
    assert len(again.desk.trades) == len(first.desk.trades) == 1


def copy_journal(source: Path, target: Path) -> None:
    """Write the events of a journal into a new one."""
    with read_journal(source) as journal, LiveJournal.open(target, deployment="copy") as writer:
        for event in journal.events():
            if event.kind != "journal":
                writer.note(event.kind, event.body, coin=event.coin, market_ms=event.market_ms)


@pytest.mark.parametrize("dies", [False, True])
def test_a_trade_of_the_first_bar_of_a_day_is_one_of_that_day(scene, dies):
    """Trades opened before the day's first bar is over count for that day, also after a death."""
    settings = replace(SETTINGS, limits=replace(SETTINGS.limits, trades_per_day=1))
    one = scene(settings=settings)
    one.net.control("/run", {"until": midnight(one) - QUARTER.ms})
    one.until_decided()
    one.enter()  # at the last close of a day: it fills when the next one has begun
    one.price(94)
    if dies:
        one.die()
        one.again()
    one.enter()
    assert not one.position()
    one.check()


def midnight(one: Scene) -> int:
    """Return when the next day of the market begins, ms."""
    return (one.net.market_time() // DAY_MS + 1) * DAY_MS
