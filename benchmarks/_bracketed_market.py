"""The bars, the account and the parameter sets of the bracketed cross: the same for everybody.

Prices are whole cents, which are ticks of the venue as well, so that no side's rounding matters.
Each bar opens at the close before it: "the signal's close", "the next open" and "a fill at the
close" are one price, and sides that mean different ones of them can be compared cent for cent.
A weak pull keeps the price within a factor of two; see `_bracketed_cross.py` on why.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import StrategyRef, find_strategy

YEAR = 35_040
CASH = 1e8  # cents: a million dollars
FEE = 0.00045
# The limits on risk are ftbt's own; the peers have none, so none may bind here.
SETTINGS = Settings(
    capital=CASH,
    taker_fee=FEE,
    maker_fee=FEE,
    half_spread=0.0,
    slippage_atr=0.0,
    limits=Limits.none(),
)

SWEEP = [
    dict(fast=fast, slow=slow, stop=stop, target=target)
    for fast, slow, stop, target in itertools.product(
        (5, 10, 15, 20, 25), (40, 60, 80, 100, 120), (0.015, 0.03), (0.03, 0.06)
    )
]

_MIDDLE = 700_000.0
_STEP = 0.003
_PULL = 0.0005


def bars(count: int = YEAR, seed: int = 1) -> Bars:
    """Return *count* bars of 15 minutes without gaps, prices in whole cents, 0.3 % a bar."""
    random = np.random.default_rng(seed)
    steps = _STEP * random.standard_normal(count)
    place, logs = 0.0, np.empty(count)
    for i in range(count):
        place += steps[i] - _PULL * place
        logs[i] = place
    close = np.round(_MIDDLE * np.exp(logs))
    opened = np.concatenate([[_MIDDLE], close[:-1]])
    wick = 0.001 * random.random((2, count))
    high = np.round(np.maximum(opened, close) * (1 + wick[0]))
    low = np.round(np.minimum(opened, close) * (1 - wick[1]))
    time = 1_704_067_200_000 + 15 * MINUTE_MS * np.arange(count)
    return make_bars(time, opened, high, low, close, np.ones(count))


def market(data: Bars) -> Market:
    """Return the market of these bars: lots of one unit, ticks of a cent."""
    candles = Candles("W1", Timeframe.parse("15m"), data, synthetic=True)
    return Market(candles, Instrument("W1", size_decimals=0, max_leverage=40.0))


def strategy() -> StrategyRef:
    """Return the bracketed cross as a user of ftbt writes it."""
    file = Path(__file__).parent / "_bracketed_cross.py"
    return find_strategy(f"{file}:BracketedCross")
