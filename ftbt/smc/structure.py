"""Market structure: break of structure (BOS), change of character (CHoCH), trend, strong and weak.

At the close of a bar that trades beyond the last confirmed, unbroken swing high the structure
breaks upward (mirrored for lows): a CHoCH when the trend was down, else a BOS; the trend is then
up. Before the first break the trend is 0. Each swing is broken at most once.

* `break_mode`: what must be beyond the level: the `close`, the `wick` (high or low) or the whole
  `body` (open and close).
* `penetration`: how far beyond at least, in ATRs or as a fraction of the level's price.
* `break_displacement`: the breaking bar's body must be at least so many ATRs in the direction of
  the break (0: any bar will do). Until such a bar comes the level stays unbroken. A CHoCH with
  displacement is ICT's market structure shift.
* `choch_level`: which level turns the trend. `last`: the last swing on the other side.
  `protected`: only the strong one; swings in front of it are then spent without an event.

The *strong* level of an up-trend is the lowest low between the swing high that was broken and
the bar that broke it: the low that made the break. The *weak* one is the highest high since then,
which the trend is expected to take. Mirrored in a down-trend.

A bar that goes beyond levels on both sides counts for the side that its body points to, else for
the trend's; the other level stays.

Internal and swing structure are this machine with two lengths, see `internal_structure` and
`swing_structure`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Choice, Float, Int
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.baselines import WILDER_STATE, wilder_step
from ftbt.smc.rows import asks, blank, keep
from ftbt.smc.swings import RING, SWING_STATE, SWINGS, swing_init, swing_step

# One side's unbroken swing: index 0 the high (sign +1), 1 the low (sign -1).
_SIDE = np.dtype(
    [
        ("level", "f8"),  # NaN: none, or broken
        ("bar", "i8"),
        ("pull", "f8"),  # furthest price away from the level since the swing's bar
        ("pull_bar", "i8"),
        ("reach", "f8"),  # furthest price towards and beyond the level since pull_bar
        ("reach_bar", "i8"),
    ],
    align=True,
)

STRUCTURE_STATE = np.dtype(
    [
        ("swing", SWING_STATE),
        ("swing_out", SWINGS.out),
        ("high", "f8", (RING,)),
        ("low", "f8", (RING,)),
        ("count", "i8"),  # bars seen
        ("atr", WILDER_STATE),
        ("side", _SIDE, (2,)),
        ("trend", "i8"),
        ("strong", "f8"),
        ("strong_bar", "i8"),
        ("weak", "f8"),
        ("weak_bar", "i8"),
        ("back", "f8"),  # furthest price against the trend since weak_bar or the break
        ("back_bar", "i8"),
        ("broken", "f8"),
        ("broken_bar", "i8"),
    ],
    align=True,
)

FIELDS = {
    "bos": "+1 or -1 at the bar that breaks structure with the trend (or the first time), else 0",
    "choch": "+1 or -1 at the bar that breaks structure against the trend, else 0",
    "trend": "+1 up, -1 down, 0 before the first break",
    "break_level": "price of the level broken last, NaN before the first break",
    "break_origin": "bars back to that level's own bar, NaN before the first break",
    "high": "price of the last swing high while unbroken, else NaN",
    "low": "price of the last swing low while unbroken, else NaN",
    "high_origin": "bars back to that swing high's own bar, NaN when there is none",
    "low_origin": "bars back to that swing low's own bar, NaN when there is none",
    "high_label": "+1 the last swing high is a higher high, -1 a lower high, 0 equal or first",
    "low_label": "+1 the last swing low is a higher low, -1 a lower low, 0 equal or first",
    "strong": "price of the strong low (trend up) or high (trend down), NaN without a trend",
    "weak": "price of the weak high (trend up) or low (trend down), NaN without a trend",
    "strong_origin": "bars back to the strong level's bar, NaN without a trend",
    "weak_origin": "bars back to the weak level's bar, NaN without a trend",
}
_tells_ways = asks("strong", "weak", "strong_origin", "weak_origin")
# What others read of it.
BREAKS = ("bos", "choch", "trend", "break_origin", "high", "low")


@compiled
def structure_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state."""
    swing_init(state.swing, p)
    state.side[0].level = NAN
    state.side[1].level = NAN
    state.strong = NAN
    state.weak = NAN
    state.broken = NAN


