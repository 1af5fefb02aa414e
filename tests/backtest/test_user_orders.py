"""Orders of users' strategies: brackets, deadlines, reversals, notes, and what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from user_kit import RUNS, recorded, rows, run, walk

from ftbt.backtest.result import ExitReason, Kind, Role, Status
from ftbt.errors import StrategyBroken

FLAT = (100.0, 101.0, 99.0, 100.0)


class Brackets(bt.Strategy):
    """Limit entries with a stop and a target, valid for some days, after Backtrader's sample."""

    params = (("p1", 5), ("p2", 15), ("limit", 0.002), ("limdays", 0.05))

    def notify_order(self, order):
        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)

    def __init__(self):
        super().__init__()
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.p1), bt.ind.SMA(period=self.p.p2))
        self.orefs = []

    def next(self):
        if self.orefs or self.position:
            return
        if self.cross > 0.0:
            close = self.data.close[0]
            p1 = close * (1.0 - self.p.limit)
            orders = self.buy_bracket(
                size=2, price=p1, valid=dt.timedelta(self.p.limdays),
                stopprice=p1 - 0.01 * close, stopargs=dict(valid=None),
                limitprice=p1 + 0.01 * close, limitargs=dict(valid=None),
            )  # fmt: skip
        elif self.cross < 0.0:
            close = self.data.close[0]
            orders = self.sell_bracket(
                size=2, exectype=bt.Order.Market,
                stopprice=1.01 * close, limitprice=0.99 * close,
            )  # fmt: skip
        else:
            return
        self.orefs = [order.ref for order in orders]


def test_a_bracket_protects_from_its_fill_and_closes_once() -> None:
    """Each bracket ends by one of its children, expires as a whole, or ends with the run."""
    result = run(Brackets, walk(1500, 4))
    orders, fills = result.orders, result.fills
    entries = orders[orders["role"] == Role.ENTRY]
    assert {1, -1} == set(entries["side"].tolist())
    assert (entries["status"] == Status.EXPIRED).any()
    for entry in entries:
        children = orders[orders["parent"] == entry["id"]]
        assert sorted(children["role"].tolist()) == [Role.STOP, Role.TARGET1]
        filled = children[children["status"] == Status.FILLED]
        if entry["status"] == Status.EXPIRED:
            assert (children["status"] == Status.CANCELLED).all()
            assert (children["end_bar"] == entry["end_bar"]).all()
        else:
            assert len(filled) <= 1
    assert (fills["bar"][1::2] >= fills["bar"][::2]).all()
    same_bar = result.trades["entry_bar"] == result.trades["exit_bar"]
    assert same_bar.any(), "a stop that waited for the next bar would never close in the same one"
    assert (result.trades["exit_reason"][same_bar] == ExitReason.STOP).any()


def test_a_closing_auction_of_two_trades_one() -> None:
    """Of two orders for the close of which one cancels the other, only the first one fills."""

    def send(self):
        one = self.buy(size=1, exectype=bt.Order.Close)
        self.buy(size=2, exectype=bt.Order.Close, oco=one)

    result = run(scripted(bar1=[send]), rows(FLAT, FLAT, FLAT))
    assert result.orders["status"].tolist()[:2] == [Status.FILLED, Status.CANCELLED]


class OneCancelsOther(bt.Strategy):
    """Three entries of which one may trade, after Backtrader's sample."""

    def __init__(self):
        super().__init__()
        self.groups = []

    def next(self):
        if self.position:
            if len(self) % 25 == 24:
                self.close()
            return
        if len(self) % 25 == 0:
            close = self.data.close[0]
            one = self.buy(size=1, exectype=bt.Order.Limit, price=close * 0.98)
            two = self.buy(size=1, exectype=bt.Order.Stop, price=close * 1.02, oco=one)
            three = self.sell(size=1, exectype=bt.Order.Stop, price=close * 0.97, oco=one,
                              valid=dt.timedelta(hours=3))  # fmt: skip
            self.groups.append([one.ref, two.ref, three.ref])


def test_one_cancels_other() -> None:
    """Of each group at most one order trades, and its end - fill or expiry - ends the others."""
    RUNS.clear()
    result = run(recorded(OneCancelsOther), walk(990, 5))
    groups = RUNS[0].groups
    kinds = result.orders[np.isin(result.orders["kind"], [Kind.LIMIT, Kind.STOP])]
    assert len(kinds) == 3 * len(groups)
    by_three = [kinds[i : i + 3] for i in range(0, len(kinds), 3)]
    assert any((group["status"] == Status.EXPIRED).any() for group in by_three)
    for group in by_three:
        assert len(set(group["end_bar"].tolist())) == 1, "the group ends together"
        assert (group["status"] == Status.FILLED).sum() <= 1


class OcoCancelled(bt.Strategy):
    """Cancels one of two."""

    def next(self):
        if len(self) == 1:
            self.one = self.buy(size=1, exectype=bt.Order.Limit, price=90)
            self.two = self.buy(size=1, exectype=bt.Order.Limit, price=95, oco=self.one)
        if len(self) == 2:
            self.cancel(self.one)


