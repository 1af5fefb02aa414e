"""A user's own Backtrader strategy, live: the orders that Backtrader offers, on the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backtrader as bt
import pytest
from live_kit import QUARTER, SETTINGS, Scene, until

from ftbt.backtest.result import ExitReason, Status
from ftbt.risk.limits import Limits


class Scripted(bt.Strategy):
    """Does at the close of a bar what its plan says: open of the bar (ms) -> a function of it."""

    plan: dict[int, Callable[[Any], Any]] = {}

    def __init__(self) -> None:
        self.told: list[int] = []

    def next(self) -> None:
        act = self.plan.get(self.broker.coins[self.data.coin].bar_time)
        if act is not None:
            self.kept = act(self)

    def notify_order(self, order: Any) -> None:
        self.told.append(order.status)


@pytest.fixture
def one(scene) -> Scene:
    """Return a session of a strategy that is told what to do."""
    return scene(Scripted)


def do(one: Scene, act: Callable[[Any], Any]) -> None:
    """Have the strategy act at the close of the bar that is on."""
    one.plan[one.net.market_time() // QUARTER.ms * QUARTER.ms] = act
    one.bars()


def strategy(one: Scene) -> Any:
    """Return the strategy object."""
    return one.run.cerebro.runningstrats[0]


def reasons(one: Scene) -> list[int]:
    """Return the exit reasons of the trades so far."""
    return [int(row["exit_reason"]) for row in one.broker.desk.trade_records()]


def test_a_bracket_is_native_on_the_exchange(one):
    """`buy_bracket` rests with its stop; once filled, its target stands beside it."""
    do(one, lambda s: s.buy_bracket(size=10, price=98, stopprice=95, limitprice=103))
    assert len(one.orders()) == 2
    one.price(97.5)
    one.check()
    assert one.position() == 10
    one.price(103.5)
    one.check()
    assert not one.position()
    one.bars()
    assert bt.Order.Completed in strategy(one).told
    assert reasons(one) == [ExitReason.TARGET1]


def test_a_stop_entry_is_a_trigger_on_the_exchange(one):
    """A buy stop above the market waits as a trigger and opens when price is there."""
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.Stop, price=102))
    assert [float(o["triggerPx"]) for o in one.orders()] == [102]
    one.check()
    one.price(102.5)
    one.check()
    assert one.position() == 5


def test_a_stop_limit_entry_keeps_its_limit(one):
    """Once triggered it is a limit order and fills at no worse price."""
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.StopLimit, price=102, plimit=102.2))
    one.price(103)  # beyond the limit: it rests
    assert one.position() == 0
    one.price(102.1)
    one.check()
    assert one.position() == 5


def test_a_stop_entry_that_the_market_has_passed_opens_at_once(one):
    """The exchange takes no trigger that is reached: it goes out at the market, as in the model."""
    do(
        one,
        lambda s: s.buy_bracket(
            size=5, exectype=bt.Order.Stop, price=99, stopprice=95, limitprice=103
        ),
    )
    one.check()
    assert one.position() == 5
    assert sorted(o["isTrigger"] for o in one.orders()) == [False, True]
    assert len(one.events("refused")) == 1


def test_a_stop_limit_that_the_market_has_passed_is_its_limit_also_after_a_restart(one):
    """The trigger is reached already: what is left is a limit order, and stays one."""
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.StopLimit, price=99, plimit=98))
    assert [float(o["limitPx"]) for o in one.orders()] == [98]
    one.die()
    one.again()
    one.check()
    assert [(o["isTrigger"], float(o["limitPx"])) for o in one.orders()] == [(False, 98)]
    assert one.broker.desk.orders[0].triggered
    one.price(97.5)
    one.check()
    assert one.position() == 5


def test_closing_ends_flat_and_never_turns(one):
    """`close` is a market order that can only close."""
    do(one, lambda s: s.buy(size=5))
    assert one.position() == 5
    do(one, lambda s: s.close())
    one.check()
    assert not one.position()
    sent = [e.body for e in one.events("leg")]
    assert len(sent) == 2


def test_a_sale_of_more_than_there_is_turns_the_position(one):
    """As in a back-test, a bigger order the other way ends one trade and begins another."""
    do(one, lambda s: s.buy(size=5))
    do(one, lambda s: s.sell(size=8))
    one.check()
    assert one.position() == -3
    assert len(reasons(one)) == 1


def test_one_cancels_the_other(one):
    """When one of two orders fills, the other goes from the exchange."""

    def both(s: Any) -> Any:
        first = s.buy(size=5, exectype=bt.Order.Limit, price=98)
        return s.buy(size=5, exectype=bt.Order.Stop, price=102, oco=first)

    do(one, both)
    assert len(one.orders()) == 2
    one.price(97.9)
    one.check()
    assert one.position() == 5
    assert not one.orders()


def test_a_trailing_stop_follows_close_by_close(one):
    """The trigger moves with the closes, and the old one goes when the new one stands."""

    def trailed(s: Any) -> Any:
        parent = s.buy(size=5, transmit=False)
        return s.sell(size=5, exectype=bt.Order.StopTrail, trailamount=3, parent=parent)

    do(one, trailed)
    one.check()
    assert [float(o["triggerPx"]) for o in one.orders()] == [97]
    one.bars(2)
    one.check()
    one.price(96.5)
    one.check()
    assert not one.position()


def test_an_order_is_taken_back(one):
    """`cancel` takes a waiting order from the exchange; the strategy is told at a close."""
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.Limit, price=98))
    do(one, lambda s: s.cancel(s.kept))
    one.check()
    assert not one.orders()
    one.bars()
    assert bt.Order.Canceled in strategy(one).told


def test_an_order_expires(one):
    """`valid` ends an order at its close, on the exchange as well."""
    limit = {"size": 5, "exectype": bt.Order.Limit, "price": 98}
    do(one, lambda s: s.buy(valid=s.data.datetime.datetime(0), **limit))
    one.bars(2)
    one.check()
    assert not one.orders()
    assert one.broker.desk.orders[0].status == Status.EXPIRED


def test_an_order_for_the_close_goes_out_at_the_end_of_the_bar(one):
    """`Order.Close` waits for its bar to end, and is then a market order."""
    do(one, lambda s: s.buy(size=5, exectype=bt.Order.Close))
    assert not one.position()
    one.bars()
    one.check()
    assert one.position() == 5


def test_a_stop_that_the_user_takes_back_takes_its_target_along(one):
    """Backtrader's rule: children of a bracket go together."""
    do(one, lambda s: s.buy_bracket(size=10, price=98, stopprice=95, limitprice=103))
    one.price(97.5)
    do(one, lambda s: s.cancel(_stop_of(s)))
    one.check()
    assert one.position() == 10
    assert not one.orders()


