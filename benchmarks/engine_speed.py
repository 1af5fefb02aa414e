"""How fast the engines run: one year of 15m bars, against plain Backtrader in the same process.

The work W1: SMA(20) crosses SMA(50) upward -> 1 unit at the next open with a stop at -2 % and a
target at +4 % of the signal's close, leave on the cross downward; fee 0.045 % a side. It is written
as a user writes it for Backtrader, and runs unchanged here. Plain Backtrader gets its best usual
switch (no observers) and its usual feed, a data frame.
"""

from __future__ import annotations

import cProfile
import pstats
from itertools import count
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from benchmarks.common import Row, seconds
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.strategy.loader import find_strategy

BARS = 35_040
FEE = 0.00045
RICH = Settings(capital=1e6, taker_fee=FEE, maker_fee=FEE, half_spread=0.0, slippage_atr=0.0)
SHIPPED = ("liquidity_sweep", "fvg_fill", "bos_orderblock")
_FOLDERS = {
    "ftbt/backtest": "orders and account",
    "ftbt/strategy": "the strategy's base",
    "ftbt/smc": "lines",
    "backtrader": "Backtrader",
    "numpy": "numpy",
}


class Empty(bt.Strategy):
    """Does nothing: the price of the loop alone."""


class W1(bt.Strategy):
    """See the module docstring."""

    params = (("fast", 20), ("slow", 50), ("stop", 0.02), ("target", 0.04))

    def __init__(self) -> None:
        super().__init__()
        fast, slow = bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)
        self.children: list[Any] = []

    def next(self) -> None:
        """Enter on the cross upward, leave on the cross downward."""
        if not self.position:
            if self.cross[0] > 0:
                close = self.data.close[0]
                self.children = self.buy_bracket(
                    size=1,
                    exectype=bt.Order.Market,
                    stopprice=round(close * (1 - self.p.stop), 2),
                    limitprice=round(close * (1 + self.p.target), 2),
                )[1:]
        elif self.cross[0] < 0:
            self.close()
            for order in self.children:
                self.cancel(order)


def bars() -> Bars:
    """Return a random walk without gaps in cents, 0.3 % a bar."""
    rng = np.random.default_rng(1)
    close = np.round(20_000 * np.exp(np.cumsum(0.003 * rng.standard_normal(BARS))), 2)
    opened = np.concatenate([[20_000.0], close[:-1]])
    wick = 0.001 * rng.random((2, BARS))
    high = np.round(np.maximum(opened, close) * (1 + wick[0]), 2)
    low = np.round(np.minimum(opened, close) * (1 - wick[1]), 2)
    time = 1_704_067_200_000 + 15 * MINUTE_MS * np.arange(BARS)
    return make_bars(time, opened, high, low, close, np.ones(BARS))


def plain(cls: type[Any], data: Bars) -> float:
    """Return the final value of *cls* in plain Backtrader."""
    index = pd.to_datetime(data["time"], unit="ms")
    columns = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: data[name] for name in columns}, index=index)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(
        bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=15)
    )
    cerebro.broker.setcash(RICH.capital)
    cerebro.broker.setcommission(FEE)
    cerebro.addstrategy(cls)
    return float(cerebro.run()[0].broker.getvalue())


def _user_rows() -> list[Row]:
    """Measure a user's plain strategy here and in plain Backtrader, taking turns."""
    data = bars()
    market = Market(Candles("W1", Timeframe.parse("15m"), data), Instrument("W1", 3, 40.0))
    rows = []
    for cls, name in ((Empty, "an empty strategy"), (W1, "W1")):
        ours, theirs = [], []
        run_backtest(cls, market, {}, RICH)
        for _ in range(3):
            theirs.append(seconds(lambda cls=cls: plain(cls, data), 1))
            ours.append(seconds(lambda cls=cls: run_backtest(cls, market, {}, RICH), 1))
        how = f"{BARS:,} bars, best of 3 turns; plain Backtrader {min(theirs):.2f} s"
        rows.append(Row(f"{name}: reference engine", min(ours), "s", how))
        ratio = min(theirs) / min(ours)
        rows.append(Row(f"{name}: times plain Backtrader's speed", ratio, "x", how, at_least=2.0))
    value = run_backtest(W1, market, {}, RICH).equity[-1]
    # Apart by the bar of the entry, in which plain Backtrader has no stop, and by the tick of $1.
    apart = f"final equity {value:,.2f}; plain Backtrader {plain(W1, data):,.2f}"
    rows.append(Row("W1: final equity apart", abs(value - plain(W1, data)), "", apart))
    return rows


def _strategy_rows(market: Market) -> list[Row]:
    """Measure the shipped strategies on both engines."""
    rows = []
    for name in SHIPPED:
        strategy = find_strategy(name)
        result = run_backtest(strategy, market, engine="reference")
        how = f"{len(market.candles):,} bars, {len(result.trades)} trades, lines known"
        slow = seconds(lambda s=strategy: run_backtest(s, market, engine="reference"))
        run_backtest(strategy, market, engine="compiled")
        fast = seconds(lambda s=strategy: run_backtest(s, market, engine="compiled"))
        rows.append(Row(f"{name}: reference engine", slow, "s", how))
        rows.append(Row(f"{name}: compiled engine", 1000 * fast, "ms", how))
    swings = count(3)
    strategy = find_strategy("liquidity_sweep")
    new = seconds(
        lambda: run_backtest(strategy, market, {"swing": 3 + next(swings) % 9}, engine="compiled")
    )
    how = "a value of `swing` that no run had before: its lines are made, too"
    rows.append(Row("liquidity_sweep: compiled engine, new lines", 1000 * new, "ms", how))
    return rows


def _profile_rows(market: Market) -> list[Row]:
    """Tell where a trial on the reference engine spends its time."""
    strategy = find_strategy("liquidity_sweep")
    profile = cProfile.Profile()
    profile.enable()
    run_backtest(strategy, market, engine="reference")
    profile.disable()
    spent: dict[str, float] = {}
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = file.replace("\\", "/")
        group = next((word for part, word in _FOLDERS.items() if part in place), "Python itself")
        spent[group] = spent.get(group, 0.0) + own
    whole = sum(spent.values())
    how = "own time in a profile of one liquidity_sweep trial, reference engine"
    return [
        Row(f"share of {group}", 100 * own / whole, "%", how)
        for group, own in sorted(spent.items(), key=lambda item: -item[1])
    ]


def run() -> list[Row]:
    """Measure; about half a minute."""
    market = sample_market(["BTC"])["BTC"]
    return [*_user_rows(), *_strategy_rows(market), *_profile_rows(market)]
