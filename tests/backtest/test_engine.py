"""The reference engine around a strategy: warm-up, the end of a run, what a trade tells."""

from __future__ import annotations

import datetime as dt

import backtrader as bt
import numpy as np
import pytest
from user_kit import COSTLY, FREE, RUNS, rows, run, walk

from ftbt.backtest.gate import gated
from ftbt.backtest.result import ExitReason, Status
from ftbt.errors import InputError, StrategyBroken

FLAT = (100.0, 101.0, 99.0, 100.0)


# --- warm-up --------------------------------------------------------------------------------------


class Eager(bt.Strategy):
    """Trades wherever Backtrader lets it; notes every call."""

    params = (("period", 5),)

    def __init__(self):
        super().__init__()
        self.sma = bt.ind.SMA(period=self.p.period)
        self.add_timer(when=dt.time(8, 30), repeat=dt.timedelta(minutes=15))
        self.calls = []
        RUNS.append(self)

    def prenext(self):
        self.calls.append(("prenext", len(self)))
        self.next()

    def nextstart(self):
        self.calls.append(("nextstart", len(self)))
        self.next()

    def notify_timer(self, timer, when, *args, **kwargs):
        self.calls.append(("timer", len(self.data)))
        if len(self.data) % 7 == 0:
            self.buy(size=0.2)

    def next(self):
        self.calls.append(("next", len(self)))
        self.buy(size=0.2) if len(self) % 2 else self.sell(size=0.2)


@pytest.mark.parametrize("engine", ["reference", "bar-by-bar"])
@pytest.mark.parametrize("period", [5, 40])
def test_nothing_of_the_users_runs_in_the_warm_up(period: int, engine: str) -> None:
    """next(), prenext() that trades, nextstart() and timers begin at the bar the warm-up ends."""
    RUNS.clear()
    result = run(Eager, walk(100), trade_from=20, parameters={"period": period}, engine=engine)
    calls = RUNS[0].calls
    assert min(bar for _, bar in calls) == 21
    assert {"next", "nextstart", "timer"} <= {name for name, _ in calls}
    assert ("nextstart", max(21, period)) in calls
    assert (("prenext", 21) in calls) == (period > 21)
    assert result.orders["bar"].min() == 20
    assert result.fills["bar"].min() == 21
    assert len(result.equity) == len(result.time) == 80


