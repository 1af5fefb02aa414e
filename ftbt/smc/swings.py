"""Swing highs and lows (fractals), known only once the bars to their right have closed.

A bar p is a swing high when its high is above the highs of the `left` bars before it and not
below those of the `right` bars after it (`ties="first"`: the first bar of a plateau). With
`ties="strict"` it must be above both (no plateau), with `"all"` below none (each of its bars). It
becomes known at the close of bar p + right, and its event is stamped there; `origin` tells how
many bars back the anchor lies. Nothing is ever moved or deleted.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Choice, Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.smc.rows import blank, keep

RING = 128  # bars kept, a power of two; left + right + 1 must fit
_MASK = RING - 1
_CLOSE = 4  # neighbours on each side that are looked at first

SWING_STATE = np.dtype(
    [
        ("high", "f8", (RING,)),
        ("low", "f8", (RING,)),
        ("count", "i8"),  # bars seen
        ("last_high", "f8"),
        ("last_low", "f8"),
        ("high_bar", "i8"),
        ("low_bar", "i8"),
        ("high_label", "f8"),
        ("low_label", "f8"),
    ],
    align=True,
)

FIELDS = {
    "high_event": "1 at the bar that confirms a swing high, else 0",
    "low_event": "1 at the bar that confirms a swing low, else 0",
    "high": "price of the last confirmed swing high, NaN before the first",
    "low": "price of the last confirmed swing low, NaN before the first",
    "high_origin": "bars back to the last swing high's own bar, NaN before the first",
    "low_origin": "bars back to the last swing low's own bar, NaN before the first",
    "high_label": "+1 the last swing high is a higher high, -1 a lower high, 0 equal or first",
    "low_label": "+1 the last swing low is a higher low, -1 a lower low, 0 equal or first",
}


@compiled
def swing_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prepare a zeroed state."""
    state.last_high = NAN
    state.last_low = NAN


@compiled
def _is_extreme(values, anchor, left, right, ties, sign):  # type: ignore[no-untyped-def]
    """Tell whether the bar *anchor* is an extreme of *values* (sign -1: a low)."""
    price = sign * values[anchor & _MASK]
    # Most bars fail by a close neighbour. All of them at once: a processor that guesses wrong
    # where a loop over them ends loses more time than the loop takes.
    around = price
    for k in range(1, _CLOSE + 1):
        before = sign * values[(anchor - min(k, left)) & _MASK]
        after = sign * values[(anchor + min(k, right)) & _MASK]
        around = max(around, before, after)
    if around > price:
        return False
    for k in range(1, left + 1):
        other = sign * values[(anchor - k) & _MASK]
        if other > price or (ties != 2 and other == price):
            return False
    for k in range(1, right + 1):
        other = sign * values[(anchor + k) & _MASK]
        if other > price or (ties == 1 and other == price):
            return False
    return True


@inlined
def _label(new, old):  # type: ignore[no-untyped-def]
    if new > old:
        return 1.0
    return -1.0 if new < old else 0.0  # also when there is no older one (NaN)


@inlined
def swing_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rule."""
    now = state.count
    state.high[now & _MASK] = bar.high
    state.low[now & _MASK] = bar.low
    state.count = now + 1
    high_event = 0.0
    low_event = 0.0
    anchor = now - p.right
    if anchor >= p.left:
        if _is_extreme(state.high, anchor, p.left, p.right, p.ties, 1.0):
            price = state.high[anchor & _MASK]
            state.high_label = _label(price, state.last_high)
            state.last_high = price
            state.high_bar = anchor
            high_event = 1.0
        if _is_extreme(state.low, anchor, p.left, p.right, p.ties, -1.0):
            price = state.low[anchor & _MASK]
            state.low_label = _label(price, state.last_low)
            state.last_low = price
            state.low_bar = anchor
            low_event = 1.0
    high = state.last_high
    low = state.last_low
    out.high_event = high_event
    out.low_event = low_event
    out.high = high
    out.low = low
    out.high_origin = NAN if np.isnan(high) else now - state.high_bar
    out.low_origin = NAN if np.isnan(low) else now - state.low_bar
    out.high_label = state.high_label
    out.low_label = state.low_label


@looped
def _run(state, bars, p, wide, out):  # type: ignore[no-untyped-def]
    row = blank(wide)
    for i in range(bars.shape[0]):
        swing_step(state, bars[i], p, row)
        keep(row, out[i])


SWINGS = Concept(
    name="swings",
    fields=FIELDS,
    events=("high_event", "low_event"),
    state=SWING_STATE,
    init=swing_init,
    step=swing_step,
    run=_run,
    narrows=True,
    defaults={"left": 5, "right": 5, "ties": "first"},
    ranges={"left": Int(1, 60), "right": Int(1, 60), "ties": Choice("first", "strict", "all")},
)


class Swings(SmcLine):
    """Swing highs and lows with HH/HL/LH/LL labels; see the module docstring."""

    concept = SWINGS
    lines = SWINGS.lines
    params = SWINGS.params