@compiled
def _follow(side, sign, high, low, index):  # type: ignore[no-untyped-def]
    """Take one bar's range into a swing's pull and reach."""
    away = low if sign > 0 else high
    towards = high if sign > 0 else low
    if sign * away < sign * side.pull:
        side.pull = away
        side.pull_bar = index
        side.reach = towards
        side.reach_bar = index
    elif sign * towards > sign * side.reach:
        side.reach = towards
        side.reach_bar = index


@compiled
def _update_side(state, side, sign, event, price, bar, now, p):  # type: ignore[no-untyped-def]
    """Take a newly confirmed swing, or follow the price since the old one."""
    if event == 0.0:
        _follow(side, sign, bar.high, bar.low, now)
        return
    side.level = price
    side.bar = now - p.right
    side.pull = sign * np.inf
    for k in range(side.bar + 1, now + 1):
        _follow(side, sign, state.high[k & (RING - 1)], state.low[k & (RING - 1)], k)


@inlined
def _extend_trend(state, bar, now):  # type: ignore[no-untyped-def]
    """Let the weak level follow the price, and the way back from it."""
    up = state.trend > 0
    sign = state.trend
    ahead = bar.high if up else bar.low
    behind = bar.low if up else bar.high
    if sign * ahead > sign * state.weak:
        state.weak = ahead
        state.weak_bar = now
        state.back = behind
        state.back_bar = now
    elif sign * behind < sign * state.back:
        state.back = behind
        state.back_bar = now


@inlined
def _beyond(bar, level, sign, atr, p):  # type: ignore[no-untyped-def]
    """Tell whether *bar* breaks *level* upward (sign +1) or downward (sign -1)."""
    if np.isnan(level):
        return False
    price = bar.close
    if p.break_mode == 1:
        price = bar.high if sign > 0 else bar.low
    elif p.break_mode == 2:
        price = min(bar.open, bar.close) if sign > 0 else max(bar.open, bar.close)
    margin = 0.0
    if p.penetration > 0.0:
        margin = p.penetration * (atr if p.penetration_unit == 0 else level)
    if not sign * (price - level) > margin:  # an unknown ATR breaks nothing
        return False
    return p.break_displacement == 0.0 or sign * (bar.close - bar.open) >= (
        p.break_displacement * atr
    )


@inlined
def _break_side(state, side, sign, bar, now, out):  # type: ignore[no-untyped-def]
    """Break a swing: an event, a new strong and weak level."""
    if state.trend == -sign:
        out.choch = sign
    else:
        out.bos = sign
    state.trend = sign
    state.broken = side.level
    state.broken_bar = side.bar
    side.level = NAN
    state.strong = side.pull
    state.strong_bar = side.pull_bar
    state.weak = side.reach
    state.weak_bar = side.reach_bar
    # Prices before this bar can't be beyond the strong level, so the way back starts here.
    state.back = bar.low if sign > 0 else bar.high
    state.back_bar = now


@inlined
def _break_strong(state, sign, bar, now, out):  # type: ignore[no-untyped-def]
    """Break the protected level: the weak level of the old trend is the strong one of the new."""
    out.choch = sign
    state.trend = sign
    state.broken = state.strong
    state.broken_bar = state.strong_bar
    state.strong = state.weak
    state.strong_bar = state.weak_bar
    state.weak = state.back
    state.weak_bar = state.back_bar
    state.back = bar.low if sign > 0 else bar.high
    state.back_bar = now


@inlined
def _direction(state, bar, up, down):  # type: ignore[no-untyped-def]
    """Return which side breaks: +1, -1, or 0 for none."""
    if not (up and down):
        return int(up) - int(down)
    if bar.close != bar.open:
        return 1 if bar.close > bar.open else -1
    return state.trend


@inlined
def _find_breaks(state, bar, now, atr, p, out):  # type: ignore[no-untyped-def]
    up = _beyond(bar, state.side[0].level, 1, atr, p)
    down = _beyond(bar, state.side[1].level, -1, atr, p)
    if p.choch_level == 0 or state.trend == 0:
        sign = _direction(state, bar, up, down)
        if sign != 0:
            _break_side(state, state.side[0 if sign > 0 else 1], sign, bar, now, out)
        return
    against = -state.trend
    turned = _beyond(bar, state.strong, against, atr, p)
    ahead = up if state.trend > 0 else down
    if down if state.trend > 0 else up:  # spent: it lies in front of the protected level
        state.side[1 if state.trend > 0 else 0].level = NAN
    if turned and not (ahead and _direction(state, bar, True, True) == state.trend):
        _break_strong(state, against, bar, now, out)
    elif ahead:
        side = state.side[0 if state.trend > 0 else 1]
        _break_side(state, side, state.trend, bar, now, out)


