"""The zigzag against a second route over the finished list of swings, and in the mirror."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from smc_markets import fat_tails, market, mirrored, names, on_grid, plateaus, table

from ftbt.data.candles import Bars
from ftbt.smc.swings import SWINGS
from ftbt.smc.zigzag import ZIGZAG


def runs_of_swings(bars: Bars, size: int) -> list[list[tuple[int, int, float]]]:
    """Confirmed swings (known at, sign, price) grouped into runs of one kind."""
    out = SWINGS.compute(bars, {"left": size, "right": size})
    found: list[list[tuple[int, int, float]]] = []
    leg = 1
    for i in np.flatnonzero((out["high_event"] > 0) | (out["low_event"] > 0)):
        for sign in (leg, -leg):
            side = "high" if sign > 0 else "low"
            if out[f"{side}_event"][i]:
                if not found or found[-1][0][1] != sign:
                    found.append([])
                found[-1].append((int(i), sign, float(out[side][i])))
        leg = found[-1][0][1]
    return found


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("place", names())
def test_turns_are_the_extremes_of_runs_of_swings(place: str, size: int) -> None:
    """Each run's most extreme swing is the turn, final when the next run begins."""
    bars = market(place)
    out = ZIGZAG.compute(bars, {"left": size, "right": size})
    runs = runs_of_swings(bars, size)
    assert len(runs) > 20
    expected = {}
    for run, after in pairwise(runs):
        best = max(run, key=lambda swing: swing[1] * swing[2])  # the first of equal ones
        expected[after[0][0]] = (best[1], best[2], best[0] - size)
    for i in np.flatnonzero(out["turn"]):
        sign, price, bar = expected[int(i)]
        side = "high" if sign > 0 else "low"
        assert out["turn"][i] == sign
        assert out[side][i] == price
        assert i - out[f"{side}_origin"][i] == bar
    assert set(np.flatnonzero(out["turn"])) == set(expected)


def test_a_provisional_high_moves_until_a_low_is_confirmed() -> None:
    """Highs of 12, 14 and 13 without a swing low between them are one turn, at 14."""
    highs = (10, 12, 11, 14, 11, 13, 11, 9, 10, 8)
    lows = (9, 8.9, 8.8, 8.7, 8.6, 8.5, 8.4, 7, 8, 6)
    rows = [((h + lo) / 2, h, lo, (h + lo) / 2) for h, lo in zip(highs, lows, strict=True)]
    out = ZIGZAG.compute(table(rows), {"left": 1, "right": 1})
    assert out["extreme"].tolist()[2:8] == [12, 12, 14, 14, 14, 14]
    assert out["extreme_origin"].tolist()[2:8] == [1, 2, 1, 2, 3, 4]
    assert np.flatnonzero(out["turn"]).tolist() == [8, 9]
    assert (out["high"][8], out["high_origin"][8], out["leg"][8]) == (14, 5, -1)
    assert out["extreme"][8] == 7
    assert (out["turn"][9], out["low"][9], out["extreme"][9]) == (-1, 7, 10)


@pytest.mark.parametrize("bars", [on_grid(fat_tails()), plateaus()], ids=["fat_tails", "plateaus"])
def test_the_mirrored_market_turns_the_other_way(bars: Bars) -> None:
    """Upside down every turn and leg changes sign and highs and lows change places."""
    centre = 65_536.0
    out, mirror = ZIGZAG.compute(bars), ZIGZAG.compute(mirrored(bars, centre))
    np.testing.assert_array_equal(out["turn"], -mirror["turn"])
    np.testing.assert_array_equal(out["leg"], -mirror["leg"])
    np.testing.assert_array_equal(out["extreme"], centre - mirror["extreme"])
    np.testing.assert_array_equal(out["high"], centre - mirror["low"])
    np.testing.assert_array_equal(out["low_label"], -mirror["high_label"])
