"""The liquidity sweep that the synthetic market may carry an edge on: causal, on closed bars.

Definitions (all known at the close of bar t, nothing later is looked at):

* swing low: `low[p]` strictly below the PIVOT lows before it and not above the PIVOT lows after
  it (the first of a plateau wins); confirmed at the close of bar p + PIVOT;
* live: confirmed at the close of t - 1 or before, at most LOOKBACK bars old, and no bar since has
  traded below it (a touch leaves it live: two equal lows are one level of stops);
* level: the most extreme, that is the lowest, live swing low;
* sweep: `low[t] < level` and `close[t] > level`: the level is taken out and the bar closes back.

Highs mirror this. A bar that sweeps both sides counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.data.candles import Floats, Ints

PIVOT = 5
LOOKBACK = 96
HORIZON = 16
# One day of 15m bars: the season of the day averages out of the volatility.
VOLATILITY_BARS = 96


@compiled
def is_swing(price: Floats, at: int, sign: float, width: int) -> bool:
    """Whether bar *at* of lows (sign 1) or highs (sign -1) is a pivot, *width* bars each side."""
    for k in range(1, width + 1):
        if price[at - k] * sign <= price[at] * sign or price[at + k] * sign < price[at] * sign:
            return False
    return True


@compiled
def live_levels(price: Floats, t: int, sign: float, levels: Floats) -> int:
    """Write the live swing levels as bar *t* finds them into *levels*; return how many.

    Nearest (newest) first, most extreme (oldest) last. Reads bars before *t* only. *price* holds
    the lows with *sign* 1 or the highs with *sign* -1; *levels* has room for LOOKBACK values.
    """
    count = 0
    beyond = np.inf
    for p in range(t - 1, max(t - LOOKBACK, PIVOT) - 1, -1):
        value = price[p] * sign
        if value > beyond:
            continue
        if p <= t - 1 - PIVOT and is_swing(price, p, sign, PIVOT):
            levels[count] = price[p]
            count += 1
        beyond = value
    return count


@compiled
def swept_side(high: Floats, low: Floats, close: Floats, t: int, levels: Floats) -> int:
    """Return 1 when bar *t* sweeps the extreme swing low, -1 the extreme swing high, else 0."""
    side = 0
    count = live_levels(low, t, 1.0, levels)
    if count > 0 and low[t] < levels[count - 1] < close[t]:
        side += 1
    count = live_levels(high, t, -1.0, levels)
    if count > 0 and high[t] > levels[count - 1] > close[t]:
        side -= 1
    return side


@compiled
def local_volatility(close: Floats, t: int) -> float:
    """Return the root mean square of the last VOLATILITY_BARS returns; 0 at the very start."""
    if t < VOLATILITY_BARS:
        return 0.0
    total = 0.0
    for i in range(t - VOLATILITY_BARS + 1, t + 1):
        change = close[i] / close[i - 1] - 1.0
        total += change * change
    return float(np.sqrt(total / VOLATILITY_BARS))


@compiled
def sweep_sides(high: Floats, low: Floats, close: Floats) -> NDArray[np.int8]:
    """Return 1, -1 or 0 for each bar: which extreme level it swept, shape (n,)."""
    sides = np.zeros(len(close), np.int8)
    levels = np.empty(LOOKBACK)
    for t in range(len(close)):
        sides[t] = swept_side(high, low, close, t, levels)
    return sides


@compiled
def _take_outs(
    high: Floats, low: Floats, close: Floats, out: NDArray[np.bool_], back: NDArray[np.bool_]
) -> None:
    levels = np.empty(LOOKBACK)
    for t in range(len(close)):
        below = live_levels(low, t, 1.0, levels) > 0 and low[t] < levels[0]
        lower = below and close[t] <= levels[0]
        above = live_levels(high, t, -1.0, levels) > 0 and high[t] > levels[0]
        upper = above and close[t] >= levels[0]
        # One side only: a bar that takes out both says nothing about either.
        out[t] = below != above
        back[t] = out[t] and not lower and not upper


def take_outs(
    high: Floats, low: Floats, close: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which bars trade beyond the nearest live swing of one side, and which close back.

    The nearest, not the most extreme as in a sweep; shapes (n,).
    """
    out, back = np.zeros(len(close), np.bool_), np.zeros(len(close), np.bool_)
    _take_outs(high, low, close, out, back)
    return out, back


@dataclass(frozen=True, slots=True)
class AfterSweeps:
    """What happened after each sweep.

    Attributes:
        index: bar of the sweep, shape (n,).
        side: 1 after a swept low, -1 after a swept high, shape (n,).
        move: return of the next HORIZON bars in the sweep's direction, in units of
            `local_volatility * sqrt(HORIZON)`, shape (n,). Its expectation is the planted edge.
    """

    index: Ints
    side: Ints
    move: Floats


def after_sweeps(high: Floats, low: Floats, close: Floats, *, apart: bool = True) -> AfterSweeps:
    """Return the sweeps of a series and the standardised moves that followed.

    With *apart* a sweep within HORIZON bars of the last counted one is left out, which is how the
    edge is planted: one drift at a time, the first wins.
    """
    sides = sweep_sides(high, low, close)
    found: list[int] = []
    next_free = VOLATILITY_BARS
    for t in np.flatnonzero(sides).tolist():
        if next_free <= t < len(close) - HORIZON:
            found.append(t)
            next_free = t + HORIZON if apart else t
    index = np.array(found, np.int64)
    side = sides[index].astype(np.int64)
    unit = np.array([local_volatility(close, t) for t in found]) * np.sqrt(HORIZON)
    return AfterSweeps(index, side, side * (close[index + HORIZON] / close[index] - 1) / unit)
