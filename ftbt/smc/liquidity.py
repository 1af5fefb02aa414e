"""Liquidity pools: prices beyond which stop orders are expected to rest, until they are taken.

Sell-side liquidity rests below lows, buy-side liquidity above highs. The pools:

* a *row* of equal lows (or highs): at least `min_touches` confirmed swing lows, all within the
  tolerance of one another, no bar between two touches trading beyond the row's extreme. A bar
  that trades further beyond a row than the tolerance ends it for further touches. Rows are looked
  for among the last 32 on each side, touches at most `max_age` bars apart. A pool is known when the
  swing that completes it is, and grows with each further touch. One whose level the last touch
  itself has traded through was taken; the touch then makes a new pool of the whole row.
* a single confirmed swing, a weak pool of strength 1 (`singles`), which may grow into a row;
* high and low of the last completed day and week (`day_levels`, `week_levels`);
* high and low of the last Asia, London or New York session (`session_levels`, `zone`).

A pool is *taken* by the first bar after it became known that trades beyond its level by more than
the `penetration`. Day and week levels are known before the first bar of the new period, so that
bar can take them. Pools of swings expire `max_age` bars after they were known or last grew; those
of a day, week or session when the next one's replace them.

Variants:

* `tolerance`, `tolerance_unit`: in average true ranges over `baseline_length` bars, or as a
  fraction of the price. While that average is unknown, no lows are equal.
* `level`: the row's `extreme` (beyond all touches) or the `mean` of its touches.
* `penetration`, `penetration_unit`: likewise.
* `capacity`: pools kept on each side; the oldest leaves first.

Codes of the kind of a pool: 1 swing, 2 equal highs or lows, 3 day, 4 week, 5 Asia, 6 London,
7 New York. Its strength is its number of touches; levels of periods have strength 1.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.civil_time import ZoneName
from ftbt.smc.ledger import CAPACITY, CREATED, EXPIRED, GROWN, SIZE, TAKEN
from ftbt.smc.periods import PERIODS
from ftbt.smc.pools import EQUAL_POOL, LIQUIDITY_FIELDS, pools_follow, pools_init, pools_prepare
from ftbt.smc.sessions import SESSIONS
from ftbt.smc.swings import SWINGS, swing_step

TARGET_FIELDS = {
    "above": "level of the nearest pool above the price, NaN when there is none",
    "above_strength": "touches of that pool",
    "above_kind": "code of that pool's kind, see the module docstring of liquidity.py",
    "above_origin": "bars back to that pool's first touch",
    "above_count": "number of pools above",
    "below": "level of the nearest pool below the price, NaN when there is none",
    "below_strength": "touches of that pool",
    "below_kind": "code of that pool's kind, see the module docstring of liquidity.py",
    "below_origin": "bars back to that pool's first touch",
    "below_count": "number of pools below",
}
FIELDS = {
    "low_created": "how many pools below become known at this bar",
    "high_created": "how many pools above become known at this bar",
    "low_equal": "strength of the row of equal lows that forms or grows at this bar, else 0",
    "high_equal": "strength of the row of equal highs that forms or grows at this bar, else 0",
    "low_taken": "how many pools below are traded through at this bar",
    "high_taken": "how many pools above are traded through at this bar",
    "low_expired": "how many pools below end by age, replacement or capacity at this bar",
    "high_expired": "how many pools above end by age, replacement or capacity at this bar",
    **TARGET_FIELDS,
}


@inlined
def _target(side, sign, now):  # type: ignore[no-untyped-def]
    """Return level, strength, kind and origin of the nearest pool of one side, NaN for none."""
    if side.nearest < 0:
        return NAN, NAN, NAN, NAN
    pool = side.pool[side.nearest]
    return sign * pool.level, float(pool.touches), float(pool.kind), float(now - pool.first)


@inlined
def show_targets(state, out):  # type: ignore[no-untyped-def]
    """Set the TARGET_FIELDS of *out*."""
    now = state.seen - 1
    below = state.side[0]
    above = state.side[1]
    level, strength, kind, origin = _target(above, -1, now)
    out.above = level
    out.above_strength = strength
    out.above_kind = kind
    out.above_origin = origin
    out.above_count = above.n
    level, strength, kind, origin = _target(below, 1, now)
    out.below = level
    out.below_strength = strength
    out.below_kind = kind
    out.below_origin = origin
    out.below_count = below.n


@compiled
def _count(state, kind, sign):  # type: ignore[no-untyped-def]
    """Return how many events of *kind* this bar has on one side."""
    count = 0
    for i in range(state.n_events):
        count += state.events[i].kind == kind and state.events[i].side == sign
    return count


@compiled
def _equal(state, sign):  # type: ignore[no-untyped-def]
    """Return the touches of the row of equal lows or highs that changed at this bar, else 0."""
    for i in range(state.n_events):
        event = state.events[i]
        changed = event.kind == CREATED or event.kind == GROWN
        if changed and event.side == sign and event.pool == EQUAL_POOL:
            return event.count
    return 0


@compiled
def _follow(state, bar, swing, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its swings; see the module docstring for the rules."""
    pools_follow(state, bar, swing, p)
    out.low_created = _count(state, CREATED, 1)
    out.high_created = _count(state, CREATED, -1)
    out.low_equal = _equal(state, 1)
    out.high_equal = _equal(state, -1)
    out.low_taken = _count(state, TAKEN, 1)
    out.high_taken = _count(state, TAKEN, -1)
    out.low_expired = _count(state, EXPIRED, 1) + _count(state, CAPACITY, 1)
    out.high_expired = _count(state, EXPIRED, -1) + _count(state, CAPACITY, -1)
    show_targets(state, out)


