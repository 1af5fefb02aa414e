"""Random questions for two engines: markets with gaps and ties, setups of every kind.

A question is made of small whole numbers, so that a counter-example shrinks to a small table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.parity import compare
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, Funding, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS, Timeframe
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.smc.baselines import AverageTrueRange
from ftbt.strategy import Setup, SetupStrategy, setup_rule
from ftbt.strategy.parameters import ranges_of

START = 473_000 * HOUR_MS
QUARTER_MS = 15 * MINUTE_MS

# What a setup is made of: the digits of a number with these bases, which the bar's volume carries.
# Zero everywhere: nothing happens.
DIGITS = dict(side=4, kind=4, entry=13, limit=9, stop=13, target1=9, target2=9, leave=8, confidence=5,
              oddity=24)  # fmt: skip
CODES = int(np.prod(list(DIGITS.values())))


@setup_rule
def by_code(bar, atr, p, setup):
    """Make the setup that the digits of the volume say; distances in units of `unit` x close."""
    code = int(bar.volume)
    signal = code % 4
    code //= 4
    kind = code % 4 + 1
    code //= 4
    entry = code % 13
    code //= 13
    limit = code % 9
    code //= 9
    stop = code % 13
    code //= 13
    target1 = code % 9
    code //= 9
    target2 = code % 9
    code //= 9
    leave = code % 8
    code //= 8
    confidence = code % 5
    oddity = code // 5
    setup.exit_long = 1 if leave == 1 or leave == 3 else 0
    setup.exit_short = 1 if leave == 2 or leave == 3 else 0
    if signal == 0 or signal == 3:
        return
    side = 1 if signal == 1 else -1
    unit = p.unit * bar.close
    setup.side = side
    setup.kind = kind
    setup.entry = bar.close + (entry if entry < 7 else 6 - entry) * unit
    setup.limit = setup.entry + (limit if limit < 5 else 4 - limit) * unit
    base = bar.close if kind == 1 else setup.entry
    setup.stop = base - side * (stop + 1) * unit
    if target1 > 0:
        setup.target1 = base + side * target1 * unit
    if target2 > 0:
        setup.target2 = base + side * (target1 + target2) * unit
    if confidence > 0:
        setup.confidence = (confidence - 1) * 40.0
    setup.reason = oddity
    if oddity == 1:
        setup.stop = math_nan(bar.close)
    elif oddity == 2:
        setup.entry = -setup.entry
    elif oddity == 3:
        setup.limit = math_nan(bar.close)
    elif oddity == 4:
        setup.target1 = 1.0 / (bar.close - bar.close)
    elif oddity == 5:
        setup.confidence = math_nan(bar.close)
    elif oddity == 6:
        setup.target2 = -setup.target2
    elif oddity == 7:
        setup.stop = 0.0
    elif oddity == 8:
        setup.entry = 1.0 / (bar.close - bar.close)
    elif oddity == 9:
        setup.limit = 1.0 / (bar.close - bar.close)


