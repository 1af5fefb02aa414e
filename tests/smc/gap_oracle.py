"""Fair value gaps after their definition, one gap at a time over the whole series."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftbt.data.candles import Bars
from ftbt.smc.baselines import ATR


@dataclass
class Gap:
    """One gap and the bars at which things happened to it."""

    side: int
    top: float
    bottom: float
    created: int
    life: dict[str, int] = field(default_factory=dict)

    def at(self, name: str) -> float:
        """The bar of an event, infinity when it never came."""
        return self.life.get(name, np.inf)


def find_gaps(bars: Bars, p: dict[str, Any]) -> list[Gap]:
    """All gaps with their lives, in order of creation."""
    atr = ATR.compute(bars, {"length": p["baseline_length"]})["atr"]
    gaps = []
    for t in range(2, len(bars)):
        first, middle, third = bars[t - 2], bars[t - 1], bars[t]
        if third["low"] > first["high"]:
            gap = Gap(+1, third["low"], first["high"], t)
            right_way = middle["close"] > middle["open"]
            beyond = middle["close"] > first["high"]
        elif third["high"] < first["low"]:
            gap = Gap(-1, first["low"], third["high"], t)
            right_way = middle["close"] < middle["open"]
            beyond = middle["close"] < first["low"]
        else:
            continue
        size = gap.top - gap.bottom
        if p["middle"] == "direction" and not right_way:
            continue
        if p["middle"] == "beyond" and not beyond:
            continue
        if size < p["min_size"] * third["close"]:
            continue
        if p["min_size_atr"] > 0 and not size >= p["min_size_atr"] * atr[t]:
            continue
        _live(gap, bars, p)
        gaps.append(gap)
    return gaps


def _live(gap: Gap, bars: Bars, p: dict[str, Any]) -> None:
    for i in range(gap.created + 1, len(bars)):
        if i - gap.created > p["max_age"]:
            gap.life["expired"] = i
            return
        bar = bars[i]
        mid = (gap.top + gap.bottom) / 2
        if gap.side > 0:
            price = bar["low"] if p["mitigation"] == "wick" else bar["close"]
            reached = (price <= gap.top, price <= mid, price <= gap.bottom)
            beyond = bar["close"] < gap.bottom
        else:
            price = bar["high"] if p["mitigation"] == "wick" else bar["close"]
            reached = (price >= gap.bottom, price >= mid, price >= gap.top)
            beyond = bar["close"] > gap.top
        for name, there in zip(("touched", "half", "filled"), reached, strict=True):
            if there and name not in gap.life:
                gap.life[name] = i
        if beyond:
            gap.life["inverted"] = i
            _live_inverted(gap, bars, p)
            return


def _live_inverted(gap: Gap, bars: Bars, p: dict[str, Any]) -> None:
    start = gap.life["inverted"]
    for i in range(start + 1, len(bars)):
        if i - start > p["max_age"]:
            gap.life["expired"] = i
            return
        bar = bars[i]
        if gap.side > 0:  # it resists now
            price = bar["high"] if p["mitigation"] == "wick" else bar["close"]
            back = price >= gap.bottom
            beyond = bar["close"] > gap.top
        else:
            price = bar["low"] if p["mitigation"] == "wick" else bar["close"]
            back = price <= gap.top
            beyond = bar["close"] < gap.bottom
        if back and "retested" not in gap.life:
            gap.life["retested"] = i
        if beyond:
            gap.life["removed"] = i
            return


def open_gaps(gaps: list[Gap], t: int, side: int, until: str) -> list[Gap]:
    """The gaps of one side that count as open at the close of bar t."""
    closing = {"touch": "touched", "half": "half", "full": "filled"}[until]
    return [
        gap
        for gap in gaps
        if gap.side == side
        and gap.created <= t
        and min(gap.at(closing), gap.at("inverted"), gap.at("expired")) > t
    ]


def inverted_gaps(gaps: list[Gap], t: int, side: int) -> list[Gap]:
    """The gaps that have turned into support (side +1) or resistance at bar t and still are."""
    found = []
    for gap in gaps:
        start = gap.at("inverted")
        end = min(gap.at("removed"), gap.at("expired"))
        if gap.side == -side and start <= t < end:
            found.append(gap)
    return found
