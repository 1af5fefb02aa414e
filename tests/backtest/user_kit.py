"""Markets and runs for tests of users' Backtrader strategies, here and in plain Backtrader."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.risk.limits import Limits

FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)
COSTLY = Settings(
    taker_fee=0.001, maker_fee=0.0002, half_spread=0.0005, slippage_atr=0.0, limits=Limits.none()
)
START = 473_000 * 60 * MINUTE_MS
RULES = Instrument("TEST", size_decimals=2, max_leverage=20.0)


def walk(count: int = 1500, seed: int = 1, step: float = 0.004) -> Bars:
    """A random walk from 50 on a tick of 0.001 (five figures), with gaps now and then."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(step * rng.standard_normal(count)))
    gap = np.where(rng.random(count) < 0.2, step * rng.standard_normal(count), 0.0)
    opened = np.concatenate([[50.0], close[:-1]]) * np.exp(gap)
    reach = step * rng.exponential(size=(2, count))
    high = np.maximum(opened, close) * (1 + reach[0])
    low = np.minimum(opened, close) * (1 - reach[1])
    time = START + 15 * MINUTE_MS * np.arange(count)
    columns = (np.round(column, 3) for column in (opened, high, low, close))
    return make_bars(time, *columns, rng.lognormal(2.0, 1.0, count))


def market_of(bars: Bars, rules: Instrument = RULES) -> Market:
    """The bars as a market of 15m candles."""
    return Market(Candles.checked("TEST", Timeframe.parse("15m"), bars), rules)


def rows(*prices: tuple[float, float, float, float]) -> Bars:
    """Bars from hand-written (open, high, low, close)."""
    time = START + 15 * MINUTE_MS * np.arange(len(prices))
    return make_bars(time, *np.array(prices, float).T, np.ones(len(prices)))


def run(cls: type[Any], bars: Bars, settings: Settings = FREE, **more: Any) -> Result:
    """The strategy on the reference engine."""
    parameters = more.pop("parameters", {})
    market = market_of(bars, more.pop("rules", RULES))
    return run_backtest(cls, market, parameters, settings, **more)


class Recorder(bt.Strategy):
    """Mixed into a strategy: notes what Backtrader tells of fills, on either broker."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, float, float]] = []
        RUNS.append(self)

    def notify_order(self, order: Any) -> None:
        """Note a fill, then let the strategy have it."""
        if order.status == order.Completed:
            self.seen.append((len(self) - 1, order.executed.size, order.executed.price))
        super().notify_order(order)


RUNS: list[Any] = []


def recorded(cls: type[Any]) -> type[Any]:
    """The strategy with a `Recorder` in front."""
    return type(cls)(cls.__name__, (Recorder, cls), {"__module__": cls.__module__})


class Fractional(bt.CommInfoBase):
    """Stock-like, sizes cut to 0.01 instead of 1."""

    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

    def getsize(self, price: float, cash: float) -> float:
        """Return the size that cash pays for."""
        return np.floor(100 * cash / price + 1e-9) / 100


def plain(cls: type[Any], bars: Bars, capital: float = 10_000.0, fee: float = 0.0) -> Any:
    """The strategy in plain Backtrader: Cerebro, pandas feed and BackBroker as users have them."""
    index = pd.to_datetime(bars["time"], unit="ms")
    frame = pd.DataFrame({name: bars[name] for name in bars.dtype.names[1:]}, index=index)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(
        bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=15)
    )
    cerebro.broker.setcash(capital)
    cerebro.broker.addcommissioninfo(Fractional(commission=fee))
    cerebro.addstrategy(cls)
    return cerebro.run()[0]
