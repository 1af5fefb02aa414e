"""Displacement candles on hand-made bars, by a second route and in the mirror."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from smc_markets import fat_tails, market, mirrored, names, on_grid, plateaus, table

from ftbt.data.candles import Bars
from ftbt.smc.baselines import ATR
from ftbt.smc.displacement import DISPLACEMENT

# True ranges 2, 2, 2, 6, 3, 3; ATR(2): -, 2, 2, 4, 3.5, 3.25.
ROWS = [
    (10, 11, 9, 10),
    (10, 11, 9, 10.5),
    (10.5, 11, 9, 10),
    (10, 16, 10, 16),  # body 6 = 1.5 ATR
    (16, 17, 14, 16.5),  # its low 14 is above bar 2's high 11: a gap around bar 3
    (16.5, 17, 14, 14.5),
]


def test_a_large_body_is_known_at_its_own_close() -> None:
    """A body of `factor` ATRs makes the event; strength and origin tell which and how large."""
    out = DISPLACEMENT.compute(table(ROWS), {"atr_length": 2, "factor": 1.5})
    assert out["event"].tolist() == [0, 0, 0, 1, 0, 0]
    assert out["origin"].tolist()[3:] == [0, 1, 2]
    assert np.isnan(out["origin"][:3]).all()
    assert out["origin_strength"].tolist()[3:] == [1.5, 1.5, 1.5]
    assert out["strength"].tolist()[1:4] == [0.25, -0.25, 1.5]
    assert np.isnan(out["strength"][0])
    assert not DISPLACEMENT.compute(table(ROWS), {"atr_length": 2, "factor": 1.51})["event"].any()


def test_a_gap_is_known_one_bar_later() -> None:
    """With `require_gap`, or measured by the gap alone, the event comes with the next bar."""
    for values in ({"require_gap": True}, {"measure": "gap"}):
        out = DISPLACEMENT.compute(table(ROWS), {"atr_length": 2, "factor": 1.5, **values})
        assert out["event"].tolist() == [0, 0, 0, 0, 1, 0], values
        assert out["origin"].tolist()[4:] == [1, 2], values
        assert out["origin_strength"][4] == 1.5
    closed = [*ROWS[:4], (16, 17, 11, 16.5)]  # touches bar 2's high: no gap
    out = DISPLACEMENT.compute(table(closed), {"atr_length": 2, "require_gap": True})
    assert not out["event"].any()


def test_the_range_can_be_measured_in_place_of_the_body() -> None:
    """A long-legged candle displaces by its range in the direction of its body; a doji never."""
    rows = [(10, 11, 9, 10), (10, 11, 9, 10), (10, 16, 8, 9)]
    body = DISPLACEMENT.compute(table(rows), {"atr_length": 2})
    span = DISPLACEMENT.compute(table(rows), {"atr_length": 2, "measure": "range"})
    assert not body["event"].any()
    assert span["event"].tolist() == [0, 0, -1]
    assert span["strength"][2] == -8 / 5
    doji = table([*rows[:2], (10, 16, 8, 10)])
    assert not DISPLACEMENT.compute(doji, {"atr_length": 2, "measure": "range"})["event"].any()


@pytest.mark.parametrize("place", names())
def test_displacement_by_a_second_route(place: str) -> None:
    """All four kinds of event are those of whole-array arithmetic on the same bars."""
    bars = market(place)
    atr = ATR.compute(bars)["atr"]
    body = bars["close"] - bars["open"]
    with np.errstate(invalid="ignore", divide="ignore"):
        strength = np.where(atr > 0, body / atr, np.nan)
        large = np.where(abs(strength) >= 1.5, np.sign(body), 0.0)
    gap = np.zeros(len(bars))
    gap[2:] = (bars["low"][2:] > bars["high"][:-2]) * 1.0 - (bars["high"][2:] < bars["low"][:-2])
    both = np.concatenate([[0.0], np.where(large[:-1] == gap[1:], large[:-1], 0.0)])
    for values, expected in (
        ({}, large),
        ({"measure": "gap"}, gap),
        ({"require_gap": True}, both),
    ):
        out = DISPLACEMENT.compute(bars, values)
        np.testing.assert_array_equal(out["event"], expected)
        assert np.count_nonzero(expected) > 0, values


@pytest.mark.parametrize("bars", [on_grid(fat_tails()), plateaus()], ids=["fat_tails", "plateaus"])
@pytest.mark.parametrize("values", [{}, {"measure": "range", "require_gap": True}])
def test_the_mirrored_market_displaces_the_other_way(bars: Bars, values: dict[str, Any]) -> None:
    """Upside down every event and strength changes sign and nothing else."""
    out = DISPLACEMENT.compute(bars, values)
    mirror = DISPLACEMENT.compute(mirrored(bars, 65_536.0), values)
    for name in ("event", "strength", "origin_strength"):
        np.testing.assert_array_equal(out[name], -mirror[name])
    np.testing.assert_array_equal(out["origin"], mirror["origin"])
