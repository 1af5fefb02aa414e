"""The reasons of confluence, counted by other lines and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from smc_markets import BASE_MS, market

from ftbt.data.candles import Bars
from ftbt.data.sample import sample_market
from ftbt.smc import CONFIDENCE, DEALING_RANGE, FVG, ORDER_BLOCKS, STRUCTURE, compute_line
from ftbt.smc.base import Records

MARKETS = ("fat_tails", "trending", "plateaus")
SIDES = (("long", 1), ("short", -1))


def confidence(bars: Bars, recent: int) -> Records:
    """The line at every bar."""
    return compute_line(CONFIDENCE, bars, BASE_MS, {"recent": recent})


def _reasons(bars: Bars, recent: int) -> np.ndarray:
    """The number of reasons of each side, bar by bar, from other lines and plain loops."""
    lines = STRUCTURE.compute(bars)
    gaps = FVG.compute(bars)
    zone = DEALING_RANGE.compute(bars)["zone"]
    count = np.zeros((len(bars), 2))
    for k, (_, sign) in enumerate(SIDES):
        low, high = ("low", "high") if sign > 0 else ("high", "low")
        last = {"sweep": -(10**6), "gap": -(10**6), "block": -(10**6)}
        alive: dict[str, tuple[float, float]] = {}
        for i, bar in enumerate(bars):
            level = lines[low][i - 1] if i else np.nan
            if sign * bar[low] < sign * level and sign * bar["close"] > sign * level:
                last["sweep"] = i
            for kind, (near, far) in list(alive.items()):
                if sign * bar[low] <= sign * near:
                    last[kind] = i
                if sign * bar["close"] < sign * far:
                    last[kind] = -(10**6)
                    del alive[kind]
            if gaps["created"][i] == sign:
                alive["gap"], last["gap"] = (bar[low], bars[high][i - 2]), i
            elif i >= 2 and sign * bar[low] > sign * bars[high][i - 2]:
                raise AssertionError("a gap that the gap line does not know")
            if sign in (lines["bos"][i], lines["choch"][i]):
                since = i - int(lines["break_origin"][i])
                against = [
                    j
                    for j in range(since + 1, i)
                    if sign * bars["close"][j] < sign * bars["open"][j]
                ]
                if against and sign * bar["close"] >= sign * bars[low][against[-1]]:
                    block = bars[against[-1]]
                    alive["block"], last["block"] = (block[high], block[low]), i
            fresh = sum(i - bar_ <= recent for bar_ in last.values())
            count[i, k] = (zone[i] == sign) + fresh
    return count


@pytest.mark.parametrize("name", MARKETS)
@pytest.mark.parametrize("recent", [0, 8])
def test_confluence_counts_discount_sweep_gap_and_block(name: str, recent: int) -> None:
    """Each reason gives 5 points; they are what the lines of their own say of the newest zone."""
    bars = market(name)
    expected = 5.0 * _reasons(bars, recent)
    out = confidence(bars, recent)
    for k, (word, _) in enumerate(SIDES):
        np.testing.assert_array_equal(out[f"{word}_confluence"], expected[:, k])
    assert len(np.unique(expected)) >= (4 if recent else 3)


def test_the_block_of_confluence_is_an_order_block() -> None:
    """Each new order block (of any height) is a reason at the bar at which it is known."""
    bars = sample_market(["BTC"], days=120)["BTC"].candles.bars
    created = ORDER_BLOCKS.compute(bars, {"max_range": 0.0})["created"]
    out = confidence(bars, 0)
    for word, sign in SIDES:
        assert (created == sign).sum() > 50
        assert (out[f"{word}_confluence"][created == sign] >= 5.0).all()
