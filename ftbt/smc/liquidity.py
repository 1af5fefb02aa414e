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

from ftbt.compiled import compiled
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.smc.base import NAN, Concept, Records, SmcLine
from ftbt.smc.baselines import WILDER_STATE, wilder_step
from ftbt.smc.civil_time import ZoneName
from ftbt.smc.ledger import CAPACITY, CREATED, EXPIRED, GROWN, SIZE, TAKEN, seen_low
from ftbt.smc.periods import PERIODS, PERIODS_STATE, periods_init, periods_step
from ftbt.smc.sessions import (
    SESSIONS,
    SESSIONS_STATE,
    sessions_init,
    sessions_prepare,
    sessions_step,
)
from ftbt.smc.swings import SWING_STATE, SWINGS, swing_init, swing_step

SWING_POOL = 1
EQUAL_POOL = 2
DAY_POOL = 3
WEEK_POOL = 4
SESSION_POOL = 5  # and the two codes after it
SESSIONS_USED = 3

ROWS = 32
NEW_POOLS = 3 + SESSIONS_USED  # most that one side can get in one bar
MAX_RECLAIM = 10
# Taken pools that a sweep may still have to judge: see `sweeps.py`.
WAITING = SIZE + NEW_POOLS * (MAX_RECLAIM + 1)

# All prices on the side of highs are negated; see `ledger.py`.
POOL = np.dtype(
    [
        ("id", "i8"),
        ("level", "f8"),
        ("kind", "i8"),
        ("touches", "i8"),
        ("first", "i8"),  # bar of the first touch
        ("last", "i8"),  # bar of the last touch
        ("since", "i8"),  # bar at whose close it became known or last grew
    ],
    align=True,
)
ROW = np.dtype(
    [
        ("extreme", "f8"),
        ("inner", "f8"),  # the touch furthest from the extreme
        ("sum", "f8"),
        ("touches", "i8"),
        ("first", "i8"),
        ("last", "i8"),
        ("worst", "f8"),  # furthest price towards and beyond the row since its last touch
        ("pool", "i8"),  # id of its pool, 0 for none
    ],
    align=True,
)
POOL_EVENT = np.dtype(
    [
        ("kind", "i8"),
        ("id", "i8"),
        ("side", "i8"),  # +1 sell-side liquidity (lows), -1 buy-side (highs)
        ("origin", "i8"),  # bars back to the first touch
        ("last", "i8"),  # bars back to the last touch
        ("pool", "i8"),  # code of the kind of pool
        ("count", "i8"),  # touches
        ("top", "f8"),
        ("bottom", "f8"),
        ("extreme", "f8"),  # of a judged pool: how far the price went beyond it; else NaN
    ],
    align=True,
)
_SESSION_CHOICE = np.dtype([("session", "i8"), ("start", "i8"), ("end", "i8")], align=True)
_SIDE = np.dtype(
    [("pool", POOL, (SIZE,)), ("n", "i8"), ("row", ROW, (ROWS,)), ("rows", "i8")], align=True
)

LIQUIDITY_FIELDS = [
    ("events", POOL_EVENT, (2 * (SIZE + 3 * NEW_POOLS + WAITING),)),
    ("n_events", "i8"),
    ("last_id", "i8"),
    ("seen", "i8"),  # bars seen
    ("side", _SIDE, (2,)),  # 0 lows, 1 highs
    ("swing", SWING_STATE),
    ("swing_out", SWINGS.out),
    ("atr", WILDER_STATE),
    ("periods", PERIODS_STATE),
    ("periods_out", PERIODS.out),
    ("session", SESSIONS_STATE, (SESSIONS_USED,)),
    ("session_choice", _SESSION_CHOICE, (SESSIONS_USED,)),
    ("session_out", SESSIONS.out),
]

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


@compiled
def pools_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state; the time zone comes by `pools_prepare`."""
    swing_init(state.swing, p)
    periods_init(state.periods, p)
    for k in range(SESSIONS_USED):
        sessions_init(state.session[k], p)
        state.session_choice[k].session = k


def pools_prepare(state: Records, parameters: Records) -> None:
    """Write the time zone's table into *state* when session levels are asked for."""
    if int(parameters["session_levels"][0]):
        sessions_prepare(state["session"], parameters)


@compiled
def emit_pool(state, kind, pool, sign, now, extreme):  # type: ignore[no-untyped-def]
    """Write into the ledger what happened to *pool* at bar *now*."""
    event = state.events[state.n_events]
    state.n_events += 1
    event.kind = kind
    event.id = pool.id
    event.side = sign
    event.origin = now - pool.first
    event.last = now - pool.last
    event.pool = pool.kind
    event.count = pool.touches
    event.top = sign * pool.level
    event.bottom = sign * pool.level
    event.extreme = sign * extreme


