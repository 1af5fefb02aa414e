"""Costs that time and the market set: funding that falls due, slippage of market and stop fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Funding
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS, show_ms
from ftbt.smc.baselines import ATR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ATR_BARS = 14
NOT_MODELLED = "funding: not modelled"


def _payments(funding: Funding | None) -> tuple[Ints, Floats]:
    """Return due times floored to the minute and rates, without unknown rates."""
    if funding is None:
        return np.zeros(0, np.int64), np.zeros(0)
    known = np.isfinite(funding.rate)
    # Hyperliquid stamps a payment some milliseconds after the hour that it belongs to.
    return funding.time[known] // MINUTE_MS * MINUTE_MS, funding.rate[known]


def funding_schedule(
    bars: Bars, timeframe_ms: int, funding: Funding | None
) -> tuple[Floats, Floats]:
    """Return the funding rates that fall due in each bar.

    A position held over the bar's open pays `at_open` on its signed notional; one held later in
    the bar pays `inside`. Positive rate: longs pay. Payments before, after or between the bars
    (in a hole of the data) belong to no bar.

    Args:
        bars: BAR array, shape (n,).
        timeframe_ms: length of a bar.
        funding: rates, or None for no funding.

    Returns:
        `at_open`, the sum of the rates due exactly at the bar's open, and `inside`, the sum of
        those due strictly between its open and its close; both shape (n,).
    """
    at_open, inside = np.zeros(len(bars)), np.zeros(len(bars))
    due, rate = _payments(funding)
    bar = np.searchsorted(bars["time"], due, side="right") - 1
    within = bar >= 0
    within[within] = due[within] < bars["time"][bar[within]] + timeframe_ms
    bar, due, rate = bar[within], due[within], rate[within]
    opens = due == bars["time"][bar]
    np.add.at(at_open, bar[opens], rate[opens])
    np.add.at(inside, bar[~opens], rate[~opens])
    return at_open, inside


@dataclass(frozen=True, slots=True)
class FundingCoverage:
    """How much of a span has funding rates.

    Attributes:
        share: covered part of the span, 0 to 1.
        note: a sentence for the result when something is missing, else "".
    """

    share: float
    note: str


def funding_coverage(bars: Bars, timeframe_ms: int, funding: Funding | None) -> FundingCoverage:
    """Return which share of the bars' span the rates cover.

    Rates come every hour or every few hours, and a venue may change the interval. So the time
    between two payments is a hole when it is longer than 1.5 times the interval before and the
    one after it; what exceeds that interval is uncovered. Up to one interval before the first
    payment and after the last nothing else could have fallen due.
    """
    due, _ = _payments(funding)
    if not len(due):
        return FundingCoverage(0.0, NOT_MODELLED)
    if not len(bars):
        return FundingCoverage(1.0, "")
    start, end = int(bars["time"][0]), int(bars["time"][-1]) + timeframe_ms
    gaps = np.diff(due)
    usual = _usual_interval(gaps)
    hole = gaps > 1.5 * usual
    before = due[0] - (min(gaps[0], usual[0]) if len(gaps) else HOUR_MS)
    after = due[-1] + (min(gaps[-1], usual[-1]) if len(gaps) else HOUR_MS)
    starts = np.concatenate(([start], due[:-1][hole], [after]))
    ends = np.concatenate(([before], (due[1:] - usual)[hole], [end]))
    missing = np.minimum(ends, end) - np.maximum(starts, start)
    uncovered = int(missing[missing > 0].sum())
    if not uncovered:
        return FundingCoverage(1.0, "")
    share = 1.0 - uncovered / (end - start)
    return FundingCoverage(
        share,
        f"funding: rates cover {share:.1%} of {show_ms(start)} .. {show_ms(end)};"
        " the rest is charged nothing",
    )


def _usual_interval(gaps: Ints) -> Ints:
    """Return, for each time between two payments, the longer of its neighbours."""
    if len(gaps) < 2:
        return gaps
    before = np.concatenate((gaps[1:2], gaps[:-1]))
    after = np.concatenate((gaps[1:], gaps[-2:-1]))
    return np.maximum(before, after)


def slippage_fraction(bars: Bars, settings: Settings) -> Floats:
    """Return the fraction of the price by which market and stop fills in each bar are worse.

    The larger of the half spread and `slippage_atr` x ATR(14) / close, both of the bar BEFORE the
    fill: the fill's own bar is not known when it happens. Where no ATR exists yet, the half
    spread.

    Args:
        bars: BAR array, shape (n,), warm-up included.
        settings: half spread and multiple of the ATR.

    Returns:
        Fractions >= 0, shape (n,).
    """
    atr = ATR.compute(bars, {"length": ATR_BARS, "method": "wilder"})["atr"]
    fraction = np.full(len(bars), settings.half_spread)
    by_atr = settings.slippage_atr * atr[:-1] / bars["close"][:-1]
    fraction[1:] = np.fmax(settings.half_spread, by_atr)
    return fraction
