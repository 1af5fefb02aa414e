"""Funding by bar and its coverage, slippage by bar: by hand and by a slower second route."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.backtest import costs
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Funding, make_bars
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS

START = 1_700_000 * 1_000_000 // HOUR_MS * HOUR_MS
QUARTER = 15 * MINUTE_MS


def bars_of(n, step, start=START, close=100.0):
    """Return *n* bars with a range of 2 around *close*."""
    close = np.full(n, close)
    time = start + step * np.arange(n)
    return make_bars(time, close, close + 1.0, close - 1.0, close, np.ones(n))


def funding_of(offsets, rates=None):
    """Return payments at START + offsets (ms)."""
    time = START + np.asarray(offsets, np.int64)
    rate = np.full(len(time), 1e-4) if rates is None else np.asarray(rates, float)
    return Funding("BTC", time, rate)


def test_hourly_payments_fall_on_the_open_of_every_fourth_quarter():
    """On 15m bars hourly rates fall due at the open of the bar that begins the hour."""
    funding = funding_of([0, HOUR_MS, 2 * HOUR_MS], [1e-4, -2e-4, 3e-4])
    at_open, inside = costs.funding_schedule(bars_of(9, QUARTER), QUARTER, funding)
    assert at_open.tolist() == [1e-4, 0, 0, 0, -2e-4, 0, 0, 0, 3e-4]
    assert not inside.any()


def test_payments_inside_a_longer_bar_are_summed():
    """A 4h bar has one payment at its open and three inside."""
    funding = funding_of(HOUR_MS * np.arange(8), [1, 2, 4, 8, 16, 32, 64, 128])
    at_open, inside = costs.funding_schedule(bars_of(2, 4 * HOUR_MS), 4 * HOUR_MS, funding)
    assert at_open.tolist() == [1, 16]
    assert inside.tolist() == [14, 224]


def test_stamps_some_milliseconds_late_count_as_on_the_hour():
    """A payment stamped within the first minute of a bar is due at its open."""
    funding = funding_of([57, HOUR_MS + 59_999, 2 * HOUR_MS + MINUTE_MS])
    at_open, inside = costs.funding_schedule(bars_of(3, HOUR_MS), HOUR_MS, funding)
    assert at_open.tolist() == [1e-4, 1e-4, 0.0]
    assert inside.tolist() == [0.0, 0.0, 1e-4]


def test_payments_outside_the_bars_are_ignored():
    """Rates before the first bar, from the end of the last and inside a hole belong to no bar."""
    bars = np.concatenate((bars_of(1, HOUR_MS), bars_of(1, HOUR_MS, START + 3 * HOUR_MS)))
    offsets = [-HOUR_MS, HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS]
    at_open, inside = costs.funding_schedule(bars, HOUR_MS, funding_of(offsets))
    assert not at_open.any()
    assert not inside.any()


def test_no_rates_no_payments():
    """Without rates, or with unknown ones, nothing is charged."""
    for funding in (None, funding_of([]), funding_of([0, HOUR_MS], [np.nan, np.nan])):
        at_open, inside = costs.funding_schedule(bars_of(4, HOUR_MS), HOUR_MS, funding)
        assert not at_open.any()
        assert not inside.any()
        coverage = costs.funding_coverage(bars_of(4, HOUR_MS), HOUR_MS, funding)
        assert coverage == costs.FundingCoverage(0.0, "funding: not modelled")


@settings(deadline=None)
@given(
    st.lists(st.integers(-200, 2000), max_size=80, unique=True).map(sorted),
    st.sampled_from([5, 15, 60, 240]),
    st.integers(0, 59_999),
)
def test_schedule_by_a_slower_route(minutes, length, late):
    """Each payment lands where a plain walk over all bars puts it."""
    step = length * MINUTE_MS
    bars = bars_of(12, step)
    rates = 1.0 + np.arange(len(minutes))
    funding = funding_of(np.array(minutes, np.int64) * MINUTE_MS + late, rates)
    at_open, inside = costs.funding_schedule(bars, step, funding)
    for i in range(12):
        opens, closes = i * length, (i + 1) * length
        assert at_open[i] == sum(r for m, r in zip(minutes, rates, strict=True) if m == opens)
        within = (r for m, r in zip(minutes, rates, strict=True) if opens < m < closes)
        assert inside[i] == sum(within)


HOURS = HOUR_MS * np.arange(240)


@pytest.mark.parametrize(
    ("offsets", "share"),
    [
        (HOURS, 1.0),
        (HOURS[1:] + 73, 1.0),  # nothing could be due before the first, some ms late
        (HOURS[::8], 1.0),  # every 8 hours
        (np.concatenate((HOURS[:80:8], HOURS[80:])), 1.0),  # the venue went from 8h to 1h
        (np.concatenate((HOURS[:120], HOURS[120::8])), 1.0),  # and back
        (np.delete(HOURS, 100), 239 / 240),  # one payment is missing
        (np.delete(HOURS, slice(100, 124)), 216 / 240),  # a day is missing
        (HOURS[:120], 0.5),  # the second half is missing
        (HOURS[121:], 0.5),  # the first half
        (HOURS[:1], 1 / 240),  # a single payment stands for its hour
        (HOURS + 1000 * HOUR_MS, 0.0),  # rates of another time
    ],
)
def test_coverage_of_ten_days(offsets, share):
    """The covered share of ten days is the one worked out by hand, and a gap is told."""
    coverage = costs.funding_coverage(bars_of(960, QUARTER), QUARTER, funding_of(offsets))
    assert coverage.share == pytest.approx(share)
    assert (coverage.note == "") == (share == 1.0)
    if share < 1.0:
        assert f"{share:.1%}" in coverage.note


def wilder_atr(bars, length):
    """Average true range by the book, bar by bar, NaN before *length* bars."""
    value, ranges, found = np.nan, [], []
    for i, bar in enumerate(bars):
        before = bars["close"][i - 1] if i else bar["close"]
        first = bar["high"] - bar["low"]
        ranges.append(
            max(first, abs(bar["high"] - before), abs(bar["low"] - before)) if i else first
        )
        if i == length - 1:
            value = float(np.mean(ranges))
        elif i >= length:
            value = (value * (length - 1) + ranges[-1]) / length
        found.append(value)
    return np.array(found)


def test_slippage_is_of_the_bar_before():
    """Slippage of a bar is the ATR share of the bar before it, at least the half spread."""
    walk = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 80)))
    bars = make_bars(
        START + QUARTER * np.arange(80), walk, walk * 1.004, walk * 0.994, walk * 1.001, walk
    )
    chosen = Settings(half_spread=0.0004, slippage_atr=0.025)
    fraction = costs.slippage_fraction(bars, chosen)
    atr = wilder_atr(bars, 14)
    assert fraction[:14].tolist() == [0.0004] * 14
    for i in range(14, 80):
        assert fraction[i] == pytest.approx(max(0.0004, 0.025 * atr[i - 1] / bars["close"][i - 1]))
    assert (fraction[14:] > 0.0004).any()
    assert (fraction[14:] == 0.0004).any()


def test_a_bar_does_not_know_its_own_range():
    """Changing a bar changes the slippage of later bars only."""
    bars = bars_of(40, QUARTER)
    wild = bars.copy()
    wild["high"][25] = 150.0
    calm, shaken = (costs.slippage_fraction(b, Settings()) for b in (bars, wild))
    assert (calm[:26] == shaken[:26]).all()
    assert (calm[26:] < shaken[26:]).all()


@pytest.mark.parametrize("n", [0, 1, 13])
def test_short_series_have_the_half_spread(n):
    """Where no ATR can exist the half spread applies."""
    fraction = costs.slippage_fraction(bars_of(n, QUARTER), Settings(half_spread=0.001))
    assert fraction.tolist() == [0.001] * n


def test_no_slippage_when_switched_off():
    """With both numbers at zero fills are not slipped at all."""
    fraction = costs.slippage_fraction(
        bars_of(30, QUARTER), Settings(half_spread=0.0, slippage_atr=0.0)
    )
    assert not fraction.any()
