"""Sizes: what a stopped trade loses, which cap binds, what confidence changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftbt.risk.sizing import (
    BY_EXPOSURE,
    BY_MARGIN,
    BY_NOTIONAL,
    BY_RISK,
    confidence_scale,
    position_size,
)


def size(**changes: float) -> tuple[float, int]:
    """The size for a usual long at 100 with a stop at 98, with some numbers changed."""
    usual = dict(
        equity=10_000.0,
        entry=100.0,
        stop=98.0,
        scale=1.0,
        risk_per_trade=0.01,
        max_notional=10.0,
        leverage=20.0,
        cost_rate=0.0,
        size_decimals=3,
        room=1e12,
    )
    return position_size(*{**usual, **changes}.values())[:2]


def test_a_stopped_trade_loses_the_risked_share() -> None:
    """Size times stop distance is the risked share of the equity, to the lot."""
    assert size() == (50.0, BY_RISK)


def test_costs_of_both_fills_are_part_of_the_risk() -> None:
    """With costs the loss at the stop, fees included, is still the risked share."""
    got, _ = size(cost_rate=0.001)

    assert abs(got * (2.0 + 0.001 * (100.0 + 98.0)) - 100.0) < 0.01


def test_two_confidences_give_two_sizes_at_any_usual_stop_distance() -> None:
    """No cap undoes confidence: the size follows it in proportion, whatever bound."""
    for distance in (0.5, 1.0, 2.0, 5.0, 16.0, 40.0):
        for cap in (dict(max_notional=3.0), dict(leverage=1.0), dict(room=2_000.0)):
            high, _ = size(stop=100.0 - distance, scale=confidence_scale(90.0, 0.5), **cap)
            low, _ = size(stop=100.0 - distance, scale=confidence_scale(50.0, 0.5), **cap)

            assert low / high == pytest.approx(0.75 / 0.95, abs=1e-3), (distance, cap)


def test_each_cap_tells_that_it_bound() -> None:
    """The notional cap and the margin cap bind on their own, and say so."""
    assert size(max_notional=0.2) == (20.0, BY_NOTIONAL)
    assert size(leverage=0.1) == (10.0, BY_MARGIN)
    assert size(room=2_500.0) == (25.0, BY_EXPOSURE)


def test_confidence_scale_runs_from_full_risk_to_its_floor() -> None:
    """Strength 0 ignores confidence, strength 1 is proportional, outside 0..100 is cut."""
    assert confidence_scale(10.0, 0.0) == 1.0
    assert confidence_scale(25.0, 1.0) == 0.25
    assert confidence_scale(250.0, 1.0) == 1.0
    assert confidence_scale(-5.0, 1.0) == 0.0


@given(
    equity=st.floats(-1e4, 1e6),
    entry=st.floats(0.01, 1e5),
    distance=st.floats(-0.5, 0.5),
    risk=st.floats(0.0005, 0.05),
    notional=st.floats(0.01, 50),
    leverage=st.floats(1, 50),
    decimals=st.integers(0, 6),
)
def test_no_cap_is_ever_broken(
    equity: float,
    entry: float,
    distance: float,
    risk: float,
    notional: float,
    leverage: float,
    decimals: int,
) -> None:
    """Loss at the stop, notional and margin stay within their caps for any input."""
    stop = entry * (1.0 + distance)
    got, _, _ = position_size(
        equity, entry, stop, 1.0, risk, notional, leverage, 0.0005, decimals, 1e15
    )
    hair = 10.0**-decimals * 1e-8 + 1e-9 * max(1.0, got)

    assert got >= 0.0
    assert (got - hair) * abs(entry - stop) <= max(0.0, equity) * risk * (1 + 1e-9)
    assert (got - hair) * entry <= max(0.0, equity) * min(notional, leverage) * (1 + 1e-9)
