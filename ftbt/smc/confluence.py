"""Confluence: how many reasons in the price stand behind a long (mirrored: a short), 0 to 4.

A part of `confidence.py`. It knows the newest zone of each kind only, so that it stays cheap:

* *discount*: the close is in the lower half of the last confirmed swing low and high, or below.
* *sweep*: a bar trades beyond the last unbroken swing low and closes back above it.
* *gap*: a bar's low is above the high of two bars before (a fair value gap, see `fvg.py`).
* *block*: structure breaks upward; the block is the last candle between the broken swing high and
  the break that closed down (an order block, see `order_blocks.py`).

A sweep counts for `recent` bars. Gap and block count that long too, from the bar at which they
appear and from each bar that trades in them, until a bar closes beyond their far edge.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined
from ftbt.smc.ledger import seen_high, seen_low

REASONS = 4.0
NEVER = -(10**9)

# A gap or block as its side sees it: prices of the short side are negated, see `ledger.py`.
_ZONE = np.dtype([("near", "f8"), ("far", "f8"), ("bar", "i8"), ("open", "i8")], align=True)
# Two places for a zone: what may be the next one is written to the place that is not in use, and
# `used` turns to it if it is. A processor guesses badly which ones are, and a wrong guess takes
# longer than writing.
_PAIR = np.dtype([("place", _ZONE, (2,)), ("used", "i8")], align=True)
CONFLUENCE_STATE = np.dtype(
    [
        ("sweep_bar", "i8"),
        ("gap", _PAIR),  # `bar`: the last one at which it appeared or was traded in
        ("block", _ZONE),
        ("candle", _PAIR),  # the last one against this side: the next block
    ],
    align=True,
)


@compiled
def confluence_init(state):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state of one side."""
    state.sweep_bar = NEVER
    state.gap.place[0].bar = NEVER
    state.block.bar = NEVER
    state.candle.place[0].bar = NEVER


@inlined
def find_sweep(state, level, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar; *level* is the last unbroken swing of its side before that bar."""
    before = state.sweep_bar
    sweeps = (seen_low(bar, sign) < level) & (sign * bar.close > level)
    state.sweep_bar = now if sweeps else before


@inlined
def _follow_zone(zone, low, close, now):  # type: ignore[no-untyped-def]
    """Note a bar that trades in *zone*; a close beyond ends it."""
    # Chosen, not jumped over, as above.
    inside = (low <= zone.near) & (zone.open == 1)
    ends = inside & (close < zone.far)
    bar = now if inside else zone.bar
    zone.bar = NEVER if ends else bar
    zone.open = 0 if ends else zone.open


@inlined
def _offer_zone(pair, taken, near, far, now):  # type: ignore[no-untyped-def]
    """Let a zone that appears at this bar take the place of the one before, if it is *taken*."""
    used = pair.used & 1
    zone = pair.place[1 - used]
    zone.near = near
    zone.far = far
    zone.bar = now
    zone.open = 1
    pair.used = 1 - used if taken else used


@inlined
def follow_zones(state, before, structure, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar with its structure into the gap and block of one side.

    *before* is the high of two bars ago as this side sees it, NaN where there is none.
    """
    low = seen_low(bar, sign)
    high = seen_high(bar, sign)
    close = sign * bar.close
    _follow_zone(state.gap.place[state.gap.used & 1], low, close, now)
    _follow_zone(state.block, low, close, now)
    _offer_zone(state.gap, low > before, low, before, now)
    if structure.bos + structure.choch == sign:
        _take_block(state, structure, close, now)
    _offer_zone(state.candle, close < sign * bar.open, high, low, now)


@compiled
def _take_block(state, structure, close, now):  # type: ignore[no-untyped-def]
    """Make the last candle against a break upward its block, if it came after the broken swing."""
    candle = state.candle.place[state.candle.used & 1]
    if candle.bar > now - structure.break_origin and close >= candle.far:
        state.block.near = candle.near
        state.block.far = candle.far
        state.block.bar = now
        state.block.open = 1


@inlined
def gap_bar(state):  # type: ignore[no-untyped-def]
    """Return the last bar at which the gap appeared or was traded in."""
    return state.gap.place[state.gap.used & 1].bar


@inlined
def reasons(state, swing, sign, bar, now, recent):  # type: ignore[no-untyped-def]
    """Return how many reasons one side has at the close of *bar* with its swings."""
    high = swing.high
    low = swing.low
    # Two distances are compared: rounding a middle would break the mirror.
    below = sign * (bar.close - low) < sign * (high - bar.close)
    count = np.int64((high > low) & below)
    count += np.int64(now - state.sweep_bar <= recent)
    count += np.int64(now - gap_bar(state) <= recent)
    return count + np.int64(now - state.block.bar <= recent)