@compiled
def _end(state, side, place, kind, sign, now):  # type: ignore[no-untyped-def]
    """Take the pool at *place* off the book by an event *kind*."""
    emit_pool(state, kind, side.pool[place], sign, now, NAN)
    for i in range(place + 1, side.n):
        side.pool[i - 1] = side.pool[i]
    side.n -= 1


@compiled
def _open(state, sign, level, kind, touches, first, last, now, p):  # type: ignore[no-untyped-def]
    """Make a pool known at bar *now*; return its id."""
    side = state.side[0 if sign > 0 else 1]
    if side.n >= p.capacity:
        _end(state, side, 0, CAPACITY, sign, now)
    pool = side.pool[side.n]
    side.n += 1
    state.last_id += 1
    pool.id = state.last_id
    pool.level = level
    pool.kind = kind
    pool.touches = touches
    pool.first = first
    pool.last = last
    pool.since = now
    emit_pool(state, CREATED, pool, sign, now, NAN)
    return pool.id


@compiled
def _replace(state, sign, kind, price, origin, now, p):  # type: ignore[no-untyped-def]
    """Put the level of a completed period in the place of the one before it."""
    side = state.side[0 if sign > 0 else 1]
    for i in range(side.n):
        if side.pool[i].kind == kind:
            _end(state, side, i, EXPIRED, sign, now)
            break
    bar = now - int(origin)
    _open(state, sign, sign * price, kind, 1, bar, bar, now, p)


@compiled
def _take_periods(state, bar, now, p):  # type: ignore[no-untyped-def]
    periods_step(state.periods, bar, p, state.periods_out)
    out = state.periods_out
    if p.day_levels == 1 and out.new_day > 0.0:
        _replace(state, 1, DAY_POOL, out.day_low, out.day_low_origin, now, p)
        _replace(state, -1, DAY_POOL, out.day_high, out.day_high_origin, now, p)
    if p.week_levels == 1 and out.new_week > 0.0:
        _replace(state, 1, WEEK_POOL, out.week_low, out.week_low_origin, now, p)
        _replace(state, -1, WEEK_POOL, out.week_high, out.week_high_origin, now, p)


@compiled
def _take_sessions(state, bar, now, p):  # type: ignore[no-untyped-def]
    for k in range(SESSIONS_USED):
        if p.session_levels != SESSIONS_USED + 1 and p.session_levels != k + 1:
            continue
        sessions_step(state.session[k], bar, state.session_choice[k], state.session_out)
        out = state.session_out
        if out.done > 0.0:
            kind = SESSION_POOL + k
            _replace(state, 1, kind, out.final_low, out.final_low_origin, now, p)
            _replace(state, -1, kind, out.final_high, out.final_high_origin, now, p)


@compiled
def _distance(size, unit, atr, price):  # type: ignore[no-untyped-def]
    """Return *size* in price: of average true ranges, or as a fraction of *price*."""
    return size * (atr if unit == 0 else abs(price))


@compiled
def _advance(state, sign, bar, atr, now, p):  # type: ignore[no-untyped-def]
    """Take one bar into the pools of one side: too old ones expire, others are taken."""
    side = state.side[0 if sign > 0 else 1]
    low = seen_low(bar, sign)
    kept = 0
    for i in range(side.n):
        pool = side.pool[i]
        if pool.kind <= EQUAL_POOL and now - pool.since > p.max_age:
            emit_pool(state, EXPIRED, pool, sign, now, NAN)
            continue
        if low < pool.level:
            margin = 0.0
            if p.penetration > 0.0:
                margin = _distance(p.penetration, p.penetration_unit, atr, pool.level)
            if low < pool.level - margin:
                emit_pool(state, TAKEN, pool, sign, now, NAN)
                continue
        if kept != i:
            side.pool[kept] = pool
        kept += 1
    side.n = kept


@compiled
def _wear(state, sign, bar, atr, p):  # type: ignore[no-untyped-def]
    """Let one bar trade beyond the rows of one side."""
    side = state.side[0 if sign > 0 else 1]
    low = seen_low(bar, sign)
    kept = 0
    for i in range(side.rows):
        row = side.row[i]
        if low < row.worst:
            row.worst = low
            if low < row.extreme - _distance(p.tolerance, p.tolerance_unit, atr, row.extreme):
                continue
        if kept != i:
            side.row[kept] = row
        kept += 1
    side.rows = kept


