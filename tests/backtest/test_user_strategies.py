"""Ordinary Backtrader strategies, as users write them, run unchanged.

Where the execution model and plain Backtrader agree (market orders, stops, trailing stops, without
costs) the fills are compared with Backtrader's own broker; elsewhere with what the model says.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from user_kit import COSTLY, FREE, RUNS, plain, recorded, rows, run, walk

from ftbt.backtest.loop import BarLoop
from ftbt.backtest.result import ExitReason
from ftbt.data.market import Instrument

ANY_SIZE = Instrument("TEST", size_decimals=2, max_leverage=20.0, min_notional=0.0)

# --- strategies as they are found in tutorials and forums -----------------------------------------


class SmaCross(bt.Strategy):
    """The classic: buy when the fast average crosses up, leave when it crosses down."""

    params = (("pfast", 10), ("pslow", 30), ("printlog", False))

    def log(self, txt, dt=None, doprint=False):
        """Print with the date, as the quickstart does."""
        if self.params.printlog or doprint:
            dt = dt or self.datas[0].datetime.date(0)
            print(f"{dt.isoformat()}, {txt}")

    def __init__(self):
        super().__init__()
        self.dataclose = self.datas[0].close
        self.order = None
        fast = bt.ind.SMA(self.datas[0], period=self.params.pfast)
        slow = bt.ind.SMA(self.datas[0], period=self.params.pslow)
        self.crossover = bt.ind.CrossOver(fast, slow)

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status in [order.Completed]:
            side = "BUY" if order.isbuy() else "SELL"
            self.log(f"{side} EXECUTED, {order.executed.price:.2f}, {order.executed.comm:.2f}")
            self.bar_executed = len(self)
        elif order.status in [order.Canceled, order.Margin, order.Rejected]:
            self.log("Order Canceled/Margin/Rejected")
        self.order = None

    def notify_trade(self, trade):
        if not trade.isclosed:
            return
        self.log(f"OPERATION PROFIT, GROSS {trade.pnl:.2f}, NET {trade.pnlcomm:.2f}")

    def next(self):
        self.log(f"Close, {self.dataclose[0]:.2f}")
        if self.order:
            return
        if not self.position:
            if self.crossover > 0:
                self.order = self.buy(size=3)
        elif self.crossover < 0:
            self.order = self.close()


class SignalCross(bt.SignalStrategy):
    """Long and short by a signal, as on Backtrader's front page."""

    def __init__(self):
        super().__init__()
        sma1, sma2 = bt.ind.SMA(period=10), bt.ind.SMA(period=30)
        self.signal_add(bt.SIGNAL_LONGSHORT, bt.ind.CrossOver(sma1, sma2))


class TargetPercent(bt.Strategy):
    """Holds a share of the account, long or short, and rebalances it."""

    params = (("every", 20),)

    def __init__(self):
        super().__init__()
        self.momentum = bt.ind.Momentum(self.data.close, period=15)

    def next(self):
        if len(self) % self.p.every == 0:
            share = 0.6 if self.momentum[0] > 0 else -0.4
            self.order_target_percent(target=share)


class TargetValue(bt.Strategy):
    """A fixed notional, flat now and then."""

    def next(self):
        turn = len(self) % 60
        if turn == 10:
            self.order_target_value(target=2500.0)
        elif turn == 30:
            self.order_target_value(target=-1200.0)
        elif turn == 50:
            self.order_target_value(target=0.0)


class TargetSize(bt.Strategy):
    """Fractional target sizes through zero."""

    def next(self):
        steps = {5: 0.3, 10: 0.7, 15: -0.45, 20: 0.01, 25: 0.0}
        if len(self) % 30 in steps:
            self.order_target_size(target=steps[len(self) % 30])