@inlined
def _since(price, now, bar):  # type: ignore[no-untyped-def]
    return NAN if np.isnan(price) else now - bar


@inlined
def _take_swings(state, swing, now, p):  # type: ignore[no-untyped-def]
    """Take newly confirmed swings, as `_update_side` does, and nothing but their levels."""
    if swing.high_event != 0.0:
        state.side[0].level = swing.high
        state.side[0].bar = now - p.right
    if swing.low_event != 0.0:
        state.side[1].level = swing.low
        state.side[1].bar = now - p.right


@inlined
def _structure_follow(state, bar, swing, ways, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its swings; see the module docstring for the rules.

    Without *ways* the strong and the weak levels are not followed, and `out` tells nothing of them.
    """
    now = state.count
    state.count = now + 1
    if ways:
        state.high[now & (RING - 1)] = bar.high
        state.low[now & (RING - 1)] = bar.low
    asked = (p.penetration > 0.0) | (p.break_displacement > 0.0)
    atr = wilder_step(state.atr, bar, p.atr_length) if asked else NAN
    if ways:
        _update_side(state, state.side[0], 1, swing.high_event, swing.high, bar, now, p)
        _update_side(state, state.side[1], -1, swing.low_event, swing.low, bar, now, p)
        if state.trend != 0:
            _extend_trend(state, bar, now)
    else:
        _take_swings(state, swing, now, p)
    out.bos = 0.0
    out.choch = 0.0
    _find_breaks(state, bar, now, atr, p, out)
    out.trend = state.trend
    out.break_level = state.broken
    out.break_origin = _since(state.broken, now, state.broken_bar)
    out.high = state.side[0].level
    out.low = state.side[1].level
    out.high_origin = _since(out.high, now, state.side[0].bar)
    out.low_origin = _since(out.low, now, state.side[1].bar)
    out.high_label = swing.high_label
    out.low_label = swing.low_label
    out.strong = state.strong
    out.weak = state.weak
    out.strong_origin = _since(state.strong, now, state.strong_bar)
    out.weak_origin = _since(state.weak, now, state.weak_bar)


@inlined
def structure_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    swing_step(state.swing, bar, p, state.swing_out)
    _structure_follow(state, bar, state.swing_out, True, p, out)


@looped
def _run(states, bars, swings, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        # A protected level is a strong one.
        if _tells_ways(out[i]) or p.choch_level == 1:
            _structure_follow(state, bars[i], swings[i], True, p, row)
        else:
            _structure_follow(state, bars[i], swings[i], False, p, row)
        keep(row, out[i])


# A concept that embeds this one takes these into its own parameters: {**STRUCTURE.defaults, ...}.
STRUCTURE = Concept(
    name="structure",
    fields=FIELDS,
    inner=(Inner(SWINGS),),
    events=("bos", "choch"),
    state=STRUCTURE_STATE,
    init=structure_init,
    step=structure_step,
    run=_run,
    narrows=True,
    core=BREAKS,
    defaults={
        **SWINGS.defaults,
        "break_mode": "close",
        "penetration": 0.0,
        "penetration_unit": "atr",
        "break_displacement": 0.0,
        "choch_level": "last",
        "atr_length": 14,
    },
    ranges={
        **SWINGS.ranges,
        "break_mode": Choice("close", "wick", "body"),
        "penetration": Float(0.0, 5.0),
        "penetration_unit": Choice("atr", "price"),
        "break_displacement": Float(0.0, 10.0),
        "choch_level": Choice("last", "protected"),
        "atr_length": Int(1, 500),
    },
)


class Structure(SmcLine):
    """Breaks of structure, changes of character and the trend; see the module docstring."""

    concept = STRUCTURE
    lines = STRUCTURE.lines
    params = STRUCTURE.params


def internal_structure(data: Any, **parameters: Any) -> Structure:
    """Return the structure of the small swings (5 bars each side) of a Backtrader feed."""
    return Structure(data, **{"left": 5, "right": 5, **parameters})


def swing_structure(data: Any, **parameters: Any) -> Structure:
    """Return the structure of the large swings (50 bars each side) of a Backtrader feed."""
    return Structure(data, **{"left": 50, "right": 50, **parameters})
