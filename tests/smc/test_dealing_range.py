"""Premium, discount and the optimal trade entry on hand-made swings, and in the mirror."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from smc_markets import fat_tails, mirrored, on_grid, plateaus, table, trending

from ftbt.data.candles import Bars
from ftbt.smc.dealing_range import DEALING_RANGE
from ftbt.smc.structure import STRUCTURE
from ftbt.smc.swings import SWINGS

ONE = {"left": 1, "right": 1}
# Swing low 100 at bar 1, swing high 200 at bar 3; each known one bar later.
UP = [
    (110, 112, 108, 110),
    (105, 110, 100, 105),
    (120, 150, 110, 140),
    (150, 200, 120, 190),
    (180, 190, 125, 160),
    (160, 165, 126, 130),
    (128, 131, 120.5, 121),
]


def test_positions_and_entry_band_of_an_up_leg() -> None:
    """The range, its middle, the close's place in it and the 62, 70.5 and 79 % retracements."""
    out = DEALING_RANGE.compute(table(UP), ONE)
    assert np.isnan(out["high"][:4]).all()
    assert (out["direction"][:4] == 0).all()
    at = out[4]
    assert (at["low"], at["high"], at["equilibrium"]) == (100, 200, 150)
    assert (at["low_origin"], at["high_origin"], at["direction"]) == (3, 1, 1)
    assert (at["position"], at["retracement"], at["zone"], at["in_ote"]) == (0.6, 0.4, -1, 0)
    assert (at["ote_near"], at["ote_sweet"], at["ote_far"]) == (138, 129.5, 121)
    # 130 is a retracement of 70 %: discount, in the band; 121 is its far end, included.
    assert out["position"][5:].tolist() == [0.3, 0.21]
    assert out["zone"][5:].tolist() == [1, 1]
    assert out["in_ote"][5:].tolist() == [1, 1]


def test_the_zone_can_be_the_outer_part_only() -> None:
    """With zone_width=0.25 the middle half of the range is neither premium nor discount."""
    out = DEALING_RANGE.compute(table(UP), {**ONE, "zone_width": 0.25})
    assert out["zone"].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_a_high_below_the_low_is_no_range() -> None:
    """While the last swing low lies above the last swing high everything is unknown."""
    rows = [(c, c + 0.5, c - 0.5, c) for c in (10, 12, 11, 14, 16, 15, 16, 17, 18, 12, 13)]
    rows[4] = (16, 16, 15.4, 15.8)  # no swing high here: bar 5 is higher, and bar 6 higher still
    rows[5] = (15.5, 16.2, 14.5, 15)  # a swing low of 14.5, known at bar 6
    out = DEALING_RANGE.compute(table(rows), ONE)
    swings = SWINGS.compute(table(rows), ONE)
    assert (swings["high"][5], swings["low"][5]) == (12.5, 10.5)
    assert (out["high"][5], out["low"][5], out["direction"][5]) == (12.5, 10.5, -1)
    assert (swings["high"][6], swings["low"][6]) == (12.5, 14.5)
    assert (out["direction"][6:9] == 0).all()
    for name in ("high", "low", "equilibrium", "position", "retracement", "ote_sweet"):
        assert np.isnan(out[name][6:9]).all(), name
    assert (swings["high"][9], swings["low"][9]) == (18.5, 14.5)  # known again at bar 9
    assert (out["high"][9], out["low"][9], out["direction"][9]) == (18.5, 14.5, 1)


@pytest.mark.parametrize("bars", [fat_tails(), trending(), plateaus()])
def test_the_leg_range_lies_between_the_strong_and_the_weak_level(bars: Bars) -> None:
    """range_of="leg" spans structure's strong and weak level and points with the trend."""
    out = DEALING_RANGE.compute(bars, {"range_of": "leg"})
    structure = STRUCTURE.compute(bars)
    with np.errstate(invalid="ignore"):
        known = structure["strong"] != structure["weak"]
    known &= structure["trend"] != 0
    assert known.sum() > 1000
    up = structure["trend"] > 0
    low = np.where(up, structure["strong"], structure["weak"])
    high = np.where(up, structure["weak"], structure["strong"])
    np.testing.assert_array_equal(out["low"][known], low[known])
    np.testing.assert_array_equal(out["high"][known], high[known])
    np.testing.assert_array_equal(out["direction"][known], structure["trend"][known])
    np.testing.assert_array_equal(out["equilibrium"][known], ((low + high) / 2)[known])


@pytest.mark.parametrize("bars", [fat_tails(), trending(), plateaus()])
@pytest.mark.parametrize("range_of", ["swings", "leg"])
def test_position_retracement_and_band_agree(bars: Bars, range_of: str) -> None:
    """Position and retracement are two views of one close; in_ote is the close within the band."""
    out = DEALING_RANGE.compute(bars, {"range_of": range_of})
    known = out["direction"] != 0
    up = out["direction"] > 0
    close = bars["close"]
    expected = np.where(up, 1 - out["position"], out["position"])
    np.testing.assert_allclose(out["retracement"][known], expected[known], atol=1e-12)
    height = out["high"] - out["low"]
    np.testing.assert_allclose(
        (out["low"] + out["position"] * height)[known], close[known], rtol=1e-12
    )
    low_end, high_end = (
        np.minimum(out["ote_near"], out["ote_far"]),
        np.maximum(out["ote_near"], out["ote_far"]),
    )
    inside = (close > low_end) & (close < high_end)
    edge = np.isclose(close, low_end) | np.isclose(close, high_end)
    np.testing.assert_array_equal(out["in_ote"][~edge] == 1, inside[~edge])
    assert out["in_ote"].sum() > 50


@pytest.mark.parametrize("bars", [on_grid(fat_tails()), plateaus()], ids=["fat_tails", "plateaus"])
@pytest.mark.parametrize("values", [{}, {"range_of": "leg", "zone_width": 0.25}])
def test_the_mirrored_market_has_the_mirrored_range(bars: Bars, values: dict[str, Any]) -> None:
    """Upside down, premium is discount and an up-leg a down-leg."""
    centre = 65_536.0
    out = DEALING_RANGE.compute(bars, values)
    mirror = DEALING_RANGE.compute(mirrored(bars, centre), values)
    both = out["high_origin"] == out["low_origin"]  # decided by the close: 0.5 is not symmetric
    both |= np.isnan(out["high_origin"])
    np.testing.assert_array_equal(out["high"], centre - mirror["low"])
    np.testing.assert_array_equal(out["low_origin"], mirror["high_origin"])
    np.testing.assert_array_equal(out["direction"][~both], -mirror["direction"][~both])
    np.testing.assert_allclose(out["position"], 1 - mirror["position"], atol=1e-12)
    np.testing.assert_allclose(out["retracement"][~both], mirror["retracement"][~both], atol=1e-12)
    np.testing.assert_allclose(
        out["ote_sweet"][~both], centre - mirror["ote_sweet"][~both], rtol=1e-12
    )
