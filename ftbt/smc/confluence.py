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
        ("candle", _ZONE),  # the last one against this side: the next block
    ],
    align=True,
)


@compiled
def confluence_init(state):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state of one side."""
    state.sweep_bar = NEVER
    state.gap.bar = NEVER
    state.gap.near = NAN
    state.block.bar = NEVER
    state.block.near = NAN
    state.candle.bar = NEVER


@inlined
def find_sweep(state, level, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar; *level* is the last unbroken swing of its side before that bar."""
    before = state.sweep_bar
    sweeps = (seen_low(bar, sign) < level) & (sign * bar.close > level)
    state.sweep_bar = now if sweeps else before


@inlined
def _follow_zone(zone, low, close, now):  # type: ignore[no-untyped-def]
    """Note a bar that trades in *zone*; a close beyond ends it."""
    # Chosen, not jumped over: which bars trade in a zone is hard to guess for a processor.
    near, bar = zone.near, zone.bar
    inside = low <= near
    ends = inside & (close < zone.far)
    zone.near = NAN if ends else near
    zone.bar = NEVER if ends else (now if inside else bar)


@compiled
def _set_zone(zone, near, far, now):  # type: ignore[no-untyped-def]
    zone.near = near
    zone.far = far
    zone.bar = now


@inlined
def follow_zones(state, before, structure, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar with its structure into the gap and block of one side.

    *before* is the high of two bars ago as this side sees it, NaN where there is none.
    """
    low = seen_low(bar, sign)
    high = seen_high(bar, sign)
    close = sign * bar.close
    _follow_zone(state.gap, low, close, now)
    _follow_zone(state.block, low, close, now)
    if low > before:
        _set_zone(state.gap, low, before, now)
    candle = state.candle
    broken = structure.bos + structure.choch == sign and candle.bar > now - structure.break_origin
    if broken and close >= candle.far:
        _set_zone(state.block, candle.near, candle.far, now)
    against = close < sign * bar.open
    old_high, old_low, old_bar = candle.near, candle.far, candle.bar
    candle.near = high if against else old_high
    candle.far = low if against else old_low
    candle.bar = now if against else old_bar


@inlined
def reasons(state, swing, sign, bar, now, recent):  # type: ignore[no-untyped-def]
    """Return how many reasons one side has at the close of *bar* with its swings."""
    high = swing.high
    low = swing.low
    # Two distances are compared: rounding a middle would break the mirror.
    below = sign * (bar.close - low) < sign * (high - bar.close)
    discount = (high > low) & below
    count = 1.0 if discount else 0.0
    count += 1.0 if now - state.sweep_bar <= recent else 0.0
    count += 1.0 if now - state.gap.bar <= recent else 0.0
    return count + (1.0 if now - state.block.bar <= recent else 0.0)