def test_a_cancelled_order_takes_its_group_along() -> None:
    """As in Backtrader, the cancellation of one order of a group cancels the others."""
    result = run(OcoCancelled, rows(FLAT, FLAT, (95, 96, 80, 85), FLAT))
    assert result.orders["status"].tolist() == [Status.CANCELLED] * 2
    assert result.orders["end_bar"].tolist() == [1, 1]


class Once(bt.Strategy):
    """Sends what a test says at the first close; `at` maps later bars to actions."""

    script: Any = None

    def next(self):
        for action in type(self).script.get(len(self), ()):
            action(self)


def scripted(**by_bar: Any) -> type[Once]:
    """A strategy of actions by bar: `bar1=[...]` acts at the close of the first bar."""
    script = {int(name.removeprefix("bar")): actions for name, actions in by_bar.items()}
    return type("Scripted", (Once,), {"script": script})


def test_a_child_that_is_cancelled_takes_its_brother_along() -> None:
    """As Backtrader documents: when one of stop and target is cancelled, the other is as well."""

    def send(self):
        self.orders = self.buy_bracket(
            size=1, exectype=bt.Order.Market, stopprice=95, limitprice=110
        )

    cls = scripted(bar1=[send], bar2=[lambda self: self.cancel(self.orders[2])])
    result = run(cls, rows(FLAT, FLAT, (100, 101, 90, 95), FLAT))
    assert result.orders["status"].tolist()[:3] == [
        Status.FILLED, Status.CANCELLED, Status.CANCELLED,
    ]  # fmt: skip
    assert result.trades["exit_reason"][0] == ExitReason.END


def test_a_held_entry_that_is_cancelled_stays_cancelled() -> None:
    """An entry cancelled before its bracket was sent does not come back with it."""

    def send(self):
        entry = self.buy(size=1, transmit=False)
        self.cancel(entry)
        self.sell(size=1, exectype=bt.Order.Stop, price=95, parent=entry)

    result = run(scripted(bar1=[send]), rows(FLAT, FLAT, FLAT))
    assert len(result.fills) == 0
    assert result.orders["status"].tolist() == [Status.CANCELLED] * 2


def test_orders_that_are_never_transmitted_end_with_the_run() -> None:
    """transmit=False without a last order to send them leaves nothing open in the records."""
    cls = scripted(bar1=[lambda self: self.buy(size=1, transmit=False)])
    result = run(cls, rows(FLAT, FLAT, FLAT))
    assert result.orders["status"].tolist() == [Status.CANCELLED]


def test_a_bracket_whose_target_is_below_a_lot_goes_without_it() -> None:
    """A target of no lots is refused and counted; entry and stop trade."""

    def send(self):
        entry = self.buy(size=1, transmit=False)
        self.sell(size=1, exectype=bt.Order.Stop, price=95, parent=entry, transmit=False)
        self.sell(size=0.004, exectype=bt.Order.Limit, price=110, parent=entry)

    result = run(scripted(bar1=[send]), rows(FLAT, FLAT, (100, 101, 90, 95), FLAT))
    assert result.trades["exit_reason"].tolist() == [ExitReason.STOP]
    assert result.refused == {"below the smallest order": 1}


def test_a_bracket_whose_stop_is_refused_does_not_trade() -> None:
    """An entry whose stop the venue would not take is withdrawn: it would be unprotected."""

    def send(self):
        entry = self.buy(size=1, transmit=False)
        self.sell(size=0.004, exectype=bt.Order.Stop, price=95, parent=entry, transmit=False)
        self.sell(size=1, exectype=bt.Order.Limit, price=110, parent=entry)

    result = run(scripted(bar1=[send]), rows(FLAT, FLAT, FLAT))
    assert len(result.fills) == 0
    assert Status.OPEN not in result.orders["status"]


def test_a_stop_sent_after_the_fill_closes_its_entry() -> None:
    """A child that names a parent which has filled already works at once."""

    def enter(self):
        self.entry = self.buy(size=2)

    def protect(self):
        self.sell(size=1, exectype=bt.Order.Limit, price=104, parent=self.entry)
        self.sell(size=2, exectype=bt.Order.Stop, price=95, parent=self.entry)

    prices = rows(FLAT, FLAT, (100, 105, 99, 100), (100, 101, 94, 95), FLAT)
    result = run(scripted(bar1=[enter], bar2=[protect]), prices)
    assert result.fills["size"].tolist() == [2.0, 1.0, 1.0]
    assert result.fills["price"].tolist() == [100, 104, 95]


