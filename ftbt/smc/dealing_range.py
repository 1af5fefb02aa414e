"""The dealing range: where in the current swing the price stands, and the optimal trade entry.

The range runs from a low to a high:

* `range_of="swings"`: the last confirmed swing low and swing high. While the last swing low lies
  above the last swing high there is no range.
* `range_of="leg"`: the trend's strong and weak level (see `structure.py`), so its far end follows
  the price bar by bar.

Position 0 is the low, 1 the high, equilibrium halfway; below is discount, above premium. The leg
points up when the high came after the low. Optimal trade entry (OTE) is the band of prices where
62 % to 79 % of the leg are retraced, 70.5 % its sweet spot.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, looped
from ftbt.ranges import Choice, Float
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.structure import STRUCTURE, STRUCTURE_STATE, structure_init, structure_step
from ftbt.smc.swings import SWINGS

DEALING_RANGE_STATE = np.dtype(
    [("structure", STRUCTURE_STATE), ("structure_out", STRUCTURE.out)], align=True
)

FIELDS = {
    "direction": "+1 the range is an up-leg (its high came last), -1 a down-leg, 0 no range",
    "high": "upper end of the range in price, NaN without a range",
    "low": "lower end of the range in price, NaN without a range",
    "equilibrium": "middle of the range in price, NaN without a range",
    "position": "where the close stands: 0 at the low, 1 at the high, beyond them outside",
    "zone": "+1 discount, -1 premium, 0 between them or no range",
    "retracement": "share of the leg that the close has taken back: 0 at its end, 1 at its start",
    "ote_near": "price at which the entry band begins, NaN without a range",
    "ote_sweet": "price of its sweet spot, NaN without a range",
    "ote_far": "price at which the entry band ends, NaN without a range",
    "in_ote": "1 while the close lies in the entry band, else 0",
    "high_origin": "bars back to the upper end's bar, NaN without a range",
    "low_origin": "bars back to the lower end's bar, NaN without a range",
}


@compiled
def dealing_range_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state."""
    structure_init(state.structure, p)


@compiled
def _find_range(swing, structure, p, out):  # type: ignore[no-untyped-def]
    """Set the two ends; tell whether there is a range."""
    if p.range_of == 0:
        out.high = swing.high
        out.low = swing.low
        out.high_origin = swing.high_origin
        out.low_origin = swing.low_origin
    else:
        up = structure.trend > 0.0
        out.high = structure.weak if up else structure.strong
        out.low = structure.strong if up else structure.weak
        out.high_origin = structure.weak_origin if up else structure.strong_origin
        out.low_origin = structure.strong_origin if up else structure.weak_origin
    return out.high > out.low


@compiled
def _no_range(out):  # type: ignore[no-untyped-def]
    out.direction = 0.0
    out.high = NAN
    out.low = NAN
    out.equilibrium = NAN
    out.position = NAN
    out.zone = 0.0
    out.retracement = NAN
    out.ote_near = NAN
    out.ote_sweet = NAN
    out.ote_far = NAN
    out.in_ote = 0.0
    out.high_origin = NAN
    out.low_origin = NAN


@compiled
def _leg_up(structure, out):  # type: ignore[no-untyped-def]
    """Tell whether the range is an up-leg."""
    if out.high_origin != out.low_origin:
        return out.high_origin < out.low_origin
    # Both ends in one bar: the trend decides, else the half in which the bar closed.
    if structure.trend != 0.0:
        return structure.trend > 0.0
    return out.position >= 0.5


@compiled
def _follow(bar, swing, structure, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its structure; see the module docstring for the rules."""
    if not _find_range(swing, structure, p, out):
        _no_range(out)
        return
    height = out.high - out.low
    out.equilibrium = out.low + 0.5 * height
    out.position = (bar.close - out.low) / height
    out.zone = 0.0
    if out.position < p.zone_width:
        out.zone = 1.0
    elif out.position > 1.0 - p.zone_width:
        out.zone = -1.0
    up = _leg_up(structure, out)
    sign = 1.0 if up else -1.0
    end = out.high if up else out.low
    out.direction = sign
    out.retracement = sign * (end - bar.close) / height
    out.ote_near = end - sign * p.ote_near * height
    out.ote_sweet = end - sign * p.ote_sweet * height
    out.ote_far = end - sign * p.ote_far * height
    out.in_ote = 1.0 if p.ote_near <= out.retracement <= p.ote_far else 0.0


@compiled
def dealing_range_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    structure_step(state.structure, bar, p, state.structure_out)
    _follow(bar, state.structure.swing_out, state.structure_out, p, out)


@looped
def _run(states, bars, swings, structures, p, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
    for i in range(bars.shape[0]):
        _follow(bars[i], swings[i], structures[i], p, out[i])


DEALING_RANGE = Concept(
    name="dealing_range",
    fields=FIELDS,
    inner=(Inner(SWINGS), Inner(STRUCTURE)),
    events=(),
    state=DEALING_RANGE_STATE,
    init=dealing_range_init,
    step=dealing_range_step,
    run=_run,
    defaults={
        **STRUCTURE.defaults,
        "range_of": "swings",
        "zone_width": 0.5,
        "ote_near": 0.62,
        "ote_sweet": 0.705,
        "ote_far": 0.79,
    },
    ranges={
        **STRUCTURE.ranges,
        "range_of": Choice("swings", "leg"),
        # Share of the range at each end that counts: 0.5 halves it, 0.05 leaves the outer 5 %.
        "zone_width": Float(0.01, 0.5),
        "ote_near": Float(0.5, 0.7),
        "ote_sweet": Float(0.6, 0.8),
        "ote_far": Float(0.7, 1.0),
    },
)


class DealingRange(SmcLine):
    """Premium, discount and the optimal trade entry; see the module docstring."""

    concept = DEALING_RANGE
    lines = DEALING_RANGE.lines
    params = DEALING_RANGE.params
