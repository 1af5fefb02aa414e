"""Order blocks after their definition, one block at a time over the whole series.

Breaks and swings come from `structure`, which has tests of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftbt.data.candles import Bars
from ftbt.smc.baselines import ATR
from ftbt.smc.structure import STRUCTURE


@dataclass
class Block:
    """One block and what happened to it."""

    side: int
    top: float
    bottom: float
    anchor: int
    created: int
    life: list[tuple[int, str]] = field(default_factory=list)
    swept: bool = False

    def at(self, name: str) -> float:
        """The bar of an event's first time, infinity when it never came."""
        return next((bar for bar, what in self.life if what == name), np.inf)

    def tests(self, t: int, name: str = "tested") -> int:
        """How many tests it had up to bar t."""
        return sum(bar <= t for bar, what in self.life if what == name)


def find_blocks(bars: Bars, p: dict[str, Any]) -> list[Block]:
    """All blocks with their lives, in order of creation."""
    structure = STRUCTURE.compute(bars, {name: p[name] for name in STRUCTURE.defaults})
    atr = ATR.compute(bars, {"length": p["baseline_length"]})["atr"]
    blocks: list[Block] = []
    for t in range(len(bars)):
        kinds = {"both": ("bos", "choch"), "bos": ("bos",), "choch": ("choch",)}[p["breaks"]]
        side = int(sum(structure[kind][t] for kind in kinds))
        if side == 0:
            continue
        start = max(t - int(structure["break_origin"][t]) + 1, t - p["lookback"])
        anchor = _anchor(bars, side, start, t, atr[t], p)
        if anchor is None or (p["require_fvg"] and not _gap_between(bars, side, anchor, t)):
            continue
        if any(_alive(block, side, t) and block.anchor == anchor for block in blocks):
            continue
        block = _block(bars[anchor], side, anchor, t, p["zone"])
        if bars["close"][t] < block.bottom if side > 0 else bars["close"][t] > block.top:
            continue
        _live(block, bars, structure, p)
        blocks.append(block)
    return blocks


def _alive(block: Block, side: int, t: int) -> bool:
    return block.side == side and min(block.at("broken"), block.at("expired")) > t


def _anchor(bars: Bars, side: int, start: int, t: int, atr: float, p: Any) -> int | None:
    wide = p["max_range"] * atr if p["max_range"] > 0 else np.inf
    places = [i for i in range(start, t) if bars["high"][i] - bars["low"][i] <= wide]
    if p["anchor"] == "last_opposite":
        places = [i for i in places if side * (bars["close"][i] - bars["open"][i]) < 0]
        return places[-1] if places else None
    if not places:
        return None
    if side > 0:
        best = min(bars["low"][i] for i in places)
        return max(i for i in places if bars["low"][i] == best)
    best = max(bars["high"][i] for i in places)
    return max(i for i in places if bars["high"][i] == best)


def _gap_between(bars: Bars, side: int, anchor: int, t: int) -> bool:
    thirds = range(anchor + 2, t + 1)
    if side > 0:
        return any(bars["low"][i] > bars["high"][i - 2] for i in thirds)
    return any(bars["high"][i] < bars["low"][i - 2] for i in thirds)


def _block(bar: Any, side: int, anchor: int, t: int, zone: str) -> Block:
    high, low = bar["high"], bar["low"]
    body_top, body_bottom = max(bar["open"], bar["close"]), min(bar["open"], bar["close"])
    if zone == "body":
        return Block(side, body_top, body_bottom, anchor, t)
    if zone == "body_wick":
        return (
            Block(side, body_top, low, anchor, t)
            if side > 0
            else Block(side, high, body_bottom, anchor, t)
        )
    return Block(side, high, low, anchor, t)


def _live(block: Block, bars: Bars, structure: Any, p: dict[str, Any]) -> None:
    inside, mitigated = False, False
    middle = (block.top + block.bottom) / 2
    for i in range(block.created + 1, len(bars)):
        bar = bars[i]
        if i - block.created > p["max_age"]:
            block.life.append((i, "expired"))
            return
        price = bar["close"] if p["mitigation"] == "close" else bar[_towards(block.side)]
        if block.side > 0:
            touching = bar["low"] <= block.top
            deep = price < (middle if p["mitigation_depth"] == "half" else block.bottom)
            broken = bar["close"] < block.bottom
            level = structure["high"][i - 1]
            block.swept |= bool(bar["high"] > level and bar["close"] < level)
        else:
            touching = bar["high"] >= block.bottom
            deep = price > (middle if p["mitigation_depth"] == "half" else block.top)
            broken = bar["close"] > block.top
            level = structure["low"][i - 1]
            block.swept |= bool(bar["low"] < level and bar["close"] > level)
        if touching and not inside:
            block.life.append((i, "tested"))
        inside = touching
        if deep and not mitigated:
            block.life.append((i, "mitigated"))
            mitigated = True
        if broken:
            block.life.append((i, "broken"))
            if block.swept or not p["require_sweep"]:
                block.life.append((i, "breaker"))
                _live_on(block, bars, i, p)
            return


def _towards(side: int) -> str:
    return "low" if side > 0 else "high"


def _live_on(block: Block, bars: Bars, start: int, p: dict[str, Any]) -> None:
    inside = False
    for i in range(start + 1, len(bars)):
        bar = bars[i]
        if i - start > p["max_age"]:
            block.life.append((i, "expired"))
            return
        if block.side > 0:
            touching, beyond = bar["high"] >= block.bottom, bar["close"] > block.top
        else:
            touching, beyond = bar["low"] <= block.top, bar["close"] < block.bottom
        if touching and not inside:
            block.life.append((i, "retested"))
        inside = touching
        if beyond:
            block.life.append((i, "removed"))
            return


def active_blocks(blocks: list[Block], t: int, side: int, until: str) -> list[Block]:
    """The blocks of one side that the lines count at the close of bar t."""
    return [
        block
        for block in blocks
        if block.side == side
        and block.created <= t
        and min(block.at(until), block.at("broken"), block.at("expired")) > t
    ]


def breakers(blocks: list[Block], t: int, side: int) -> list[Block]:
    """The breakers that act on one side at the close of bar t, in order of their break."""
    found = [
        block
        for block in blocks
        if block.side == -side
        and block.at("breaker") <= t
        and min(block.at("removed"), block.at("expired")) > t
    ]
    return sorted(found, key=lambda block: (block.at("breaker"), block.created))
