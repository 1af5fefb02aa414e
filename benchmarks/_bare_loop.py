"""The bracketed cross as one compiled loop without a library: the floor for every engine.

It knows nothing of ftbt's execution model and shares no code with it: its orders, trades and equity
are a second route to the same figures.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.data.candles import Bars

STOP, TARGET, SIGNAL, OPEN = 1, 2, 3, 4

ORDER = np.dtype([("bar", "i8"), ("side", "i8"), ("price", "f8"), ("reason", "i8")])
TRADE = np.dtype(
    [("entry_bar", "i8"), ("exit_bar", "i8"), ("entry", "f8"), ("exit", "f8"), ("reason", "i8")]
)


@compiled
def _means(close, length, out):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(close.shape[0]):
        total += close[i]
        if i >= length:
            total -= close[i - length]
        out[i] = total / length if i >= length - 1 else math.nan


@compiled
def _loop(bars, fast, slow, stop, target, fee, cash, orders, trades, equity):  # type: ignore[no-untyped-def]
    held, entry, low_price, high_price = False, 0.0, 0.0, 0.0
    buy, leave = False, False
    n_orders, n_trades = 0, 0
    for i in range(bars.shape[0]):
        bar = bars[i]
        price, reason = 0.0, 0
        if buy:
            held, buy, entry = True, False, bar.open
            cash -= entry * (1.0 + fee)
            orders[n_orders].bar = i
            orders[n_orders].side = 1
            orders[n_orders].price = entry
            orders[n_orders].reason = 0
            n_orders += 1
            trades[n_trades].entry_bar = i
            trades[n_trades].entry = entry
        if held:
            if leave:
                price, reason = bar.open, SIGNAL
            elif bar.low <= low_price:
                price, reason = min(bar.open, low_price), STOP
            elif bar.open >= high_price or bar.high > high_price:
                price, reason = max(bar.open, high_price), TARGET
        leave = False
        if reason:
            held = False
            cash += price * (1.0 - fee)
            orders[n_orders].bar = i
            orders[n_orders].side = -1
            orders[n_orders].price = price
            orders[n_orders].reason = reason
            n_orders += 1
            trades[n_trades].exit_bar = i
            trades[n_trades].exit = price
            trades[n_trades].reason = reason
            n_trades += 1
        equity[i] = cash + bar.close if held else cash
        if i > 0 and fast[i] > slow[i] and fast[i - 1] <= slow[i - 1]:
            if not held:
                buy = True
                low_price = math.floor(bar.close * (1.0 - stop) + 0.5)
                high_price = math.floor(bar.close * (1.0 + target) + 0.5)
        elif i > 0 and fast[i] < slow[i] and fast[i - 1] >= slow[i - 1]:
            leave = held
    if held:
        trades[n_trades].exit_bar = -1
        trades[n_trades].exit = math.nan
        trades[n_trades].reason = OPEN
        n_trades += 1
    return n_orders, n_trades


def bare(
    bars: Bars, values: dict[str, Any], fee: float, cash: float
) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.float64]]:
    """Return orders, trades and the equity at each close; a position left at the end stays open."""
    count = len(bars)
    fast, slow, equity = np.empty(count), np.empty(count), np.empty(count)
    close = bars["close"]
    _means(close, values["fast"], fast)
    _means(close, values["slow"], slow)
    orders, trades = np.empty(count, ORDER), np.empty(count // 2 + 1, TRADE)
    n_orders, n_trades = _loop(
        bars, fast, slow, values["stop"], values["target"], fee, cash, orders, trades, equity
    )
    return orders[:n_orders], trades[:n_trades], equity
