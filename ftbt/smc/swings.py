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
from ftbt.smc.rows import blank, keep, own

RING = 128  # bars kept, a power of two; left + right + 1 must fit
_MASK = RING - 1
_CLOSE = 4  # neighbours on each side that are looked at first

# Of lows everything is negated, so that both sides look for highs.
_VALUES = np.dtype(
    [
        ("value", "f8", (RING,)),
        ("near", "f8", (RING,)),  # the highest value of a bar and its next neighbours before it
    ],
    align=True,
)
SWING_STATE = np.dtype(
    [
        ("highs", _VALUES),
        ("lows", _VALUES),
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
def _is_extreme(values, price, anchor, p):  # type: ignore[no-untyped-def]
    """Tell whether *price*, the value of the bar *anchor*, is the highest around it."""
    for k in range(1, p.left + 1):
        other = values[(anchor - k) & _MASK]
        if other > price or (p.ties != 2 and other == price):
            return False
    for k in range(1, p.right + 1):
        other = values[(anchor + k) & _MASK]
        if other > price or (p.ties == 1 and other == price):
            return False
    return True


@inlined
def _look(ring, value, now, p):  # type: ignore[no-untyped-def]
    """Take the *value* of the bar *now*; tell whether a swing is confirmed by it."""
    values = ring.value
    values[now & _MASK] = value
    # Most bars fail by a close neighbour. All of them at once: a processor that guesses wrong
    # where a loop over them ends loses more time than the loop takes.
    close = min(_CLOSE, p.left, p.right)
    near = value
    for k in range(1, _CLOSE):
        near = max(near, values[(now - min(k, close - 1)) & _MASK])
    ring.near[now & _MASK] = near
    anchor = now - p.right
    price = values[anchor & _MASK]
    around = max(ring.near[(anchor - 1) & _MASK], ring.near[(anchor + close) & _MASK])
    if around > price or anchor < p.left:
        return False
    return _is_extreme(values, price, anchor, p)


@inlined
def _label(new, old):  # type: ignore[no-untyped-def]
    if new > old:
        return 1.0
    return -1.0 if new < old else 0.0  # also when there is no older one (NaN)


@inlined
def swing_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rule."""
    now = state.count
    state.count = now + 1
    anchor = now - p.right
    high_event = 0.0
    low_event = 0.0
    if _look(state.highs, bar.high, now, p):
        price = state.highs.value[anchor & _MASK]
        state.high_label = _label(price, state.last_high)
        state.last_high = price
        state.high_bar = anchor
        high_event = 1.0
    if _look(state.lows, -bar.low, now, p):
        price = -state.lows.value[anchor & _MASK]
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
def _run(states, bars, p, wide, out):  # type: ignore[no-untyped-def]
    row = blank(wide)
    state = own(states[0])
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