class Trailing(bt.Strategy):
    """Enters on a rate of change, leaves by a trailing stop alone."""

    params = (("trailamount", 1.5),)

    def __init__(self):
        super().__init__()
        self.roc = bt.ind.RateOfChange(period=12)
        self.stop_order = None

    def notify_order(self, order):
        if order.status == order.Completed and order.isbuy():
            self.stop_order = self.sell(
                size=order.executed.size,
                exectype=bt.Order.StopTrail,
                trailamount=self.p.trailamount,
            )

    def next(self):
        if not self.position and self.roc[0] > 0.005:
            self.buy(size=2)


class StopOrReverse(bt.Strategy):
    """Always in the market; a plain stop order turns the position around."""

    def __init__(self):
        super().__init__()
        self.atr = bt.ind.ATR(period=14)
        self.order = None

    def next(self):
        if not self.position:
            if self.order is None:
                self.order = self.buy(size=1)
            return
        if self.order.alive():
            if len(self) % 8 == 0:  # a new price next time
                self.cancel(self.order)
            return
        side = 1 if self.position.size > 0 else -1
        price = round(self.data.close[0] - side * 0.7 * self.atr[0], 3)
        turn = self.sell if side > 0 else self.buy
        self.order = turn(size=2, exectype=bt.Order.Stop, price=price)


class RsiMean(bt.Strategy):
    """Several indicators with long periods, and every stage of Backtrader's life cycle."""

    def __init__(self):
        super().__init__()
        self.rsi = bt.ind.RSI(self.data.close, period=14)
        self.bands = bt.ind.BollingerBands(self.data.close, period=120)
        self.macd = bt.ind.MACD(self.data.close)
        self.ema = bt.ind.ExponentialMovingAverage(self.data.close, period=200)
        self.calls = []

    def prenext(self):
        self.calls.append("prenext")

    def nextstart(self):
        self.calls.append("nextstart")
        self.next()

    def next(self):
        self.calls.append("next")
        assert not np.isnan(self.ema[0])
        if not self.position:
            if self.rsi[0] < 40 and self.data.close[0] < self.bands.mid[0]:
                self.buy(size=1.5)
            elif self.rsi[0] > 60 and self.data.close[0] > self.bands.mid[0]:
                self.sell(size=1.5)
        elif len(self) - self.opened > 15:
            self.close()

    def notify_trade(self, trade):
        if trade.justopened:
            self.opened = len(self)


AGREEING = [SmaCross, SignalCross, TargetPercent, TargetValue, TargetSize, Trailing, StopOrReverse,
            RsiMean]  # fmt: skip


@pytest.mark.parametrize("cls", AGREEING)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_users_strategy_gets_the_fills_of_plain_backtrader(cls: type[Any], seed: int) -> None:
    """Without costs: fill for fill, to the last cent of equity, what Backtrader's broker gives."""
    bars = walk(900, seed)
    theirs = plain(recorded(cls), bars)
    RUNS.clear()
    result = run(recorded(cls), bars, rules=ANY_SIZE)
    ours = RUNS[0]
    assert len(theirs.seen) > 8, "an idle strategy shows nothing"
    end = result.fills["reason"] == ExitReason.END
    assert len(ours.seen) - end.sum() == len(theirs.seen)
    for got, expected in zip(ours.seen, theirs.seen, strict=False):
        assert got == pytest.approx(expected, abs=1e-9)
    assert result.equity[-1] == pytest.approx(theirs.broker.getvalue(), abs=0.005)


def test_fees_of_market_orders_are_those_of_plain_backtrader() -> None:
    """With one fee for all and no slippage the account is the same to the cent."""
    import dataclasses

    bars = walk(900, 3)
    theirs = plain(recorded(SmaCross), bars, fee=0.0005)
    settings = dataclasses.replace(FREE, taker_fee=0.0005)
    result = run(SmaCross, bars, settings)
    open_at_end = (result.fills["reason"] == ExitReason.END).any()
    last = result.fills["fee"][-1] if open_at_end else 0.0
    assert result.equity[-1] + last == pytest.approx(theirs.broker.getvalue(), abs=0.005)


