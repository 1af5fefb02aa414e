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
from ftbt.smc.base import NAN
from ftbt.smc.ledger import seen_high, seen_low

REASONS = 4.0
NEVER = -(10**9)

# A gap or block as its side sees it: prices of the short side are negated, see `ledger.py`.
_ZONE = np.dtype([("near", "f8"), ("far", "f8"), ("bar", "i8")], align=True)
CONFLUENCE_STATE = np.dtype(
    [
        ("sweep_bar", "i8"),
        ("gap", _ZONE),  # `bar`: the last one at which it appeared or was traded in
        ("block", _ZONE),
        ("reach", "f8"),  # the price is in neither of them while it stays above this
    ],
    align=True,
)
# The last candles that closed down, up, and neither: the next blocks.
CANDLES = np.dtype([("high", "f8"), ("low", "f8"), ("bar", "i8")], align=True), (3,)


@compiled
def confluence_init(state):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state of one side."""
    state.sweep_bar = NEVER
    state.gap.bar = NEVER
    state.gap.near = NAN
    state.block.bar = NEVER
    state.block.near = NAN
    state.reach = -np.inf


@inlined
def find_sweep(state, level, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar; *level* is the last unbroken swing of its side before that bar."""
    before = state.sweep_bar
    sweeps = (seen_low(bar, sign) < level) & (sign * bar.close > level)
    state.sweep_bar = now if sweeps else before


@compiled
def _follow_zone(state, zone, low, close, now):  # type: ignore[no-untyped-def]
    """Note a bar that trades in *zone*; a close beyond ends it."""
    if low <= zone.near:
        zone.bar = now
        if close < zone.far:
            zone.near = NAN
            zone.bar = NEVER
    if not np.isnan(zone.near):
        state.reach = max(state.reach, zone.near)


@compiled
def _meet_zones(state, low, close, now):  # type: ignore[no-untyped-def]
    state.reach = -np.inf
    _follow_zone(state, state.gap, low, close, now)
    _follow_zone(state, state.block, low, close, now)


@inlined
def _set_zone(state, zone, near, far, now):  # type: ignore[no-untyped-def]
    zone.near = near
    zone.far = far
    zone.bar = now
    state.reach = max(state.reach, near)


@compiled
def _take_block(state, candle, structure, sign, close, now):  # type: ignore[no-untyped-def]
    """Make *candle* the block of a break at bar *now*, if it came after the broken swing."""
    far = seen_low(candle, sign)
    if candle.bar > now - structure.break_origin and close >= far:
        _set_zone(state, state.block, seen_high(candle, sign), far, now)


@inlined
def follow_zones(state, candles, before, structure, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar with its structure into the gap and block of one side.

    *before* is the high of two bars ago as this side sees it, NaN where there is none.
    """
    low = seen_low(bar, sign)
    close = sign * bar.close
    if low <= state.reach:
        _meet_zones(state, low, close, now)
    if low > before:
        _set_zone(state, state.gap, low, before, now)
    if structure.bos + structure.choch == sign:
        _take_block(state, candles[0 if sign > 0 else 1], structure, sign, close, now)


@inlined
def take_candle(candles, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar that may be the next block of a side."""
    # Computed, not jumped to: no processor guesses how a bar closes.
    candle = candles[2 - 2 * np.int64(bar.close < bar.open) - np.int64(bar.close > bar.open)]
    candle.high = bar.high
    candle.low = bar.low
    candle.bar = now


@inlined
def reasons(state, swing, sign, bar, now, recent):  # type: ignore[no-untyped-def]
    """Return how many reasons one side has at the close of *bar* with its swings."""
    high = swing.high
    low = swing.low
    # Two distances are compared: rounding a middle would break the mirror.
    below = sign * (bar.close - low) < sign * (high - bar.close)
    count = np.int64((high > low) & below)
    count += np.int64(now - state.sweep_bar <= recent)
    count += np.int64(now - state.gap.bar <= recent)
    return count + np.int64(now - state.block.bar <= recent)