def test_a_trailing_child_starts_with_its_entry() -> None:
    """A trailing stop of a bracket does not climb while its entry still waits below."""

    def send(self):
        entry = self.buy(size=1, exectype=bt.Order.Limit, price=98, transmit=False)
        self.sell(size=1, exectype=bt.Order.StopTrail, trailamount=4, parent=entry)

    prices = rows(
        FLAT,
        (100, 106, 99, 105),
        (105, 106, 97.5, 99),
        (99, 103, 98, 102),
        (102, 103, 97, 99),
        FLAT,
    )
    result = run(scripted(bar1=[send]), prices)
    # Trails from 96, where it stood when it was sent, to 102 - 4.
    assert result.fills["bar"].tolist() == [2, 4]
    assert result.fills["price"].tolist() == [98, 98]


def test_a_reversal_ends_the_old_bracket() -> None:
    """When a larger opposite order turns the position, the old stop and target are gone."""

    def send(self):
        self.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=95, limitprice=110)

    turn = {"bar2": [lambda self: self.sell(size=2)], "bar3": [lambda self: self.buy(size=2)]}
    prices = rows(FLAT, FLAT, FLAT, FLAT, (100, 101, 90, 92), FLAT)
    result = run(scripted(bar1=[send], **turn), prices)
    assert result.trades["side"].tolist() == [1, -1, 1]
    assert result.orders["end_bar"].tolist()[:3] == [1, 2, 2]
    assert result.trades["exit_reason"][-1] == ExitReason.END, "the stop was the first long's"


def test_a_reversal_needs_margin_too() -> None:
    """Turning around is closing and opening: the new side is refused beyond the margin."""
    turn = scripted(
        bar1=[lambda self: self.buy(size=950)], bar2=[lambda self: self.sell(size=1900)]
    )
    fall = (93.5, 94, 93, 93.5)  # equity 3,825: enough for 409 coins, not for 950
    result = run(turn, rows(FLAT, FLAT, fall, fall))
    assert result.refused == {"not enough margin": 1}
    assert result.trades["side"].tolist() == [1]


def test_a_deadline_may_be_a_date() -> None:
    """valid=datetime.date means its first moment, as in Backtrader; timedelta() means today."""
    tomorrow = dt.date(2023, 12, 18)

    def send(self, valid):
        self.buy(size=1, exectype=bt.Order.Limit, price=90, valid=valid)

    for valid in (tomorrow, dt.timedelta(), 0, dt.datetime(2023, 12, 17, 23, 59)):  # noqa: DTZ001
        bars = rows(*[FLAT] * 100)
        result = run(scripted(bar1=[lambda self, v=valid: send(self, v)]), bars)
        opened = result.time[result.orders["end_bar"][0]]
        assert result.orders["status"][0] == Status.EXPIRED
        first = dt.datetime.fromtimestamp(opened / 1000, dt.UTC)
        assert first.date() == tomorrow
        assert first.minute == (15 if valid == tomorrow else 0)


def test_close_orders_fill_at_the_close() -> None:
    """bt.Order.Close trades at the close of the next bar."""
    cls = scripted(bar1=[lambda self: self.buy(size=1, exectype=bt.Order.Close)])
    result = run(cls, rows(FLAT, (100, 105, 99, 103), FLAT))
    assert (result.fills["bar"][0], result.fills["price"][0]) == (1, 103)


def test_notes_of_the_users_own_do_not_disturb() -> None:
    """Keywords that Backtrader keeps in order.info may have any name and value."""

    def send(self):
        order = self.buy(size=1, reason="breakout", confidence="high", targets=3, name="x")
        assert order.info.reason == "breakout"
        assert order.info.name == "x"

    result = run(scripted(bar1=[send]), rows(FLAT, FLAT, FLAT))
    assert result.trades["entry_reason"].tolist() == [-1]
    assert result.trades_frame()["entry_reason"].tolist() == ["signal"]


# --- what can't be done is said -------------------------------------------------------------------


def test_the_broken_idiom_is_named() -> None:
    """An unsupported call names itself, why, and where it stands."""

    def cheat(self):
        self.broker.set_coc(True)

    with pytest.raises(StrategyBroken, match=r"set_coc.*next bar.*test_user_orders.py:\d+\)"):
        run(scripted(bar1=[cheat]), rows(FLAT, FLAT))


def test_a_trailing_distance_of_zero_is_none() -> None:
    """As in Backtrader: amount 0 leaves the percentage, and both 0 are no trailing stop."""

    class Trails(bt.Strategy):
        params = (("amount", 0.0), ("percent", 0.02))

        def next(self):
            if len(self) == 1:
                self.buy(size=1)
            elif len(self) == 2:
                distance = {"trailamount": self.p.amount, "trailpercent": self.p.percent}
                self.sell(size=1, exectype=bt.Order.StopTrail, **distance)

    falls = rows(FLAT, FLAT, FLAT, (100.0, 100.5, 96.0, 97.0), FLAT)
    by_percent = run(Trails, falls)
    by_amount = run(Trails, falls, parameters={"amount": 2.0, "percent": 0.0})
    assert by_percent.fills["price"].tolist() == by_amount.fills["price"].tolist() == [100.0, 98.0]
    with pytest.raises(StrategyBroken, match="a trailing stop needs trailamount"):
        run(Trails, falls, parameters={"percent": 0.0})
