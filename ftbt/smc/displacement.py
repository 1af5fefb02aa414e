"""Displacement: a candle so large that one side was in a hurry.

A candle displaces when its body (`measure="body"`) or its range (`"range"`) is at least
`factor` average true ranges, in the direction of its body; or when it leaves a fair value gap
behind (`"gap"`), whatever its size. `require_gap` asks for both: size and gap. Size is known at
the candle's own close, a gap one bar later; `origin` tells how far back the candle lies.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, looped
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.smc.baselines import WILDER_STATE, wilder_step

DISPLACEMENT_STATE = np.dtype(
    [
        ("atr", WILDER_STATE),
        ("count", "i8"),  # bars seen
        ("high", "f8", (2,)),  # of the last bar and the one before it
        ("low", "f8", (2,)),
        ("large", "f8"),  # direction of the last bar when it was large, else 0
        ("strength", "f8"),  # of the last bar
        ("last", "i8"),  # bar of the last displacement candle, -1 before the first
        ("last_strength", "f8"),
    ],
    align=True,
)

FIELDS = {
    "event": "+1 or -1 at the bar that makes a displacement known, else 0",
    "origin": "bars back to the last displacement candle, NaN before the first",
    "origin_strength": "strength of that candle, NaN before the first",
    "strength": "this bar's body (or range) in average true ranges, signed, NaN while unknown",
}


@compiled
def displacement_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prepare a zeroed state."""
    state.last = -1
    state.last_strength = NAN


@compiled
def _gap(state, bar):  # type: ignore[no-untyped-def]
    """Return the direction of the gap that this bar leaves around the last one, or 0."""
    if state.count < 2:
        return 0.0
    if bar.low > state.high[1]:
        return 1.0
    return -1.0 if bar.high < state.low[1] else 0.0


@compiled
def displacement_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rule."""
    atr = wilder_step(state.atr, bar, p.atr_length)
    direction = np.sign(bar.close - bar.open)
    size = bar.high - bar.low if p.measure == 1 else abs(bar.close - bar.open)
    out.strength = direction * size / atr if atr > 0.0 else NAN
    large = direction if abs(out.strength) >= p.factor else 0.0
    out.event = 0.0
    if p.measure == 2 or p.require_gap == 1:
        gap = _gap(state, bar)
        if gap != 0.0 and (p.measure == 2 or gap == state.large):
            out.event = gap
            state.last = state.count - 1
            state.last_strength = state.strength
    elif large != 0.0:
        out.event = large
        state.last = state.count
        state.last_strength = out.strength
    out.origin = NAN if state.last < 0 else state.count - state.last
    out.origin_strength = state.last_strength
    state.large = large
    state.strength = out.strength
    state.high[1] = state.high[0]
    state.low[1] = state.low[0]
    state.high[0] = bar.high
    state.low[0] = bar.low
    state.count += 1


@looped
def _run(states, bars, p, out):  # type: ignore[no-untyped-def]
    state = states[0]
    for i in range(bars.shape[0]):
        displacement_step(state, bars[i], p, out[i])


DISPLACEMENT = Concept(
    name="displacement",
    fields=FIELDS,
    events=("event",),
    state=DISPLACEMENT_STATE,
    init=displacement_init,
    step=displacement_step,
    run=_run,
    defaults={"factor": 1.5, "atr_length": 14, "measure": "body", "require_gap": False},
    ranges={
        "factor": Float(0.1, 10.0),
        "atr_length": Int(1, 500),
        "measure": Choice("body", "range", "gap"),
        "require_gap": Bool(),
    },
)


class Displacement(SmcLine):
    """Candles that displace the price; see the module docstring."""

    concept = DISPLACEMENT
    lines = DISPLACEMENT.lines
    params = DISPLACEMENT.params