@compiled
def _row_level(row, p):  # type: ignore[no-untyped-def]
    return row.extreme if p.level == 0 else row.sum / row.touches


@compiled
def _find_row(side, price, tolerance, now, p):  # type: ignore[no-untyped-def]
    """Return the place of the row that a swing at *price* touches, -1 for none."""
    best = -1
    nearest = np.inf
    for i in range(side.rows):
        row = side.row[i]
        extreme = min(row.extreme, price)
        if not max(row.inner, price) - extreme <= tolerance:
            continue
        if row.worst < extreme or now - row.last > p.max_age:
            continue
        distance = abs(price - _row_level(row, p))
        if distance <= nearest:
            nearest = distance
            best = i
    return best


@compiled
def _new_row(side, price, anchor):  # type: ignore[no-untyped-def]
    if side.rows == ROWS:
        for i in range(1, ROWS):
            side.row[i - 1] = side.row[i]
        side.rows -= 1
    row = side.row[side.rows]
    side.rows += 1
    row.extreme = price
    row.inner = price
    row.sum = 0.0
    row.touches = 0
    row.first = anchor
    row.pool = 0
    return row


@compiled
def _grow(state, side, row, kind, sign, now, p):  # type: ignore[no-untyped-def]
    """Let the pool of *row* grow with it; return False when it has none that lives."""
    for i in range(side.n):
        pool = side.pool[i]
        if pool.id == row.pool:
            pool.level = _row_level(row, p)
            pool.kind = kind
            pool.touches = row.touches
            pool.last = row.last
            pool.since = now
            emit_pool(state, GROWN, pool, sign, now, NAN)
            return True
    return False


@compiled
def _touch(state, sign, price, atr, now, p):  # type: ignore[no-untyped-def]
    """Take a swing of one side, confirmed at bar *now*, into the rows and pools."""
    side = state.side[0 if sign > 0 else 1]
    anchor = now - p.right
    tolerance = _distance(p.tolerance, p.tolerance_unit, atr, price)
    found = _find_row(side, price, tolerance, now, p)
    row = side.row[found] if found >= 0 else _new_row(side, price, anchor)
    row.extreme = min(row.extreme, price)
    row.inner = max(row.inner, price)
    row.sum += price
    row.touches += 1
    row.last = anchor
    row.worst = row.extreme
    kind = EQUAL_POOL if row.touches >= p.min_touches else SWING_POOL
    if _grow(state, side, row, kind, sign, now, p):
        return
    if kind == EQUAL_POOL or p.singles == 1:
        level = _row_level(row, p)
        row.pool = _open(state, sign, level, kind, row.touches, row.first, row.last, now, p)


@compiled
def pools_step(state, bar, p):  # type: ignore[no-untyped-def]
    """Take one closed bar into the pools; what happened stands in the ledger."""
    now = state.seen
    state.seen += 1
    state.n_events = 0
    atr = wilder_step(state.atr, bar, p.baseline_length)
    _take_periods(state, bar, now, p)
    for sign in (1, -1):
        _advance(state, sign, bar, atr, now, p)
        _wear(state, sign, bar, atr, p)
    if p.session_levels > 0:
        _take_sessions(state, bar, now, p)
    swing_step(state.swing, bar, p, state.swing_out)
    if state.swing_out.low_event > 0.0:
        _touch(state, 1, state.swing_out.low, atr, now, p)
    if state.swing_out.high_event > 0.0:
        _touch(state, -1, -state.swing_out.high, atr, now, p)


@compiled
def _nearest(side):  # type: ignore[no-untyped-def]
    """Return the place of the nearest pool, of equal ones the strongest, then the newest."""
    best = -1
    for i in range(side.n):
        pool = side.pool[i]
        if (
            best < 0
            or pool.level > side.pool[best].level
            or (
                pool.level == side.pool[best].level and pool.touches >= side.pool[best].touches
            )
        ):
            best = i
    return best


@compiled
def _target(side, sign, now):  # type: ignore[no-untyped-def]
    """Return level, strength, kind and origin of the nearest pool of one side, NaN for none."""
    place = _nearest(side)
    if place < 0:
        return NAN, NAN, NAN, NAN
    pool = side.pool[place]
    return sign * pool.level, float(pool.touches), float(pool.kind), float(now - pool.first)


@compiled
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
def liquidity_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rules."""
    pools_step(state, bar, p)
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
def _run(state, bars, p, out):  # type: ignore[no-untyped-def]
    for i in range(bars.shape[0]):
        liquidity_step(state, bars[i], p, out[i])


LIQUIDITY = Concept(
    name="liquidity",
    fields=FIELDS,
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
