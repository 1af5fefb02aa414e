"""The zigzag: swings made to alternate, high after low after high.

Of several confirmed swing highs in a row only the highest is a turn, and which one that is isn't
known before a swing low is confirmed. So the turn in the making is *provisional*: it moves while
higher swing highs are confirmed, and it is final (an event, never taken back) at the bar that
confirms the first swing low after it; mirrored for lows. Of equal swings the first one stands.

When one bar confirms a high and a low at once, the one that continues the leg is taken
first; the high when there is no leg yet.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, looped
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.swings import SWING_STATE, SWINGS, swing_init, swing_step

# One side's last final turn: index 0 high, 1 low.
_TURN = np.dtype([("price", "f8"), ("bar", "i8"), ("label", "f8")], align=True)

ZIGZAG_STATE = np.dtype(
    [
        ("swing", SWING_STATE),
        ("swing_out", SWINGS.out),
        ("count", "i8"),  # bars seen
        ("turn", _TURN, (2,)),
        ("leg", "i8"),  # +1 the provisional turn is a high, -1 a low, 0 none yet
        ("price", "f8"),
        ("bar", "i8"),
    ],
    align=True,
)

FIELDS = {
    "turn": "+1 at the bar that makes a high final, -1 a low, else 0",
    "leg": "+1 the leg in the making goes up (to a provisional high), -1 down, 0 none yet",
    "extreme": "price of the provisional turn at the leg's end, NaN before the first",
    "extreme_origin": "bars back to the provisional turn, NaN before the first",
    "high": "price of the last final high, NaN before the first",
    "low": "price of the last final low, NaN before the first",
    "high_origin": "bars back to the last final high, NaN before the first",
    "low_origin": "bars back to the last final low, NaN before the first",
    "high_label": "+1 the last final high is a higher high, -1 a lower high, 0 equal or first",
    "low_label": "+1 the last final low is a higher low, -1 a lower low, 0 equal or first",
}


@compiled
def zigzag_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state."""
    swing_init(state.swing, p)
    state.turn[0].price = NAN
    state.turn[1].price = NAN
    state.price = NAN


@compiled
def _finish(state, out):  # type: ignore[no-untyped-def]
    """Make the provisional turn final."""
    turn = state.turn[0 if state.leg > 0 else 1]
    turn.label = 0.0
    if not np.isnan(turn.price):
        turn.label = np.sign(state.price - turn.price)
    turn.price = state.price
    turn.bar = state.bar
    out.turn = state.leg


@compiled
def _take(state, sign, price, bar, out):  # type: ignore[no-untyped-def]
    """Take a confirmed swing high (sign +1) or low (sign -1)."""
    if state.leg == sign:
        if sign * price <= sign * state.price:
            return
    elif state.leg != 0:
        _finish(state, out)
    state.leg = sign
    state.price = price
    state.bar = bar


@compiled
def _since(price, now, bar):  # type: ignore[no-untyped-def]
    return NAN if np.isnan(price) else now - bar


@compiled
def _follow(state, swing, p, out):  # type: ignore[no-untyped-def]
    """Take the swings of one closed bar; see the module docstring for the rules."""
    now = state.count
    state.count = now + 1
    out.turn = 0.0
    first = 1 if state.leg >= 0 else -1
    for sign in (first, -first):
        if sign > 0 and swing.high_event > 0.0:
            _take(state, 1, swing.high, now - p.right, out)
        elif sign < 0 and swing.low_event > 0.0:
            _take(state, -1, swing.low, now - p.right, out)
    out.leg = state.leg
    out.extreme = state.price
    out.extreme_origin = _since(state.price, now, state.bar)
    out.high = state.turn[0].price
    out.low = state.turn[1].price
    out.high_origin = _since(out.high, now, state.turn[0].bar)
    out.low_origin = _since(out.low, now, state.turn[1].bar)
    out.high_label = state.turn[0].label
    out.low_label = state.turn[1].label


@compiled
def zigzag_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    swing_step(state.swing, bar, p, state.swing_out)
    _follow(state, state.swing_out, p, out)


@looped
def _run(states, bars, swings, p, out):  # type: ignore[no-untyped-def]
    state = states[0]
    for i in range(bars.shape[0]):
        _follow(state, swings[i], p, out[i])


ZIGZAG = Concept(
    name="zigzag",
    fields=FIELDS,
    inner=(Inner(SWINGS),),
    events=("turn",),
    state=ZIGZAG_STATE,
    init=zigzag_init,
    step=zigzag_step,
    run=_run,
    defaults=SWINGS.defaults,
    ranges=SWINGS.ranges,
)


class ZigZag(SmcLine):
    """Alternating swings with a provisional end; see the module docstring."""

    concept = ZIGZAG
    lines = ZIGZAG.lines
    params = ZIGZAG.params
