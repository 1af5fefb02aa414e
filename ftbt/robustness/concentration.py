"""How evenly the profit is spread: over trades and over walk-forward windows.

An edge shows itself again and again. A profit that hangs on five trades or on one window is a few
events, and a few events prove nothing about the next ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ftbt.errors import InputError
from ftbt.robustness.checks import whole


@dataclass(frozen=True, slots=True)
class Concentration:
    """How much of the profit hangs on the best trades.

    Attributes:
        net: sum of all trades.
        top: how many best trades were taken out.
        top_net: their sum.
        share_of_net: top_net / net, above 1 when the rest lost; NaN unless net > 0.
        share_of_gains: top_net / sum of all winning trades; NaN without a winner.
        net_without: net - top_net.
        trades_to_zero: fewest best trades whose loss leaves no profit; 0 when there was none.
    """

    net: float
    top: int
    top_net: float
    share_of_net: float
    share_of_gains: float
    net_without: float
    trades_to_zero: int


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """How the profit is spread over walk-forward windows.

    Attributes:
        windows: how many.
        profitable: how many ended above 0.
        share_profitable: profitable / windows.
        net: sum of all.
        best, worst, median: profit of single windows.
        best_window: number of the best one.
        best_share: best / net; NaN unless net > 0.
        longest_losing_run: windows in a row at or below 0.
    """

    windows: int
    profitable: int
    share_profitable: float
    net: float
    best: float
    worst: float
    median: float
    best_window: int
    best_share: float
    longest_losing_run: int


def profit_concentration(net: ArrayLike, top: int = 5) -> Concentration:
    """Return how much of the profit the *top* best trades made.

    Args:
        net: profit of each trade after costs, shape (trades,).
        top: how many best trades.

    Raises:
        InputError: a profit that is not finite.
    """
    whole(top, "top", 1)
    profit = np.asarray(net, np.float64)
    if profit.ndim != 1 or not np.all(np.isfinite(profit)):
        raise InputError("net must be one finite number per trade")
    best = np.sort(profit)[::-1]
    total, first = float(profit.sum()), float(best[:top].sum())
    gains = float(best[best > 0.0].sum())
    # Rounding must not leave a profit where every trade was taken out.
    left = total - np.cumsum(best) - 1e-12 * gains
    return Concentration(
        net=total,
        top=top,
        top_net=first,
        share_of_net=first / total if total > 0.0 else np.nan,
        share_of_gains=float(best[:top][best[:top] > 0.0].sum()) / gains if gains else np.nan,
        net_without=total - first,
        trades_to_zero=int(np.argmax(left <= 0.0)) + 1 if total > 0.0 else 0,
    )


def window_statistics(net: ArrayLike) -> WindowStatistics:
    """Return how the profit is spread over windows.

    Args:
        net: profit of each window after costs, in order of time, shape (windows,).

    Raises:
        InputError: no window, or a profit that is not finite.
    """
    profit = np.asarray(net, np.float64)
    if profit.ndim != 1 or not len(profit) or not np.all(np.isfinite(profit)):
        raise InputError("windows: at least one finite profit is needed")
    total, best = float(profit.sum()), int(np.argmax(profit))
    run = longest = 0
    for value in profit:
        run = 0 if value > 0.0 else run + 1
        longest = max(longest, run)
    return WindowStatistics(
        windows=len(profit),
        profitable=int(np.count_nonzero(profit > 0.0)),
        share_profitable=float((profit > 0.0).mean()),
        net=total,
        best=float(profit[best]),
        worst=float(profit.min()),
        median=float(np.median(profit)),
        best_window=best,
        best_share=float(profit[best]) / total if total > 0.0 else np.nan,
        longest_losing_run=longest,
    )