@compiled
def liquidity_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    swing_step(state.swing, bar, p, state.swing_out)
    _follow(state, bar, state.swing_out, p, out)


@looped
def _run(states, bars, swings, p, out):  # type: ignore[no-untyped-def]
    state = states[0]
    for i in range(bars.shape[0]):
        _follow(state, bars[i], swings[i], p, out[i])


LIQUIDITY = Concept(
    name="liquidity",
    fields=FIELDS,
    inner=(Inner(SWINGS),),
    events=tuple(name for name in FIELDS if name not in TARGET_FIELDS),
    state=np.dtype(LIQUIDITY_FIELDS, align=True),
    init=pools_init,
    step=liquidity_step,
    run=_run,
    prepare=pools_prepare,
    defaults={
        **SWINGS.defaults,
        **PERIODS.defaults,
        "min_touches": 2,
        "tolerance": 0.1,
        "tolerance_unit": "atr",
        "baseline_length": 200,
        "level": "extreme",
        "singles": True,
        "day_levels": True,
        "week_levels": True,
        "session_levels": "none",
        "zone": SESSIONS.defaults["zone"],
        "penetration": 0.0,
        "penetration_unit": "atr",
        "max_age": 500,
        "capacity": SIZE,
    },
    ranges={
        **SWINGS.ranges,
        **PERIODS.ranges,
        "min_touches": Int(2, 10),
        "tolerance": Float(0.0, 5.0),
        "tolerance_unit": Choice("atr", "price"),
        "baseline_length": Int(1, 1000, tune=False),
        "level": Choice("extreme", "mean"),
        "singles": Bool(),
        "day_levels": Bool(),
        "week_levels": Bool(),
        "session_levels": Choice("none", "asia", "london", "new_york", "all"),
        "zone": ZoneName(),
        "penetration": Float(0.0, 5.0),
        "penetration_unit": Choice("atr", "price"),
        "max_age": Int(1, 5000),
        "capacity": Int(1, SIZE, tune=False),
    },
)


class Liquidity(SmcLine):
    """Liquidity pools and the nearest ones on both sides; see the module docstring."""

    concept = LIQUIDITY
    lines = LIQUIDITY.lines
    params = LIQUIDITY.params