def _stop_of(s: Any) -> Any:
    working = next(w for w in s.broker.coins[s.data.coin].active if w.is_stop_kind)
    return working.order


def test_more_than_the_account_can_carry_is_refused(one):
    """An order without the margin for it ends as Margin or Rejected; nothing is left."""
    do(one, lambda s: s.buy(size=5_000))
    one.check()
    assert not one.position()
    until(lambda: one.broker.desk.orders[0].status in (Status.MARGIN, Status.REJECTED), "refused")


ONE_ONLY = replace(SETTINGS, limits=replace(Limits.none(), total_exposure=0.05))


def swap(s):
    """Take the waiting entry back and ask for another one that needs its room."""
    s.cancel(s.kept)
    s.seen = s.buy(size=40, exectype=bt.Order.Limit, price=97)


def test_an_entry_has_the_room_of_one_that_was_taken_back_at_the_same_close(scene):
    """As in the back-test; it goes out when the exchange has confirmed that the other is gone."""
    one = scene(Scripted, settings=ONE_ONLY)
    do(one, lambda s: s.buy(size=40, exectype=bt.Order.Limit, price=98))
    do(one, lambda s: s.buy(size=40, exectype=bt.Order.Limit, price=97) and None)
    assert [float(o["limitPx"]) for o in one.orders()] == [98]  # no room for both
    one.run.cerebro.runningstrats[0].kept = one.broker.desk.orders[0].order
    do(one, swap)
    one.check()
    assert [float(o["limitPx"]) for o in one.orders()] == [97]


def test_an_entry_is_not_sent_when_the_one_taken_back_for_it_fills_after_all(scene):
    """Both would be more than the limits allow."""
    one = scene(Scripted, settings=ONE_ONLY)
    do(one, lambda s: s.buy(size=40, exectype=bt.Order.Limit, price=98))
    one.strike("fill_before_cancel")
    do(one, swap)
    one.check()
    assert one.position() == 40
    assert not one.orders()
    assert one.broker.desk.orders[1].status == Status.REJECTED