def test_the_log_of_the_quickstart_works(capsys: pytest.CaptureFixture[str]) -> None:
    """datetime.date(0), printlog and f-strings on executed prices, as in the tutorial."""
    run(SmaCross, walk(120, 2), parameters={"printlog": True})
    out = capsys.readouterr().out
    assert "2023-12-17, Close, 50" in out
    assert "BUY EXECUTED" in out


# --- sizers, timers, analyzers, bookkeeping -------------------------------------------------------

FLAT = (100.0, 101.0, 99.0, 100.0)


@pytest.mark.parametrize(
    ("sizer", "size"),
    [
        (bt.sizers.FixedSize(stake=3), 3.0),
        (bt.sizers.PercentSizer(percents=50), 50.0),
        (bt.sizers.AllInSizer(), 100.0),
        (bt.sizers.PercentSizerInt(percents=33.3), 33.0),
    ],
)
def test_sizers(sizer: Any, size: float) -> None:
    """A sizer set in the strategy decides the size of orders without one; leverage adds nothing."""

    class Sized(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.setsizer(sizer)

        def next(self):
            if not self.position:
                self.buy()

    result = run(Sized, rows(FLAT, FLAT, FLAT))
    assert result.fills["size"][0] == size


def test_a_users_own_sizer_sees_cash_value_and_commission() -> None:
    """A sizer of the user's gets what Backtrader hands out: comminfo, cash, data, isbuy."""

    class RiskSizer(bt.Sizer):
        params = (("risk", 0.02),)

        def _getsizing(self, comminfo, cash, data, isbuy):
            assert cash == pytest.approx(10_000)
            assert comminfo.getcommission(2.0, 100.0) == pytest.approx(0.2)
            assert self.broker.getvalue() == self.strategy.broker.getvalue()
            return comminfo.getsize(data.close[0], cash * self.p.risk * (1 if isbuy else 2))

    class Sized(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.sizer = RiskSizer()

        def next(self):
            if len(self) == 1:
                self.buy()

    result = run(Sized, rows(FLAT, FLAT, FLAT), COSTLY)
    assert result.fills["size"][0] == 2.0


def test_timers_fire_once_a_bar_in_order() -> None:
    """A daily timer is called at the first bar at or after its time, and may trade."""

    class Timed(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.add_timer(when=dt.time(12, 0), weekdays=[1, 2, 3, 4, 5])
            self.fired = []
            RUNS.append(self)

        def notify_timer(self, timer, when, *args, **kwargs):
            self.fired.append((when, self.data.datetime.datetime(0)))
            if not self.position:
                self.buy(size=1)
            else:
                self.close()

    RUNS.clear()
    result = run(Timed, walk(96 * 6, 6))
    fired = RUNS[0].fired
    assert len(fired) >= 3
    assert all(when == at and when.hour == 12 and when.isoweekday() < 6 for when, at in fired)
    hours = (result.fills["time"] // 60_000) % (24 * 60)
    assert (hours[:-1] == 12 * 60 + 15).all(), "it trades at the open of the bar after"


def test_analyzers_inside_a_strategy_work() -> None:
    """A trade analyzer and a drawdown analyzer see the same account as the result."""

    class Analyzed(SmaCross):
        def __init__(self):
            super().__init__()
            self._addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
            self._addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
            self._addanalyzer(bt.analyzers.Transactions, _name="fills")
            RUNS.append(self)

    RUNS.clear()
    result = run(Analyzed, walk(900, 7), COSTLY)
    trades = RUNS[0].analyzers.trades.get_analysis()
    assert trades.total.closed == len(result.trades)
    assert trades.pnl.net.total == pytest.approx(result.trades["net"].sum())
    drawdown = RUNS[0].analyzers.drawdown.get_analysis().max.drawdown
    peak = np.maximum.accumulate(result.equity)
    assert drawdown == pytest.approx(100 * (1 - result.equity / peak).max(), rel=1e-6)
    assert sum(map(len, RUNS[0].analyzers.fills.get_analysis().values())) == len(result.fills)


def test_bookkeeping_by_notifications_is_the_account() -> None:
    """Sums of what notify_trade says are the result's, also for sizes that binary can't add."""

    class Keeper(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.net, self.closed, self.opened = 0.0, 0, 0
            RUNS.append(self)

        def notify_trade(self, trade):
            self.opened += trade.justopened
            if trade.isclosed:
                self.closed += 1
                self.net += trade.pnlcomm

        def next(self):
            steps = {1: 0.3, 2: -0.1, 3: -0.2, 4: -0.7, 5: 0.1, 6: 0.2, 7: 0.4, 8: 1.1, 9: -1.1}
            size = steps.get(len(self) % 12, 0.0)
            if size > 0:
                self.buy(size=size)
            elif size < 0:
                self.sell(size=-size)

    RUNS.clear()
    result = run(Keeper, walk(300, 8), COSTLY)
    keeper = RUNS[0]
    assert keeper.closed == keeper.opened == len(result.trades) > 60
    assert keeper.net == pytest.approx(result.trades["net"].sum(), abs=1e-6)
    assert result.equity[-1] == pytest.approx(10_000 + keeper.net, abs=1e-6)


def test_the_accounts_words_are_there() -> None:
    """Cash, value, positions and open orders as strategies ask for them."""

    class Curious(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=10)
                self.sell(size=1, exectype=bt.Order.Limit, price=150, tradeid=1)
            if len(self) == 3:
                assert self.position.size == self.getposition(self.data).size == 10
                assert self.position.price == pytest.approx(100)
                assert self.positions[self.data].size == 10
                assert self.broker.getposition(self.data).size == 10
                assert self.broker.getvalue() == self.broker.get_value() == pytest.approx(10_010)
                assert self.broker.getvalue([self.data]) == pytest.approx(1_010)
                # 20x at most for this symbol, 10x by the settings.
                assert self.broker.getcash() == self.broker.get_cash() == pytest.approx(9_909)
                assert self.stats is not None
                assert [order.isbuy() for order in self.broker.get_orders_open()] == [False]
                assert self.broker.startingcash == 10_000
                RUNS.append(self)

    RUNS.clear()
    run(Curious, rows(FLAT, FLAT, (100, 102, 99, 101), FLAT))
    assert len(RUNS) == 1


@pytest.mark.parametrize("cls", AGREEING)
def test_the_quick_loop_is_backtraders(cls: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The research loop gives what Backtrader's own loop gives, and tells the strategy the same."""

    class Told(cls):  # type: ignore[misc, valid-type]
        def __init__(self):
            super().__init__()
            self._addanalyzer(bt.analyzers.Transactions, _name="fills")
            self.heard = []
            RUNS.append(self)

        def notify_order(self, order):
            self.heard.append((len(self), order.ref, order.status))
            super().notify_order(order)

        def notify_trade(self, trade):
            self.heard.append((len(self), trade.size, trade.pnlcomm))
            super().notify_trade(trade)

        def notify_cashvalue(self, cash, value):
            inds = self.getindicators()
            self.heard.append((len(self), [len(one) for one in inds], [one[0] for one in inds]))
            self.heard.append((len(self), cash, value, len(self.data), self.data.datetime[0]))

    found = []
    for loop in ("quick", "backtrader"):
        if loop == "backtrader":
            monkeypatch.setattr(BarLoop, "_is_simple", lambda *_: False)
        RUNS.clear()
        result = run(Told, walk(250, 3), COSTLY, trade_from=20)
        first = min(item[1] for item in RUNS[0].heard if len(item) == 3 and item[2] == 1)
        heard = [  # references count on from run to run
            (item[0], item[1] - first, item[2]) if isinstance(item[1], int) else item
            for item in RUNS[0].heard
        ]
        found.append((result, repr(heard), repr(RUNS[0].analyzers.fills.get_analysis())))
    (one, *told_one), (two, *told_two) = found
    assert told_one == told_two
    assert len(one.fills) > 3
    for name in ("orders", "fills", "trades", "equity"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
