"""Measures of a list of trades: pure functions of the records `ftbt.backtest.result.TRADE`.

Money is in the quote currency and net of fees and funding unless said otherwise; a trade wins
when its net profit is above zero, loses when below. What is undefined is NaN (no trades, no
winners, no stop); a profit factor without any loss is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.return_metrics import (
    NAN,
    gain_loss_ratio_compiled,
    longest_run,
    mean,
    ratio_compiled,
)
from ftbt.backtest.sums import total
from ftbt.compiled import compiled
from ftbt.data.candles import frozen

Floats = NDArray[np.float64]
Records = NDArray[np.void]


@compiled
def _gains_and_losses(net):  # type: ignore[no-untyped-def]
    """Return what is above and what is below zero, each side by side."""
    gains, losses = np.empty(net.shape[0]), np.empty(net.shape[0])
    won, lost = 0, 0
    for i in range(net.shape[0]):
        if net[i] > 0.0:
            gains[won] = net[i]
            won += 1
        elif net[i] < 0.0:
            losses[lost] = net[i]
            lost += 1
    return gains[:won], losses[:lost]


@compiled
def profit_factor(net: Floats) -> float:
    """Return gross gains / gross losses: inf for gains without a loss, NaN for neither."""
    gains, losses = _gains_and_losses(net)
    return gain_loss_ratio_compiled(total(gains), -total(losses))


@compiled
def win_rate(net: Floats) -> float:
    """Return the share of trades with a profit."""
    return np.count_nonzero(net > 0.0) / net.shape[0] if net.shape[0] > 0 else NAN


@compiled
def payoff_ratio(net: Floats) -> float:
    """Return mean gain / mean loss of winning and losing trades, NaN when either is absent."""
    gains, losses = _gains_and_losses(net)
    return mean(gains) / -mean(losses) if gains.shape[0] > 0 and losses.shape[0] > 0 else NAN


@compiled
def expectancy(net: Floats) -> float:
    """Return the mean net profit per trade, quote currency."""
    return mean(net)


@compiled
def expectancy_r(r: Floats) -> float:
    """Return the mean profit in units of the initial risk (Tharp 1998), over trades with a stop.

    Args:
        r: net profit / initial risk per trade, NaN where there was no stop.
    """
    return mean(r[~np.isnan(r)])


@compiled
def longest_losing_streak(net: Floats) -> int:
    """Return the most losing trades in a row; a trade of exactly 0 ends a streak."""
    return longest_run(net < 0.0)


@compiled
def exposure(trades: Records, first: int, bars: int) -> float:
    """Return the share of bars in which a position was held, if only for a part of the bar.

    Bars of entry and exit count, and a bar with two trades counts once.

    Args:
        trades: TRADE records.
        first: index (as in `entry_bar`) of the first evaluated bar.
        bars: number of evaluated bars.
    """
    if bars == 0:
        return NAN
    held = np.zeros(bars, np.bool_)
    for i in range(trades.shape[0]):
        begun = max(trades[i].entry_bar - first, 0)
        over = min(trades[i].exit_bar - first + 1, bars)
        for bar in range(begun, over):
            held[bar] = True
    return np.count_nonzero(held) / bars


@compiled
def average_bars(trades: Records) -> float:
    """Return the mean of exit bar - entry bar; 0 is a trade closed in the bar of its entry."""
    bars = 0
    for i in range(trades.shape[0]):
        bars += trades[i].exit_bar - trades[i].entry_bar
    return bars / trades.shape[0] if trades.shape[0] > 0 else NAN


@compiled
def turnover(fills: Records, equity: Floats, years: float) -> float:
    """Return the traded notional per year as a multiple of the mean equity.

    Args:
        fills: FILL records; both sides of a round trip count.
        equity: per bar, shape (n,).
        years: length of the run.
    """
    if equity.shape[0] == 0 or not years > 0.0:
        return NAN
    notional = np.empty(fills.shape[0])
    for i in range(fills.shape[0]):
        notional[i] = fills[i].size * fills[i].price
    return ratio_compiled(total(notional), mean(equity)) / years


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
    return Costs(*_costs(frozen(trades)))


@compiled
def _costs(trades):  # type: ignore[no-untyped-def]
    sums = np.empty((3, trades.shape[0]))
    for i in range(trades.shape[0]):
        sums[0, i] = trades[i].fees
        sums[1, i] = trades[i].funding
        sums[2, i] = trades[i].slippage
    return total(sums[0]), total(sums[1]), total(sums[2])


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
    return SideMetrics(*_of_side(frozen(trades), side))


@compiled
def _of_side(trades, side):  # type: ignore[no-untyped-def]
    net, r = np.empty(trades.shape[0]), np.empty(trades.shape[0])
    n = 0
    for i in range(trades.shape[0]):
        if trades[i].side == side:
            net[n] = trades[i].net
            r[n] = trades[i].r
            n += 1
    net, r = net[:n], r[:n]
    return n, total(net), win_rate(net), profit_factor(net), expectancy_r(r)
