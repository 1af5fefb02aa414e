"""A small market and a plain Backtrader strategy: the machinery needs no Smart Money Concepts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ftbt.data.candles import Candles, make_bars
from ftbt.data.parquet import write_candles
from ftbt.data.timeframe import HOUR_MS, Timeframe

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

START_MS = 1_704_067_200_000  # 2024-01-01

SMA_CROSS = '''
"""Moving averages, for tests of the search."""

import backtrader as bt

from ftbt.ranges import Bool, Choice, Float, Int


class SmaCross(bt.Strategy):
    """Long above, short below."""

    params = dict(fast=3, slow=10, band=0.001, side="both", flip=False, note="x")
    ranges = dict(
        fast=Int(2, 6), slow=Int(8, 20, 4), band=Float(1e-4, 1e-2, log=True),
        side=Choice("both", "long"), flip=Bool(), note=Choice("x", "y", tune=False),
    )
    warmup_bars = 24

    def __init__(self):
        self.fast = bt.ind.SMA(period=self.p.fast)
        self.slow = bt.ind.SMA(period=self.p.slow)

    def next(self):
        up = self.fast[0] > self.slow[0] * (1 + self.p.band)
        down = self.fast[0] < self.slow[0] * (1 - self.p.band)
        if self.p.flip:
            up, down = down, up
        if self.position.size:
            if (down and self.position.size > 0) or (up and self.position.size < 0):
                self.close()
        elif up:
            self.buy(size=0.5 * self.broker.getvalue() / self.data.close[0])
        elif down and self.p.side == "both":
            self.sell(size=0.5 * self.broker.getvalue() / self.data.close[0])
'''


def random_walk(symbol: str, bars: int, seed: int, start_ms: int = START_MS) -> Candles:
    """Return a random walk of 1h bars."""
    random = np.random.default_rng(seed)
    close = 1000.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, bars)))
    opens = np.concatenate(([1000.0], close[:-1]))
    wick = 1.0 + np.abs(random.normal(0.0, 0.003, (2, bars)))
    time = start_ms + HOUR_MS * np.arange(bars)
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    columns = (opens, high, low, close, random.uniform(1.0, 9.0, bars))
    return Candles.checked(symbol, "1h", make_bars(time, *columns), source="random walk")


@pytest.fixture(scope="session")
def walk() -> Callable[..., Candles]:
    """Return the maker of random walks: symbol, bars, seed, start_ms."""
    return random_walk


@pytest.fixture(scope="session")
def hour() -> Timeframe:
    """Return the bar length of the tests."""
    return Timeframe.parse("1h")


@pytest.fixture(scope="session")
def sma_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the strategy."""
    path = tmp_path_factory.mktemp("strategies") / "sma_cross.py"
    path.write_text(SMA_CROSS)
    return path


@pytest.fixture(scope="session")
def market_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a candle file: 30 days of 1h bars."""
    path = tmp_path_factory.mktemp("candles") / "BTC-1h.parquet"
    write_candles(path, random_walk("BTC", 720, 3))
    return path
