"""Measures of a list of trades: pure functions of the records `ftbt.backtest.result.TRADE`.

Money is in the quote currency and net of fees and funding unless said otherwise; a trade wins
when its net profit is above zero, loses when below. What is undefined is NaN (no trades, no
winners, no stop); a profit factor without any loss is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.return_metrics import NAN, gain_loss_ratio, longest_run, ratio

Floats = NDArray[np.float64]
Records = NDArray[np.void]


def profit_factor(net: Floats) -> float:
    """Return gross gains / gross losses: inf for gains without a loss, NaN for neither."""
    return gain_loss_ratio(float(net[net > 0.0].sum()), -float(net[net < 0.0].sum()))


def win_rate(net: Floats) -> float:
    """Return the share of trades with a profit."""
    return int(np.count_nonzero(net > 0.0)) / len(net) if len(net) else NAN


def payoff_ratio(net: Floats) -> float:
    """Return mean gain / mean loss of winning and losing trades, NaN when either is absent."""
    gains, losses = net[net > 0.0], net[net < 0.0]
    return float(gains.mean()) / -float(losses.mean()) if len(gains) and len(losses) else NAN


def expectancy(net: Floats) -> float:
    """Return the mean net profit per trade, quote currency."""
    return float(net.mean()) if len(net) else NAN


def expectancy_r(r: Floats) -> float:
    """Return the mean profit in units of the initial risk (Tharp 1998), over trades with a stop.

    Args:
        r: net profit / initial risk per trade, NaN where there was no stop.
    """
    known = r[~np.isnan(r)]
    return float(known.mean()) if len(known) else NAN


def longest_losing_streak(net: Floats) -> int:
    """Return the most losing trades in a row; a trade of exactly 0 ends a streak."""
    return longest_run(net < 0.0)


def exposure(trades: Records, first: int, bars: int) -> float:
    """Return the share of bars in which a position was held, if only for a part of the bar.

    Bars of entry and exit count, and a bar with two trades counts once.

    Args:
        trades: TRADE records in order of time.
        first: index (as in `entry_bar`) of the first evaluated bar.
        bars: number of evaluated bars.
    """
    if not bars:
        return NAN
    begun = np.clip(trades["entry_bar"] - first, 0, bars)
    over = np.clip(trades["exit_bar"] - first + 1, 0, bars)
    change = np.bincount(begun, minlength=bars + 1) - np.bincount(over, minlength=bars + 1)
    return int(np.count_nonzero(np.cumsum(change[:-1]) > 0)) / bars


def average_bars(trades: Records) -> float:
    """Return the mean of exit bar - entry bar; 0 is a trade closed in the bar of its entry."""
    return float((trades["exit_bar"] - trades["entry_bar"]).mean()) if len(trades) else NAN


def turnover(fills: Records, equity: Floats, years: float) -> float:
    """Return the traded notional per year as a multiple of the mean equity.

    Args:
        fills: FILL records; both sides of a round trip count.
        equity: per bar, shape (n,).
        years: length of the run.
    """
    if not len(equity) or not years > 0.0:
        return NAN
    traded = float((fills["size"] * fills["price"]).sum())
    return ratio(traded, float(equity.mean())) / years


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost, quote currency; slippage is already inside the prices."""

    fees: float
    funding: float  # paid (positive) or received (negative)
    slippage: float

    @property
    def total(self) -> float:
        """Everything, slippage included."""
        return self.fees + self.funding + self.slippage

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def costs(trades: Records) -> Costs:
    """Return the sums of fees, funding and slippage."""
    return Costs(*(float(trades[name].sum()) for name in ("fees", "funding", "slippage")))


@dataclass(frozen=True, slots=True)
class SideMetrics:
    """The trades of one side."""

    trades: int
    net_profit: float
    win_rate: float
    profit_factor: float
    expectancy_r: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def by_side(trades: Records, side: int) -> SideMetrics:
    """Return the measures of the long (+1) or short (-1) trades alone."""
    chosen = trades["side"] == side
    net, r = trades["net"][chosen], trades["r"][chosen]
    return SideMetrics(
        len(net), float(net.sum()), win_rate(net), profit_factor(net), expectancy_r(r)
    )