def test_indicators_are_warm_at_the_first_decision() -> None:
    """An average over the warm-up bars is known, and right, at the first next()."""

    class First(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.sma = bt.ind.SMA(period=50)

        def next(self):
            RUNS.append((len(self), self.sma[0]))

    RUNS.clear()
    bars = walk(80)
    run(First, bars, trade_from=60)
    assert RUNS[0] == (61, pytest.approx(bars["close"][11:61].mean()))


def test_a_warm_up_changes_no_decision_after_it() -> None:
    """The same bars with and without the strategy held back: only its own position differs."""

    class Level(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.sma = bt.ind.SMA(period=10)

        def next(self):
            above = self.data.close[0] > self.sma[0]
            if above != (self.position.size > 0):
                self.order_target_size(target=1.0 if above else -1.0)

    bars = walk(300)
    early, late = run(Level, bars), run(Level, bars, trade_from=150)
    after = early.orders[early.orders["bar"] >= 151]
    np.testing.assert_array_equal(after["bar"][-20:], late.orders["bar"][-20:])
    np.testing.assert_array_equal(after["side"][-20:], late.orders["side"][-20:])


def test_no_order_from_the_warm_up_by_any_way() -> None:
    """A hook that fires during the warm-up, such as notify_cashvalue, may not send orders."""

    class Sneaky(bt.Strategy):
        def notify_cashvalue(self, cash, value):
            if len(self) == 3:
                self.buy(size=1)

    with pytest.raises(StrategyBroken, match="before the warm-up was over"):
        run(Sneaky, walk(30), trade_from=10)


@pytest.mark.parametrize("trade_from", [-1, 30, 31])
def test_a_market_shorter_than_its_warm_up_is_refused(trade_from: int) -> None:
    """The error tells the number of bars and of warm-up bars."""
    with pytest.raises(InputError, match=r"TEST: 30 bars, but the first -?\d+ only warm"):
        run(Eager, walk(30), trade_from=trade_from)


@pytest.mark.parametrize("engine", ["reference", "bar-by-bar"])
def test_fewer_bars_than_an_indicator_needs_are_told(engine: str) -> None:
    """Where plain Backtrader stops with an IndexError, the error tells both numbers."""

    class Slow(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.ema = bt.ind.EMA(period=40)

    assert len(run(Slow, walk(40), engine=engine).equity) == 40
    with pytest.raises(InputError, match="Slow: its indicators need 40 bars, but there are 39"):
        run(Slow, walk(39), engine=engine)


def test_one_class_serves_all_runs() -> None:
    """Backtrader keeps every class for ever: a run makes none of its own."""
    run(Eager, walk(40))
    before = len(bt.Strategy.__subclasses__()) + len(Eager.__subclasses__())
    for trade_from in range(5):
        run(Eager, walk(40), trade_from=trade_from)
    assert len(bt.Strategy.__subclasses__()) + len(Eager.__subclasses__()) == before
    assert gated(Eager) is gated(Eager)


# --- the end of a run -----------------------------------------------------------------------------


class Holder(bt.Strategy):
    """Buys once, keeps a stop and a far target, and tells of everything."""

    def __init__(self):
        super().__init__()
        self.told, self.trades = [], []
        RUNS.append(self)

    def notify_order(self, order):
        self.told.append((len(self), order.getstatusname(), order.executed.size))

    def notify_trade(self, trade):
        self.trades.append((len(self), trade.isclosed, round(trade.pnl, 6)))

    def next(self):
        if len(self) == 2:
            self.buy_bracket(size=2, exectype=bt.Order.Market, stopprice=50, limitprice=300)

    def stop(self):
        self.end = (self.broker.getvalue(), self.position.size)


def test_the_forced_exit_is_told_to_the_strategy() -> None:
    """At the last bar the strategy hears of the exit, and its books agree with the result's."""
    RUNS.clear()
    result = run(Holder, rows(*[FLAT] * 4, (100, 106, 99, 105)))
    holder = RUNS[0]
    assert (5, "Completed", -2.0) in holder.told
    assert holder.trades == [(3, False, 0.0), (5, True, 10.0)]
    assert holder.end == (pytest.approx(10_010), 0.0)
    assert result.trades["exit_reason"].tolist() == [ExitReason.END]
    assert Status.OPEN not in result.orders["status"]


def test_a_liquidation_is_told_to_the_strategy() -> None:
    """The order with which the broker closes by force is notified like any other."""

    class Greedy(Holder):
        def next(self):
            if len(self) == 1:
                self.buy(size=990)

    RUNS.clear()
    result = run(Greedy, rows(FLAT, FLAT, (100, 101, 85, 90), FLAT))
    assert (3, "Completed", -990.0) in RUNS[0].told
    assert result.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]


def test_orders_of_the_last_close_never_count() -> None:
    """What is sent at the last close is rejected to the strategy and in no record."""

    class Late(Holder):
        def next(self):
            self.order = self.buy(size=1) if len(self) == 3 else None

    RUNS.clear()
    result = run(Late, rows(FLAT, FLAT, FLAT))
    assert RUNS[0].order.status == bt.Order.Rejected
    assert len(result.orders) == 0


def test_a_strategy_may_stop_the_run() -> None:
    """cerebro.runstop() ends flat at that close, with cost; the curve stays where it is."""

    class Stopper(Holder):
        def next(self):
            super().next()
            if len(self) == 5:
                self.sell(size=1, exectype=bt.Order.Limit, price=200)
                self.cerebro.runstop()

    RUNS.clear()
    rise = [(100 + i, 101 + i, 99 + i, 100 + i) for i in range(10)]
    result = run(Stopper, rows(*rise), COSTLY)
    assert len(result.equity) == 10
    assert result.trades["exit_bar"].tolist() == [4]
    assert result.trades["exit_reason"].tolist() == [ExitReason.END]
    assert (result.equity[4:] == result.equity[4]).all()
    assert result.equity[-1] == pytest.approx(10_000 + result.trades["net"].sum())
    assert Status.OPEN not in result.orders["status"]
    assert RUNS[0].end == (pytest.approx(result.equity[-1]), 0.0)
    assert "the strategy stopped the run at the bar of 2023-12-17 09:00 UTC" in result.notes


# --- what a trade tells ---------------------------------------------------------------------------


def test_a_trade_tells_its_worst_and_best_price_and_its_multiple_of_risk() -> None:
    """MAE, MFE and R of a short of two entries: against the mean entry and the first stop."""

    class Short(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.sell_bracket(size=1, exectype=bt.Order.Market, stopprice=110, limitexec=None)
            if len(self) == 2:
                self.sell(size=1)
            if len(self) == 4:
                self.close()

    prices = rows(FLAT, FLAT, (102, 106, 101, 104), (104, 105, 90, 92), (92, 93, 91, 92), FLAT)
    trade = run(Short, prices).trades[0]
    entry = 101.0
    assert trade["entry_price"] == entry
    assert trade["size"] == 2.0
    assert trade["mae"] == pytest.approx(1 - 106 / entry)
    assert trade["mfe"] == pytest.approx(1 - 90 / entry)
    assert trade["net"] == pytest.approx(2 * (entry - 92))
    assert trade["r"] == pytest.approx(2 * (entry - 92) / (2 * (110 - entry)))
    assert trade["exit_reason"] == ExitReason.SIGNAL


def test_a_break_even_stop_stands_on_the_tick() -> None:
    """After a slipped entry the stop moves to the nearest valid price, not between two ticks."""

    class Split(bt.Strategy):
        def next(self):
            if len(self) == 1:
                entry = self.buy(size=1, transmit=False)
                stop = dict(exectype=bt.Order.Stop, price=95, parent=entry, break_even=True)
                self.sell(size=1, transmit=False, **stop)
                target = dict(exectype=bt.Order.Limit, parent=entry)
                self.sell(size=0.5, price=104, target=1, transmit=False, **target)
                self.sell(size=0.5, price=120, target=2, **target)

    prices = rows(FLAT, (100.123, 105, 99, 103), (103, 104, 99, 100), FLAT)
    result = run(Split, prices, COSTLY)
    assert result.fills["price"][0] == 100.18  # 100.123 * 1.0005, up to the tick
    assert result.fills["price"][2] == 100.12  # 100.18 * 0.9995, down to the tick
    assert result.trades["exit_reason"].tolist() == [ExitReason.BREAK_EVEN]


def test_two_runs_are_the_same_to_the_last_byte() -> None:
    """Orders, fills, trades and equity do not depend on what ran before."""
    one, two = (run(Eager, walk(200, 9), COSTLY) for _ in range(2))
    for name in ("orders", "fills", "trades", "equity"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.settings == COSTLY != FREE
