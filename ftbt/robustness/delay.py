"""One bar late (section 10): what is left when every order reaches the market a bar later.

Computed from the fills that were made. Every entry is taken at the open of the NEXT bar, with that
bar's slippage, and so is every exit by a market order (time, signal, invalidation). Stops and
targets rest at the venue and stay where they were. A trade that was over by then is not made. Sizes
stay. A limit order that waited is treated as a market order one bar late, which is the harder
reading. Running the strategy again on delayed candles would change its signals, which is another
question.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest.costs import slippage_fraction
from ftbt.data.candles import Bars
from ftbt.data.timeframe import DAY_MS
from ftbt.robustness.assessment import StressRow
from ftbt.robustness.checks import varies
from ftbt.robustness.of_run import YEAR, RunArrays, deepest
from ftbt.robustness.panel import Flags, Floats, Ints, sharpe_of
from ftbt.robustness.path_risk import equity_paths
from ftbt.robustness.rerun import Reruns

NAN = math.nan
# Where nothing rests at the venue: the order is sent at a close and filled at the next open.
MARKET_EXITS = ("time", "invalidation", "signal")
DELAY_NOTE = (
    "Delay is computed from the fills: entries and market exits at the open of the next bar, stops"
    " and targets where they were, sizes unchanged."
)


def delay_rows(arrays: RunArrays, reruns: Reruns) -> list[StressRow]:
    """Return the record with every order one bar late; none without trades."""
    if not len(arrays.trades):
        return []
    change, made = delayed(arrays, reruns)
    label = "one bar late"
    return [_changed_row(arrays, "delay", label, 1.0, change, int(made.sum()))]


def _changed_row(
    arrays: RunArrays, kind: str, label: str, level: float, change: Floats, trades: int
) -> StressRow:
    """Return the record whose trades earned *change* more each, fractions of the equity."""
    day, returns = arrays.daily
    place = np.searchsorted(day, arrays.trades.exit // DAY_MS * DAY_MS)
    moved = returns.copy()
    np.add.at(moved, np.minimum(place, len(day) - 1), change)
    equity = arrays.capital * equity_paths(moved[None, :], compounded=True)[0]
    ratio = float(sharpe_of(moved[:, None])[0]) * YEAR if varies(moved) else NAN
    end = float(equity[-1])
    return StressRow(
        kind=kind,
        label=label,
        level=level,
        total_return=end / arrays.capital - 1.0,
        net_profit=end - arrays.capital,
        annual_sharpe=ratio,
        max_drawdown=deepest(equity, arrays.capital),
        trades=trades,
        low=NAN,
        high=NAN,
    )


def delayed(arrays: RunArrays, reruns: Reruns) -> tuple[Floats, Flags]:
    """Return what a delay of one bar changes of each trade, and which trades are still made.

    Returns:
        Change of the result as a fraction of the equity, and flags, both shape (trades,).
    """
    trades = arrays.trades
    change, made = np.zeros(len(trades)), np.ones(len(trades), np.bool_)
    for test in reruns.tests:
        for one in test.pieces:
            for piece in one.pieces:
                bars = piece.market.candles.bars
                tradable = bars["time"][piece.trade_from :]
                own = (trades.window == test.number) & (trades.symbol == one.symbol)
                own &= (trades.entry >= tradable[0]) & (
                    trades.entry < tradable[-1] + piece.market.candles.timeframe.ms
                )
                if own.any():
                    slip = slippage_fraction(bars, reruns.inputs.settings)
                    change[own], made[own] = _delay(arrays, own, bars, slip)
    return change, made


def _delay(arrays: RunArrays, own: Flags, bars: Bars, slip: Floats) -> tuple[Floats, Flags]:
    trades = arrays.trades
    last = len(bars)
    # Past the last bar nothing is left but its close.
    price = np.concatenate((bars["open"], bars["close"][-1:]))
    slip = np.concatenate((slip, slip[-1:]))
    entered = _bar_of(bars["time"], trades.entry[own]) + 1
    at_market = np.isin(trades.exit_reason[own].astype(str), MARKET_EXITS)
    left = _bar_of(bars["time"], trades.exit[own]) + at_market
    made = (entered < last) & ((entered < left) | ((entered == left) & ~at_market))
    side = trades.side[own]
    entry = price[entered] * (1.0 + side * slip[entered])
    leave = np.where(at_market, price[left] * (1.0 - side * slip[left]), trades.exit_price[own])
    better = side * ((leave - trades.exit_price[own]) - (entry - trades.entry_price[own]))
    before = arrays.equity_before(trades.entry[own])
    moved = np.where(before > 0.0, better * trades.size[own] / np.maximum(before, 1e-12), 0.0)
    # A trade that is not made gives back what it earned.
    return np.where(made, moved, -trades.fraction[own]), made


def _bar_of(time: Ints, at: Ints) -> Ints:
    return np.asarray(np.searchsorted(time, at, side="right") - 1, np.int64)
